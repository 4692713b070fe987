import type { Tokenizer } from '../io/index.ts'
import type { Model } from '../kind/index.ts'
import { modelKinds } from '../model/families.ts'
import { causalRunOf } from '../model/run.ts'
import type { AnySllm } from '../model/sllm.ts'
import { classifier, collateTokens, evaluateOn } from '../train/index.ts'
import type { ClassExample, Loss, Metrics } from '../train/index.ts'
import type { TrainConfig } from './config.ts'
import { readClassified, readTexts } from './data.ts'

/** A model of which the command line knows no more than that something in it can be trained. */
export type Trained = AnySllm

/** A task in the pieces that training wants, whatever its examples are. */
export interface Job<T, B> {
  readonly data: readonly T[]
  readonly collate: (examples: readonly T[]) => B
  readonly loss: Loss<Trained, B>
  readonly evaluate?: (model: Trained) => Metrics
}

/** Where the examples are, and what makes ids of them. */
export interface Source {
  readonly tokenizer: Tokenizer
  readonly train: string
  readonly heldout?: string
  /** What fills up shorter texts. */
  readonly pad: number
}

const { apply, nextLogits, loss } = causalRunOf<Model>(modelKinds)

/** Few lengths of batches, so that few graphs are made; none is longer than some text is. */
const lengths = (data: readonly { readonly ids: readonly number[] }[]) => ({
  multipleOf: 8,
  limit: data.reduce((most, { ids }) => Math.max(most, ids.length), 0),
})

const textJob = async ({ tokenizer, train, heldout, pad }: Source) => {
  const data = await readTexts(train, tokenizer)
  const judged = heldout === undefined ? undefined : await readTexts(heldout, tokenizer)
  const padding = { pad, ...lengths(data) }
  const collate = (examples: typeof data) => collateTokens(examples, padding)
  const evaluate =
    judged &&
    evaluateOn<Trained, (typeof data)[number], ReturnType<typeof collate>>({
      data: judged,
      collate,
      loss,
      batchSize: 32,
    })
  return { data, collate, loss, ...(evaluate && { evaluate }) }
}

const classJob = async (
  { tokenizer, train, heldout, pad }: Source,
  names: readonly string[],
  how: { readonly next: typeof nextLogits; readonly labels: readonly number[] },
) => {
  const data = await readClassified(train, tokenizer, names)
  const { collate, loss: own, evaluate } = classifier<Trained>({ ...how, pad: { pad, ...lengths(data) } })
  const judged: readonly ClassExample[] | undefined =
    heldout === undefined ? undefined : await readClassified(heldout, tokenizer, names)
  return { data, collate, loss: own, ...(judged && { evaluate: (model: Trained) => evaluate(model, judged) }) }
}

/** What a task is trained with, given to `use`: examples of a language model and of a classifier are of different types. */
export const withJob = async <A>(
  task: TrainConfig['task'],
  source: Source,
  use: <T, B>(job: Job<T, B>) => Promise<A>,
): Promise<A> => {
  if (task === 'language-model') return use(await textJob(source))
  if ('sequence-classification' in task) {
    const names = task['sequence-classification']
    return use(await classJob(source, names, { next: apply, labels: names.map((_, i) => i) }))
  }
  const labels = Object.values(task.classify).map((token) => source.tokenizer.id(token))
  return use(await classJob(source, Object.keys(task.classify), { next: nextLogits, labels }))
}
