import { mkdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { applyRecipe, bytesAtRest, count, curveSvg, detach, fit, isParam, key, leaves, merge } from 'espalier'
import type { AnySllm, ClassExample, Classifier, Fitted, Tensor } from 'espalier'
import { loadAdapter, orThrow, saveAdapter } from 'espalier/io'
import { abs, item, max, sub } from 'espalier/ops'
import { usual } from './methods.ts'
import type { Method } from './methods.ts'

const EPOCHS = 8
const BATCH = 64

/** What a job needs besides its method. */
export interface Setting {
  readonly task: Classifier<AnySllm>
  readonly train: readonly ClassExample[]
  readonly heldout: readonly ClassExample[]
  /** Where its files go. */
  readonly out: string
  readonly progress: boolean
}

/** A method put on a base: the base as the method wants it, and the model to be trained. */
export interface Prepared {
  readonly base: AnySllm
  readonly tuned: AnySllm
}

/** Puts a method on the frozen base; the same key gives the same adapter. */
export const prepare = (method: Method, base: AnySllm): Prepared => {
  const own: AnySllm = applyRecipe(method.base ?? [], key(1))(base)
  const tuned: AnySllm = applyRecipe(method.recipe, key(1))(own)
  return { base: method.fused === true ? (detach(tuned) as AnySllm) : own, tuned }
}

/** What came of a job. */
export interface Outcome {
  readonly fitted: Fitted<AnySllm, unknown>
  readonly accuracy: number
  readonly trainable: number
  readonly parameters: number
  /** Bytes of the adapter's tensors and their header. */
  readonly adapterBytes: number
  /** Bytes of the base as it is held. */
  readonly baseBytes: number
  readonly seconds: number
  /** Logits after saving and loading, against those before: 0 is the same to the bit. */
  readonly reloaded: number
  /** Logits after merging, against those before. */
  readonly merged: number
  /** Whether every frozen leaf of the base is the object it was. */
  readonly untouched: boolean
}

const furthest = (a: Tensor, b: Tensor): number => item(max(abs(sub(a, b))))

/** Trains a prepared model, saves its adapter, loads it again and merges it. */
export const run = async (method: Method, { base, tuned }: Prepared, setting: Setting): Promise<Outcome> => {
  const { task, train, heldout, out, progress } = setting
  const { optimiser = usual } = method
  await mkdir(out, { recursive: true })
  const total = EPOCHS * Math.ceil(train.length / BATCH)
  const started = performance.now()
  const fitted: Fitted<AnySllm, unknown> = await fit<AnySllm, ClassExample, Parameters<typeof task.loss>[1], unknown>(
    tuned,
    {
      data: train,
      collate: task.collate,
      loss: task.loss,
      optimiser: optimiser(tuned, method.rate, total),
      epochs: EPOCHS,
      batchSize: BATCH,
      key: key(2),
      tokens: (batch) => batch.ids.size,
      progress,
      metrics: join(out, 'metrics.jsonl'),
    },
  )
  const seconds = (performance.now() - started) / 1000
  const { model, history } = fitted
  await writeFile(join(out, 'loss.svg'), curveSvg(history))

  const sample = task.collate(heldout.slice(0, 32))
  const logits = (m: AnySllm): Tensor => task.logits(m, sample)
  const recipe = [{ freeze: {} }, ...(method.base ?? []), ...method.recipe]
  await orThrow(saveAdapter(model, join(out, 'adapter'), { recipe }))
  const again: AnySllm = await orThrow(loadAdapter(base, join(out, 'adapter')))
  const frozen = leaves(detach(model)).filter((leaf) => !isParam(leaf) || leaf.status === 'frozen')
  const ofBase = new Set<unknown>(leaves(base))
  return {
    fitted,
    accuracy: task.evaluate(model, heldout).accuracy,
    ...count(tuned),
    adapterBytes: (await stat(join(out, 'adapter', 'adapter.safetensors'))).size,
    baseBytes: bytesAtRest(base),
    seconds,
    reloaded: furthest(logits(model), logits(again)),
    merged: furthest(logits(model), logits(merge(model))),
    untouched: frozen.every((leaf) => ofBase.has(leaf)),
  }
}
