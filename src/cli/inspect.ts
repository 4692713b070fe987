import { applyRecipe, decodeRecipe } from '../transform/index.ts'
import { bytesAtRest, count } from '../tree/count.ts'
import { ties } from '../tree/labels.ts'
import { show } from '../tree/show.ts'
import { refuse } from './errors.ts'
import { readJson } from './files.ts'
import { readFlags } from './flags.ts'
import { openAdapted } from './open.ts'

export const inspectHelp = `espalier inspect [--model sllm|DIR] [--adapter DIR] [--recipe FILE] [--json]
  Prints a model as a tree, with an adapter on and after a recipe if they are given.
  --model   the chapter's model (the default), a folder with config.json and model.safetensors, or one that saveModel wrote
  --adapter a folder that PEFT, savePeft, saveAdapter, MLX or AdapterHub wrote
  --recipe  a JSON list of transforms, such as [{"freeze":{}},{"lora":{"at":"**.ln_1","rank":16,"alpha":30}}]
  --json    prints counts of parameters and bytes at rest as JSON instead`

/** The `inspect` command: what it prints. */
export const inspect = async (args: readonly string[], color: boolean): Promise<string> => {
  const values = readFlags('inspect', args, {
    model: { type: 'string', default: 'sllm' },
    adapter: { type: 'string' },
    recipe: { type: 'string' },
    json: { type: 'boolean', default: false },
  })
  // The recipe first: a mistake in it is told before a large model is opened.
  const transform = values.recipe === undefined ? undefined : await readRecipe(values.recipe)
  const { model: base, pretrained } = await openAdapted(values.model, values.adapter)
  const tuned = transform === undefined ? base : transform(base)
  if (!values.json) return show(tuned, { color })
  const { parameters, trainable, frozen } = count(tuned)
  const counts = { parameters, trainable, frozen, bytesAtRest: bytesAtRest(tuned) }
  const kind = pretrained === undefined ? {} : { family: pretrained.family, task: pretrained.task }
  const type = pretrained?.adapter?.['peft_type']
  const lost = pretrained?.lost
  const adapter = { ...(type !== undefined && { peftType: type }), ...(lost !== undefined && { lost }) }
  return JSON.stringify({ ...counts, model: values.model, ...kind, ...adapter, ties: ties(tuned) }, null, 2)
}

const readRecipe = async (path: string): Promise<(model: unknown) => unknown> => {
  const recipe = decodeRecipe(await readJson(path, 'a recipe'))
  return recipe._tag === 'Left'
    ? refuse(recipe.left.map((i) => ({ ...i, path: path + i.path })))
    : applyRecipe(recipe.right)
}
