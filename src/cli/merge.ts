import { copyFile, mkdir, readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { orThrow, savePretrained } from '../io/index.ts'
import { foldShifts } from '../transform/fold-shifts.ts'
import { merge as mergeAdapters } from '../transform/index.ts'
import { places, showPath } from '../tree/walk.ts'
import { isWrapper } from '../tree/wrap.ts'
import { startEngine, tellEngine } from './engine.ts'
import { refuse, requireUnused, usage } from './errors.ts'
import { readFlags, required } from './flags.ts'
import { openAdapted } from './open.ts'

export const mergeHelp = `espalier merge --model DIR --adapter DIR --output DIR
  Merges an adapter into the weights of its model and writes a checkpoint that transformers opens.`

/** A model with all that is on it merged into its weights; refused when something on it is no change of weights. */
export const mergedWhole = (model: unknown): unknown => {
  const merged = foldShifts(mergeAdapters(model as never))
  const left = [...places(merged)].filter(({ node }) => isWrapper(node))
  if (left.length > 0)
    refuse(
      left.map(({ node, path }) => ({
        _tag: 'NotMergeable',
        path: showPath(path),
        expected: 'an adapter that is a change of weights',
        found: (node as { readonly _tag: string })._tag,
        hint: 'A prompt, a prefix or a bottleneck computes something besides the weights: keep it as an adapter.',
      })),
    )
  return merged
}

// What stands beside the weights and is the same for the merged model.
const besides =
  /^(tokenizer.*|special_tokens_map\.json|added_tokens\.json|vocab\..*|merges\.txt|generation_config\.json|chat_template\..*|.*\.model)$/
const templates = 'additional_chat_templates'

const filesBeside = async (model: string): Promise<readonly string[]> => {
  const more = await readdir(join(model, templates)).catch(() => [])
  return [
    ...(await readdir(model)).filter((file) => besides.test(file)),
    ...more.filter((file) => file.endsWith('.jinja')).map((file) => join(templates, file)),
  ]
}

/** The `merge` command: what it prints. */
export const merge = async (args: readonly string[]): Promise<string> => {
  const flags = { model: { type: 'string' }, adapter: { type: 'string' }, output: { type: 'string' } } as const
  const values = readFlags('merge', args, flags)
  const model = required('merge', 'model', values.model)
  const adapter = required('merge', 'adapter', values.adapter)
  const output = required('merge', 'output', values.output)
  await requireUnused(output, ['config.json', 'model.safetensors'])
  const engine = await startEngine()
  const { model: tuned, pretrained } = await openAdapted(model, adapter)
  if (pretrained === undefined)
    throw usage(
      '--model',
      'a folder with config.json and model.safetensors',
      `"${model}"`,
      'Use merge(…) and saveModel.',
    )
  const merged = mergedWhole(tuned)
  tellEngine(engine)
  await orThrow(savePretrained({ ...pretrained, model: merged }, output))
  for (const name of await filesBeside(model)) {
    await mkdir(dirname(join(output, name)), { recursive: true })
    await copyFile(join(model, name), join(output, name))
  }
  return `merged into ${output}`
}
