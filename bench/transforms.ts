/** What transforms themselves take, on models of many blocks; no engine is needed. */
import { detach, freeze, gpt2, key, leaves, lora, merge, partition, relabel } from 'espalier'
import { release, scope, uniform } from 'espalier/ops'
import { sizes } from './cases.ts'
import { bestOf, medianOf } from './contest.ts'
import type { Table } from './results.ts'

const narrow = (layers: number): object => ({ n_layer: layers, n_embd: 16, n_head: 2, vocab_size: 64, n_positions: 32 })

/** Milliseconds of each call; what a call allocates is freed outside of the clock. */
const timed = (f: () => unknown, keep: unknown, times: number): readonly number[] =>
  Array.from({ length: times }, () => {
    const start = performance.now()
    const made = f()
    const ms = performance.now() - start
    release(made, { keep })
    return ms
  })

/** How many leaves of what came out are the very ones that went in, and how many are new objects. */
const sharing = (before: unknown, after: unknown): readonly [shared: number, rebuilt: number] => {
  const old = new Set(leaves(before))
  const now = leaves(after)
  const shared = now.filter((leaf) => old.has(leaf)).length
  return [shared, now.length - shared]
}

const tableOf = (title: string, config: object, times: number): Table => {
  const model = gpt2.init(config, key(0))
  const base = freeze(model)
  const attach = lora({ at: '**.c_attn', rank: 8, key: key(1) })
  const start = performance.now()
  const tuned = attach(base)
  const first = performance.now() - start
  const named = (label: string): string => `model.${label}`
  const cases: readonly (readonly [name: string, before: unknown, f: () => unknown])[] = [
    ['attach LoRA', base, () => attach(base)],
    ['freeze', model, () => freeze(model)],
    ['freeze again', base, () => freeze(base)],
    ['merge', tuned, () => merge(tuned)],
    ['detach', tuned, () => detach(tuned)],
    ['partition, trainable half', tuned, () => partition(tuned).trainable],
    ['partition, frozen half', tuned, () => partition(tuned).frozen],
    ['map labels', tuned, () => relabel(tuned, named)],
  ]
  const { n_embd: d, n_layer: layers } = config as { n_embd: number; n_layer: number }
  const draw = (): void =>
    scope(() => {
      for (let i = 0; i < layers; i++) uniform(key(i), [d, 8], -1, 1)
    })
  const drawn = timed(draw, [], times)
  const table: Table = {
    title,
    columns: ['', 'best ms', 'median ms', 'shared leaves', 'rebuilt'],
    rows: cases.map(([name, before, f]) => {
      const ms = timed(f, [model, tuned], times)
      const after = f()
      const counts = sharing(before, after)
      release(after, { keep: [model, tuned] })
      return [name, bestOf(ms), medianOf(ms), ...counts]
    }),
    notes: [
      `Of attaching, drawing A takes ${bestOf(drawn).toFixed(2)} ms at best, ${medianOf(drawn).toFixed(2)} at the median.`,
      `The first attach of all took ${first.toFixed(1)} ms. Merging multiplies matrices, here on the plain JavaScript engine.`,
    ],
  }
  release(tuned, { keep: [] })
  release(model, { keep: [] })
  return table
}

/** A table for a model of 12 blocks, of 96, and for GPT-2 small. */
export const transforms = (tell: (table: Table) => void): void => {
  const { layers, d, heads } = sizes.gpt2
  tell(tableOf('Transforms: 12 narrow blocks', narrow(12), 31))
  tell(tableOf('Transforms: 96 narrow blocks', narrow(96), 31))
  tell(tableOf('Transforms: GPT-2 small', { n_layer: layers, n_embd: d, n_head: heads }, 7))
}
