import { expect } from 'vitest'
import { EspalierError, equal, key, leaves, mapLeaves, sllm } from '../src/index.ts'
import type { Issue, Sllm } from '../src/index.ts'
import { memory, normal, read, scope, tensor } from '../src/ops/index.ts'
import type { Tensor } from '../src/ops/index.ts'

/** An SLLM that is small in every size, with all sizes different. */
export const tiny = {
  ...sllm.config.seed,
  d_model: 6,
  d_head: 4,
  n_heads: 3,
  vocab_size: 11,
  context_window: 9,
}

export const tinySllm = (seed = 0): Sllm => sllm.init(tiny, key(seed))

export const idsOf = (rows: readonly (readonly number[])[]): Tensor =>
  tensor(
    rows.map((r) => [...r]),
    undefined,
    'int32',
  )

/** The issues that a call throws; anything else that it throws, or nothing, fails the test. */
export const issuesOf = (f: () => unknown): readonly Issue[] => {
  try {
    f()
  } catch (e) {
    if (e instanceof EspalierError) return e.issues
    throw e
  }
  throw new Error('nothing was thrown')
}

export const messageOf = (f: () => unknown): string => {
  try {
    f()
  } catch (e) {
    if (e instanceof EspalierError) return e.message
    throw e
  }
  throw new Error('nothing was thrown')
}

/** What a refused step throws; the model has the same values afterwards, and no tensor is left over. */
export const refused = (model: unknown, step: (model: never) => unknown): readonly Issue[] => {
  const before = leaves(model).map((l) => read(l.value))
  const live = memory().tensors
  const issues = issuesOf(() => step(model as never))
  expect(memory().tensors).toBe(live)
  expect(leaves(model).map((l) => read(l.value))).toEqual(before)
  return issues
}

/** `tag path` of each issue, for short expectations. */
export const brief = (issues: readonly Issue[]): readonly string[] => issues.map((i) => `${i._tag} ${i.path}`)

/** The model with a loud value in every leaf of which the label is chosen, such as an adapter's B, which begins at zero. */
export const loud = <M>(model: M, which: (label: string) => boolean): M =>
  mapLeaves(model, (leaf) =>
    which(leaf.label) && 'value' in leaf ? { ...leaf, value: normal(key(leaf.label), leaf.value.shape) } : leaf,
  ) as M

export const data = (t: Tensor): readonly number[] => [...read(t)]

/** The largest difference of two tensors, relative to the largest element of the second. */
export const distance = (a: Tensor, b: Tensor | readonly number[]): number => {
  const [x, y] = [data(a), 'shape' in b ? data(b) : b]
  expect(x.length).toBe(y.length)
  const most = Math.max(...y.map(Math.abs))
  return Math.max(...x.map((v, i) => Math.abs(v - (y[i] ?? Number.NaN)))) / most
}

/** How many tensors a call leaves behind. */
export const tensorsLeftBy = (f: () => unknown): number => {
  const before = memory().tensors
  f()
  return memory().tensors - before
}

/** The numbers of what is computed, with everything it took freed. */
export const numbers = (f: () => Tensor): readonly number[] => scope(() => data(f()))

export { equal }
