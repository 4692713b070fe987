// Fine-tunes all-MiniLM-L6-v2 to tell complaints from other feedback, beside SLLM: npm run example -- minilm/main
// Another model: --model FOLDER, or an id of the Hugging Face Hub. An engine: --engine wasm
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { bert, count, engine, freeze, ia3, key, lora, pipe, sllm, unfreeze } from 'espalier'
import { fromHub, loadModel, loadPretrained, loadTokenizer, orThrow } from 'espalier/io'
import type { EngineName } from 'espalier/ops'
import { prepare, run as runSllm } from '../complaints/job.ts'
import { methods } from '../complaints/methods.ts'
import { complaints, configFor, here, openTokenizer, readSplit as readIds } from '../complaints/task.ts'
import { readSplit, run } from './job.ts'
import type { Outcome } from './job.ts'

const { values } = parseArgs({ options: { model: { type: 'string' }, engine: { type: 'string' } } })
await engine(values.engine === undefined ? {} : { prefer: values.engine as EngineName })

const root = fileURLToPath(new URL('../..', import.meta.url))
const out = join(root, 'examples/minilm/out')
const fetched = (): string =>
  execFileSync(process.execPath, [join(root, 'scripts/minilm.mjs')], { encoding: 'utf8' }).trim()
const source = values.model ?? fetched()
const folder = existsSync(source) ? source : await orThrow(fromHub(source))

const tokenizer = await orThrow(loadTokenizer(folder))
const base = await orThrow(
  loadPretrained(folder, { as: bert, task: 'sequence-classification', labels: 2, key: key(0) }),
)
const { model } = base
const [train, heldout] = await Promise.all(['train', 'heldout'].map((name) => readSplit(here(`data/${name}.jsonl`))))
if (train === undefined || heldout === undefined) throw new Error('no data')

// The head is new, so it is trained whole beside either adapter; PEFT keeps it under modules_to_save.
const frozen = freeze(model)
const withLora = pipe(
  frozen,
  lora({ at: ['**.query', '**.value'], rank: 8, alpha: 16, scaling: 'alpha/rank', dropout: 0.1, key: key(1) }),
  unfreeze.only({ at: 'classifier' }),
)
const withIa3 = pipe(
  frozen,
  ia3.layers({ at: ['**.key', '**.value'] }),
  ia3.inputs({ at: 'bert.encoder.layer.*.output.dense' }),
  unfreeze.only({ at: 'classifier' }),
)

interface Row extends Outcome {
  readonly name: string
  readonly parameters: number
}

const number = (n: number): string => n.toLocaleString('en-US')
const cells = (row: Row): readonly string[] => [
  row.name,
  number(row.parameters),
  number(row.trainable),
  number(row.adapterBytes),
  `${(100 * row.accuracy).toFixed(1)} %`,
  `${row.seconds.toFixed(0)} s`,
  row.reloaded.toExponential(0),
  row.merged.toExponential(0),
]
const header = ['model, method', 'base', 'trainable', 'adapter bytes', 'held out', 'time', 'reloaded', 'merged']
const setting = { base, tokenizer, train, heldout }
const rows: Row[] = []
const add = (row: Row): void => {
  rows.push(row)
  console.log(cells(row).join('  '))
}
const { parameters } = count(model)
add({ name: 'MiniLM, LoRA', parameters, ...(await run(withLora, 2e-3, { ...setting, out: join(out, 'lora') })) })
add({ name: 'MiniLM, IA3', parameters, ...(await run(withIa3, 1e-2, { ...setting, out: join(out, 'ia3') })) })

const own = await openTokenizer()
const ofSllm = freeze(await orThrow(loadModel(here('base'), sllm.init(configFor(own), key(0)))))
const [ids, heldoutIds] = await Promise.all([readIds('train', own), readIds('heldout', own)])
for (const name of ['lora', 'ia3'] as const) {
  const job = { task: complaints(own), train: ids, heldout: heldoutIds, out: join(out, `sllm-${name}`), progress: true }
  const row = await runSllm(methods[name]!, prepare(methods[name]!, ofSllm), job)
  add({ ...row, name: `SLLM, ${name === 'lora' ? 'LoRA' : 'IA3'}`, parameters: count(ofSllm).parameters })
}

console.log(`\n| ${header.join(' | ')} |\n| --- |${' ---: |'.repeat(header.length - 1)}`)
for (const row of rows) console.log(`| ${cells(row).join(' | ')} |`)

const good = rows.every(({ accuracy, reloaded, merged }) => accuracy > 0.75 && reloaded === 0 && merged < 1e-3)
console.log(good ? '\nevery adapter learnt, reloaded to the bit, merged as it was' : '\nNOT AS IT SHOULD BE')
process.exitCode = good ? 0 : 1
