import { expect, test } from 'vitest'
import { detach, freeze, key, lora, merge, partition, places, relabel, sllm } from '../../src/index.ts'
import { isBranch } from '../../src/tree/walk.ts'

/** The same tree, each record of which counts how often someone asks for what is in it. */
const counted = (node: unknown, reads: { count: number }): unknown => {
  if (!isBranch(node)) return node
  if (Array.isArray(node)) return Array.from(node, (child: unknown) => counted(child, reads))
  const copy: object = {}
  for (const [name, child] of Object.entries(node)) {
    const inner = counted(child, reads)
    const get = (): unknown => {
      reads.count++
      return inner
    }
    Object.defineProperty(copy, name, { get, enumerable: true })
  }
  return copy
}

const small = { ...sllm.config.seed, d_model: 4, d_head: 2, vocab_size: 5, context_window: 4 }
const lorad = lora.unchecked({ at: '**.Wq', rank: 1 })
const plain = (layers: number): unknown => sllm.init({ ...small, n_layers: layers }, key(0))
const attached = (layers: number): unknown => lorad(freeze(plain(layers)))

/** How often a function reads a part of a model, for each block that is more; it must be the same for each. */
const readsOfBlock = (make: (layers: number) => unknown, f: (model: unknown) => unknown): number => {
  const readsOf = (layers: number): number => {
    const reads = { count: 0 }
    f(counted(make(layers), reads))
    return reads.count
  }
  const [one, few, many] = [readsOf(1), readsOf(5), readsOf(33)] as const
  expect(many - one).toBe(8 * (few - one))
  return (few - one) / 4
}

test.each([
  ['attach', 8, plain, (m: unknown) => lorad(m)],
  ['freeze', 3, plain, (m: unknown) => freeze(m)],
  ['merge', 5, attached, (m: unknown) => merge(m)],
  ['detach', 3, attached, (m: unknown) => detach(m)],
  ['partition', 4, attached, (m: unknown) => partition(m)],
  ['relabel', 2, attached, (m: unknown) => relabel(m, (label) => `m.${label}`)],
])('%s goes over a model at most %i times, however many blocks it has', (_, most, make, transform) => {
  const once = readsOfBlock(make, (m) => [...places(m)])
  const walks = readsOfBlock(make, transform) / once
  expect(walks).toBeGreaterThan(0.5)
  expect(walks).toBeLessThanOrEqual(most)
})
