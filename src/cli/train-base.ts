import type { Opened } from './open.ts'
import { openModel } from './open.ts'
import { notesOf, paddedWith } from '../io/hub/notes.ts'
import { familyNamed } from '../io/hub/plan.ts'
import { peftIssues } from '../io/peft/save.ts'
import { orThrow, saveAdapter, saveModel, savePeft, savePretrained } from '../io/index.ts'
import type { Tokenizer } from '../io/index.ts'
import { padOf } from '../model/heads.ts'
import { sllm } from '../model/sllm.ts'
import { unfreeze } from '../transform/index.ts'
import { count } from '../tree/count.ts'
import { fold, key } from '../tree/key.ts'
import { leafPlaces, showPath } from '../tree/walk.ts'
import type { TrainConfig } from './config.ts'
import { refuse, usage } from './errors.ts'

/** The model that is adapted; one for a classification with a head of its own is of the Hub. */
export const openBase = async (
  { model, task, seed = 0 }: TrainConfig,
  from: (path: string) => string,
): Promise<Opened> => {
  if (typeof model === 'object') return { model: sllm.init({ ...sllm.config.seed, ...model.sllm }, key(seed)) }
  const folder = model === 'sllm' ? model : from(model)
  if (typeof task !== 'object' || !('sequence-classification' in task)) return openModel(folder)
  const labels = task['sequence-classification']
  const opened = await openModel(folder, {
    task: 'sequence-classification',
    labels,
    key: fold(key(seed), 'head'),
  })
  if (opened.pretrained !== undefined) return opened
  throw usage(
    'task.sequence-classification',
    'a model folder with config.json, which can have such a head',
    `"${model}"`,
    'Use "classify", where each label is a token.',
  )
}

/** What fills up shorter texts; a causal classifier must be told it, whoever opens it. */
export const fillerOf = ({ model, pretrained }: Opened, tokenizer: Tokenizer): number => {
  const said = pretrained?.config['pad_token_id']
  const pad = typeof said === 'number' ? said : (tokenizer.special.pad ?? tokenizer.special.eos)?.id
  if (pad === undefined && padOf(model) === -1)
    throw usage(
      'tokenizer',
      'one with a token for padding, or one that ends texts',
      'neither',
      'A causal classifier finds the last token of a text by the padding after it.',
    )
  return pad ?? 0
}

/** A classifier's head is trained whatever the recipe says of the rest, as PEFT has it; so is all else that was drawn. */
export const withHead = (task: TrainConfig['task'], { pretrained }: Opened, tuned: unknown): unknown => {
  if (pretrained === undefined || typeof task !== 'object' || !('sequence-classification' in task)) return tuned
  const { body } = familyNamed(pretrained.family)
  const drawn = new Set(pretrained.drawn)
  const heads = leafPlaces(pretrained.model)
    .filter(({ path }) => path[0] !== body || drawn.has(showPath(path)))
    .map(({ path }) => showPath(path))
  return unfreeze.only({ at: heads as never })(tuned)
}

/** How what was trained is saved: `name` is the folder in the output. */
export interface Keeping {
  readonly name: 'model' | 'adapter'
  /** What is trained: as it will be when it is opened again. */
  readonly tuned: unknown
  /** One sentence for people: which form, and why no other. */
  readonly said: string
  readonly save: (model: unknown, folder: string) => Promise<void>
}

const unpadded = (pad: number): string =>
  `The configuration of its base has no pad_token_id, without which transformers takes one text at a time: set it to ${pad} there.`

/** Decides, before anything is trained, what will be saved and in which form. */
export const keepingOf = (config: TrainConfig, { pretrained }: Opened, tuned: unknown, pad: number): Keeping => {
  const plain = pretrained && { ...pretrained, model: tuned }
  // Told what padding is, as its own files can say and those of PEFT cannot: of these the mask alone tells it.
  const told = plain && paddedWith(plain, pad)
  const { parameters, trainable } = count(tuned)
  if (trainable === parameters)
    return {
      name: 'model',
      tuned: told?.model ?? tuned,
      said: 'The whole model is saved, since nothing was frozen.',
      save: (model, folder) =>
        orThrow(told === undefined ? saveModel(model, folder) : savePretrained({ ...told, model }, folder)),
    }
  const ours = (said: string): Keeping => ({
    name: 'adapter',
    tuned: told?.model ?? tuned,
    said,
    save: (model, folder) =>
      orThrow(saveAdapter(model, folder, { recipe: config.recipe, ...(told && { notes: notesOf(told) }) })),
  })
  if (config.format === 'espalier') return ours('The adapter is saved as Espalier has it.')
  if (plain === undefined) {
    if (config.format === undefined) return ours('The adapter is saved as Espalier has it.')
    throw usage(
      'format',
      '"espalier"',
      '"peft"',
      'Only models with config.json and model.safetensors have names in PEFT.',
    )
  }
  const issues = peftIssues(plain)
  if (issues.length === 0)
    return {
      name: 'adapter',
      tuned,
      said: `The adapter is saved as PEFT has it.${told === plain ? '' : ` ${unpadded(pad)}`}`,
      save: (model, folder) => orThrow(savePeft({ ...plain, model }, folder)),
    }
  if (config.format === 'peft') return refuse(issues.map((i) => ({ ...i, path: `recipe: ${i.path}` })))
  const [why] = issues
  return ours(`The adapter is saved as Espalier has it: PEFT has no form for ${why?.found} at ${why?.path}.`)
}
