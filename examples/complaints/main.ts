// Fine-tunes SLLM to tell complaints from other customer feedback: npm start
// Another method: npm start -- --method qlora. All of them in one run: npm start -- --compare. An engine: --engine wasm
import { parseArgs } from 'node:util'
import { join } from 'node:path'
import { count, curveText, diff, engine, freeze, key, show, sllm } from 'espalier'
import type { Sllm } from 'espalier'
import { loadModel, orThrow } from 'espalier/io'
import { currentEngine } from 'espalier/ops'
import type { EngineName } from 'espalier/ops'
import { compare } from './compare.ts'
import { prepare, run } from './job.ts'
import { methods } from './methods.ts'
import { complaints, configFor, here, openTokenizer, readSplit } from './task.ts'

const { values } = parseArgs({
  options: {
    method: { type: 'string', default: 'lora' },
    compare: { type: 'boolean', default: false },
    engine: { type: 'string' },
  },
})
const method = Object.hasOwn(methods, values.method) ? methods[values.method] : undefined
if (method === undefined) {
  console.error(`no method is called "${values.method}"; there are ${Object.keys(methods).join(', ')}`)
  process.exit(2)
}

const started = performance.now()
const seconds = (): string => `${((performance.now() - started) / 1000).toFixed(1)} s`
const say = (title: string, text: string): void =>
  console.log(`\n── ${title} ${'─'.repeat(Math.max(0, 76 - title.length))}\n${text}`)
const percent = (x: number): string => `${(100 * x).toFixed(1)} %`
const color = process.stdout.isTTY

await engine(values.engine === undefined ? {} : { prefer: values.engine as EngineName })
const tokenizer = await openTokenizer()
const task = complaints(tokenizer)
const [train, heldout] = await Promise.all([readSplit('train', tokenizer), readSplit('heldout', tokenizer)])

// The shape that the saved base must have; its own values are not used.
const shape = (): Sllm => sllm.init(configFor(tokenizer), key(0))
const frozen = freeze(await orThrow(loadModel(here('base'), shape())))
const out = here('out')
const setting = { task, train, heldout, out, progress: !values.compare }

if (values.compare) {
  const good = await compare(frozen, { ...setting, out: join(out, 'compare') }, currentEngine())
  if (!good) process.exitCode = 1
} else {
  say('the base, a language model that knows no labels', show(frozen, { color }))
  const { base, tuned } = prepare(method, frozen)
  const before = task.evaluate(base, heldout)
  say(`with ${values.method}: ${JSON.stringify([...(method.base ?? []), ...method.recipe])}`, show(tuned, { color }))
  console.log(`\n${String(diff(base, tuned)).split('\n').at(-1)}`)
  say('training', `${train.length} sentences; SLLM classifies by which label token is likelier after [SEP]`)

  const done = await run(method, { base, tuned }, setting)
  console.log(curveText(done.fitted.history))
  const { parameters, trainable } = count(tuned)
  say(
    'result',
    [
      `trained              ${trainable.toLocaleString('en-US')} of ${parameters.toLocaleString('en-US')} parameters (${percent(trainable / parameters)})`,
      `held-out accuracy    ${percent(before.accuracy)} before, ${percent(done.accuracy)} after (${heldout.length} sentences)`,
      `base untouched       ${done.untouched ? 'every frozen leaf is the object it was' : 'NO'}`,
      `adapter reloaded     ${done.reloaded === 0 ? 'logits identical to the bit' : 'LOGITS DIFFER'}`,
      `merged               logits equal within ${done.merged.toExponential(1)}`,
      `files                ${join(out, 'adapter')}`,
      `picture              ${join(out, 'loss.svg')}`,
      `time                 ${seconds()}`,
    ].join('\n'),
  )
  const learnt = values.method === 'lora' ? 0.85 : 0.55
  if (done.reloaded !== 0 || !done.untouched || !(done.merged < 1e-3) || !(done.accuracy >= learnt))
    process.exitCode = 1
}
