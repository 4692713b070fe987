import { realpath, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { orThrow, writeSafetensors } from '../io/index.ts'
import { runModel } from '../kind/index.ts'
import type { Model, Tokens } from '../kind/index.ts'
import { modelKinds } from '../model/families.ts'
import { context } from '../nn/index.ts'
import { scope, slice } from '../ops/index.ts'
import { explained } from '../tree/error.ts'
import type { Tensor } from '../tree/tensor.ts'
import { startEngine, tellEngine } from './engine.ts'
import { requireFolder, usage } from './errors.ts'
import { readFlags, required } from './flags.ts'
import { readInput, requireFitting } from './input.ts'
import { mergedWhole } from './merge.ts'
import { openAdapted } from './open.ts'
import type { Opened } from './open.ts'

export const logitsHelp = `espalier logits --model DIR [--adapter DIR] [--merge] --input IN.safetensors --output OUT.safetensors [--strip-virtual]
  Runs a model on token ids and writes what it gives.
  --input          int32 input_ids [batch, tokens], and at will attention_mask, token_type_ids, position_ids of that shape
  --output         float32 logits: [batch, tokens, vocab], or [batch, labels] of a classifier of texts; last_hidden_state of a
                   model without a head
  --merge          merges the adapter into the weights first
  --strip-virtual  drops the rows of virtual tokens, which come first`

/** Rows of virtual tokens come before those of the tokens. */
const withoutVirtual = (output: Tensor, { ids }: Tokens): Tensor => {
  const [batch = 0, rows = 0, width = 0] = output.shape
  const tokens = ids.shape[1] ?? 0
  if (output.shape.length !== 3 || rows === tokens) return output
  return slice(output, [0, rows - tokens, 0], [batch, tokens, width])
}

/**
 * What PEFT leaves out of the input of a model with virtual tokens.
 *
 * Positions are of no use to a prompt that shifts them; segments only classifiers are told, as PEFT has it.
 */
const asPeft = (
  tokens: Tokens,
  { pretrained }: Opened,
): { readonly tokens: Tokens; readonly dropped: readonly string[] } => {
  const { peft_type: type, task_type: task } = pretrained?.adapter ?? {}
  const isPrompt = type === 'PROMPT_TUNING' || type === 'P_TUNING'
  const isVirtual = isPrompt || type === 'PREFIX_TUNING'
  const { positions, types, ...rest } = tokens
  const keepsTypes = !isVirtual || task === 'SEQ_CLS' || task === 'TOKEN_CLS'
  return {
    tokens: {
      ...rest,
      ...(isPrompt || positions === undefined ? {} : { positions }),
      ...(keepsTypes && types !== undefined ? { types } : {}),
    },
    dropped: [
      ...(isPrompt && positions !== undefined ? ['position_ids'] : []),
      ...(!keepsTypes && types !== undefined ? ['token_type_ids'] : []),
    ],
  }
}

const real = (path: string): Promise<string> => realpath(path).catch(() => path)

/** Refuses an output that would take the place of something that is read, before anything is computed. */
const requireOutput = async (
  output: string,
  folders: readonly (string | undefined)[],
  input: string,
): Promise<void> => {
  await requireFolder(dirname(output), '--output')
  if ((await stat(output).catch(() => undefined))?.isDirectory() === true)
    throw usage('--output', 'a file', `"${output}", a folder`, 'Name a file in it.')
  const target = join(await real(dirname(output)), basename(output))
  const named = folders.filter((folder) => folder !== undefined)
  const read = await Promise.all(named.map((folder) => real(folder)))
  if (target === (await real(input)) || read.includes(dirname(target)))
    throw usage('--output', 'a file that is not read', `"${output}"`, 'It would take the place of what it is made of.')
}

/** The `logits` command: what it prints. */
export const logits = async (args: readonly string[]): Promise<string> => {
  const values = readFlags('logits', args, {
    model: { type: 'string' },
    adapter: { type: 'string' },
    merge: { type: 'boolean', default: false },
    input: { type: 'string' },
    output: { type: 'string' },
    'strip-virtual': { type: 'boolean', default: false },
  })
  const model = required('logits', 'model', values.model)
  const input = required('logits', 'input', values.input)
  const output = required('logits', 'output', values.output)
  await requireOutput(output, [model, values.adapter], input)
  const given = await readInput(input)
  const engine = await startEngine()
  const opened = await openAdapted(model, values.adapter)
  const ready = values.merge ? mergedWhole(opened.model) : opened.model
  const { tokens, dropped } = asPeft(given, opened)
  requireFitting(tokens, opened, input)
  const result = explained(
    () =>
      scope(() => {
        const all = runModel(ready as Model, tokens, context({}, modelKinds))
        return values['strip-virtual'] ? withoutVirtual(all, tokens) : all
      }),
    (i) => (i._tag === 'ContextOverflow' ? { ...i, path: `${input}#input_ids` } : i),
  )
  const name = opened.pretrained?.task === 'base' ? 'last_hidden_state' : 'logits'
  tellEngine(engine)
  for (const field of dropped)
    process.stderr.write(`espalier: ${field} are left out, as PEFT does with virtual tokens before the text\n`)
  await orThrow(writeSafetensors(output, { [name]: result }))
  return `${name} [${result.shape.join(', ')}] in ${output}`
}
