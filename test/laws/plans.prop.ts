import { fc, test } from '@fast-check/vitest'
import { expect } from 'vitest'
import {
  EspalierError,
  attach,
  detach,
  freeze,
  get,
  key,
  leaves,
  lora,
  merge,
  unfreeze,
  unsound,
} from '../../src/index.ts'
import type { Param } from '../../src/index.ts'
import type { AnyTransform } from '../../src/laws/index.ts'
import { scope } from '../../src/ops/index.ts'
import { Plain } from './row.ts'
import { Scaled } from './table.ts'

/*
 * Random plans of transforms, against a model so simple that it is plainly right: for each path of the base, what is known
 * of it, in a Map. No tree, no selector and no tensor is in there.
 */

type Status = 'trainable' | 'frozen'

interface Spec {
  readonly matrix: boolean
  readonly status: Status
  /** Whether the value is still the one of the beginning. */
  readonly original: boolean
  readonly adapter?: { readonly tag: 'Lora' | 'Scaled'; readonly rank?: number; readonly status: Status }
}

type Naive = ReadonlyMap<string, Spec>

// What each pattern names in this one model, written out by hand.
const weights = ['fc1.weight', 'square.weight', 'fc2.weight']
const biases = ['fc1.bias', 'fc2.bias']
const patterns: Readonly<Record<string, readonly string[]>> = {
  '**': [...weights, ...biases],
  fc1: ['fc1.weight', 'fc1.bias'],
  '**.fc2': ['fc2.weight', 'fc2.bias'],
  square: ['square.weight'],
  '{fc1,square}': ['fc1.weight', 'fc1.bias', 'square.weight'],
  '**.weight': weights,
  '*.bias': biases,
  'fc2.weight': ['fc2.weight'],
}

interface Step {
  readonly name: 'freeze' | 'unfreeze' | 'lora' | 'scaled' | 'merge' | 'detach'
  /** Everything, where there is none. */
  readonly at: string | undefined
  readonly rank: number
}

const start: Naive = new Map<string, Spec>([
  ...weights.map((path) => [path, { matrix: true, status: 'trainable', original: true }] as const),
  ...biases.map((path) => [path, { matrix: false, status: 'trainable', original: true }] as const),
])

const marked =
  (status: Status) =>
  (s: Spec): Spec => ({ ...s, status, ...(s.adapter && { adapter: { ...s.adapter, status } }) })

const bare = ({ matrix, status, original }: Spec): Spec => ({ matrix, status, original })

const changed = (naive: Naive, at: readonly string[], f: (s: Spec) => Spec): Naive =>
  new Map([...naive].map(([path, s]) => [path, at.includes(path) ? f(s) : s]))

/** One step on the naive model; undefined where it must be refused. */
const naively = (naive: Naive, { name, at, rank }: Step): Naive | undefined => {
  const paths = at === undefined ? [...naive.keys()] : (patterns[at] ?? [])
  const specs = paths.map((path) => naive.get(path)!)
  if (name === 'freeze' || name === 'unfreeze')
    return changed(naive, paths, marked(name === 'freeze' ? 'frozen' : 'trainable'))
  if (name === 'lora' || name === 'scaled') {
    if (specs.some((s) => s.adapter) || !specs.some((s) => s.matrix)) return undefined
    const adapter =
      name === 'lora'
        ? ({ tag: 'Lora', rank, status: 'trainable' } as const)
        : ({ tag: 'Scaled', status: 'trainable' } as const)
    return changed(naive, paths, (s) => (s.matrix ? { ...s, adapter } : s))
  }
  if (at !== undefined && !specs.some((s) => s.adapter)) return undefined
  return changed(naive, paths, (s) => (s.adapter ? { ...bare(s), original: s.original && name === 'detach' } : s))
}

const knowing = merge.knowing({ Scaled })

const really = ({ name, at, rank }: Step): AnyTransform => {
  if (name === 'lora') return lora({ at: at ?? '**', rank })
  if (name === 'scaled') return attach(Scaled)({ at: at ?? '**' })
  const whole = { freeze, unfreeze, merge: knowing, detach }[name]
  return at === undefined ? whole : (whole.only.unchecked({ at }) as AnyTransform)
}

interface Wrapper {
  readonly _tag: 'Lora' | 'Scaled'
  readonly base: Param
  readonly a?: Param
  readonly scale?: Param
}

/** The real tree, read into the naive form. */
const described = (tree: unknown, first: unknown): Naive =>
  new Map(
    [...start].map(([path, { matrix }]) => {
      const node = get(tree as never, path as never) as Param | Wrapper
      const leaf = node._tag === 'Param' ? node : node.base
      const original = leaf.value === (get(first as never, path as never) as Param).value
      if (node._tag === 'Param') return [path, { matrix, status: leaf.status, original }]
      const [own] = leaves(node).filter((l): l is Param => l !== leaf && l._tag === 'Param')
      const rank = node.a?.value.shape[1]
      const adapter = { tag: node._tag, status: own!.status, ...(rank === undefined ? {} : { rank }) }
      return [path, { matrix, status: leaf.status, original, adapter }]
    }),
  )

const step: fc.Arbitrary<Step> = fc.record({
  name: fc.constantFrom('lora', 'freeze', 'unfreeze', 'scaled', 'merge', 'detach'),
  at: fc.option(fc.constantFrom(...Object.keys(patterns)), { nil: undefined }),
  rank: fc.integer({ min: 1, max: 3 }),
})

const attempted = (f: AnyTransform, tree: unknown): unknown => {
  try {
    return f(tree as never)
  } catch (error) {
    if (error instanceof EspalierError) return undefined
    throw error
  }
}

let [steps, refusals] = [0, 0]

test.prop([fc.array(step, { maxLength: 10 }), fc.nat()], { numRuns: 300 })(
  'any plan of transforms does what a Map of paths does, refusals included',
  (plan, seed) => {
    scope(() => {
      const first = Plain.init({ in: 2, hidden: 3, out: 2 }, key(seed))
      let [tree, naive]: [unknown, Naive] = [first, start]
      for (const s of plan) {
        const [next, expected] = [attempted(really(s), tree), naively(naive, s)]
        steps += 1
        if (expected === undefined) refusals += 1
        expect(next === undefined, JSON.stringify(s)).toBe(expected === undefined)
        tree = next === undefined ? tree : next
        naive = expected ?? naive
        expect(described(tree, first), JSON.stringify(s)).toEqual(naive)
        expect(unsound(tree)).toEqual([])
      }
      // What was never merged comes back as it was.
      const after = described(detach(tree), first)
      expect(after).toEqual(new Map([...naive].map(([path, s]) => [path, bare(s)])))
      return null
    })
    expect(plan.length).toBeLessThanOrEqual(10)
  },
)

test('plans are not mostly refused', () => {
  expect(steps).toBeGreaterThan(1000)
  expect(refusals / steps).toBeLessThan(0.6)
  expect(refusals / steps).toBeGreaterThan(0.05)
})
