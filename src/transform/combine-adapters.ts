import * as t from 'io-ts'
import { initialise } from '../kind/index.ts'
import type { Kinds } from '../kind/index.ts'
import { PositiveWhole } from '../kind/number-codecs.ts'
import { adopt, scope } from '../ops/index.ts'
import { issue, TransformFailure } from '../tree/error.ts'
import type { Issue } from '../tree/error.ts'
import { fold, key as seedKey } from '../tree/key.ts'
import type { Key } from '../tree/key.ts'
import type { Hole } from '../tree/leaf.ts'
import { showPath } from '../tree/walk.ts'
import { LoraKind } from '../weight/index.ts'
import { beside, changeOf, otherBases, trainedBases } from './change.ts'
import type { Change } from './change.ts'
import { lowRank, lowRankOf, product } from './low-rank.ts'
import type { Dense, Factors } from './low-rank.ts'
import { must, oneOf, requireOptions } from './options.ts'
import { dropped, elected, summed, trimmed } from './task-vectors.ts'
import type { TaskVector } from './task-vectors.ts'
import type { Adapter, AdapterPart, Spot } from './wear.ts'

/** How the changes that adapters make to a weight become one. */
export type Combination =
  /** The weighted sum itself, for LoRA: A beside A, B below B, so that ranks add up. */
  | { readonly how: 'cat' }
  /** LoRAs of one rank by the weighted sums of their A and of their B: not the sum of the changes, but their rank. */
  | { readonly how: 'linear_factors' }
  /** The best approximation of the weighted sum of rank `rank`. */
  | { readonly how: 'svd'; readonly rank: number }
  /** The share `density` of largest numbers of each change; their weighted sum, or where signs differ a vote and a mean. */
  | { readonly how: 'magnitude_prune' | 'ties'; readonly rank: number; readonly density: number }
  /** A share `density` of the numbers of each change at random, the larger for it. */
  | {
      readonly how: 'dare_linear' | 'dare_ties'
      readonly rank: number
      readonly density: number
      readonly key?: Key
    }

/** An adapter and the number that its change is multiplied by. */
export type Term = readonly [adapter: Adapter, weight: number]

const Share = t.refinement(t.number, (x) => x > 0 && x <= 1, 'a number in (0, 1]')
const rank = { rank: must(PositiveWhole) }
const sparse = { ...rank, density: must(Share) }
const tables = {
  cat: {},
  linear_factors: {},
  svd: rank,
  magnitude_prune: sparse,
  ties: sparse,
  dare_linear: sparse,
  dare_ties: sparse,
}

const hows = Object.keys(tables) as (keyof typeof tables)[]

const requireSense = (terms: readonly Term[], options: Combination): void => {
  const how = (options as { readonly how?: keyof typeof tables }).how ?? ('' as never)
  const table = Object.hasOwn(tables, how) ? tables[how] : {}
  requireOptions('combineAdapters', { how: must(oneOf(...hows)), ...table }, options)
  const issues: Issue[] = terms.flatMap(([, weight], i) =>
    Number.isFinite(weight)
      ? []
      : [issue('BadOption', `[${i}]`, 'a finite weight', String(weight), 'Give each adapter a number.')],
  )
  if (terms.length === 0)
    issues.push(issue('BadOption', '', 'at least one adapter', 'none', 'combineAdapters([[a, 0.5], [b, 0.5]], …)'))
  const named = Object.fromEntries(terms.map(([adapter], i) => [`[${i}]`, adapter]))
  issues.push(...trainedBases(named), ...otherBases(named))
  if (issues.length > 0) throw new TransformFailure(issues)
}

/** What the terms put at one place. */
interface Meeting {
  readonly path: readonly string[]
  readonly spot: Spot | undefined
  readonly parts: readonly { readonly node: unknown; readonly weight: number; readonly term: number }[]
}

const meetings = (terms: readonly Term[]): readonly Meeting[] => {
  const byPath = new Map<string, Meeting>()
  for (const [term, [{ parts, outline }, weight]] of terms.entries())
    for (const { path, node } of weight === 0 ? [] : parts) {
      const name = showPath(path)
      const before = byPath.get(name)?.parts ?? []
      byPath.set(name, { path, spot: outline[name], parts: [...before, { node, weight, term }] })
    }
  return [...byPath.values()]
}

type Weighed = Change & { readonly weight: number; readonly term: number }

const denseOf = (change: Change): Dense => ('dense' in change ? change.dense : product(change.factors))

const times = ({ a, b }: Factors, weight: number): Factors => ({
  a,
  b: { ...b, data: Float64Array.from(b.data, (x) => weight * x) },
})

interface Weighted extends Factors {
  readonly weight: number
  readonly scale: number
}

/** The root of weight and scale goes into A, and into B, which has the scale already; the sign into A. */
const addFactors = (all: readonly Weighted[]): Factors => {
  const total = (pick: 'a' | 'b'): Dense => ({
    ...all[0]![pick],
    data: summed(
      all.map(({ weight, scale, ...factors }) => {
        const root = Math.sqrt(Math.abs(weight * scale))
        const inB = scale === 0 ? 0 : root / scale
        return { data: factors[pick].data, weight: pick === 'a' ? Math.sign(weight * scale) * root : inB }
      }),
    ),
  })
  return { a: total('a'), b: total('b') }
}

const factored = (changes: readonly Weighed[]): readonly Weighted[] | undefined => {
  const all = changes.flatMap((c) => ('factors' in c ? [{ ...c.factors, weight: c.weight, scale: c.scale }] : []))
  return all.length === changes.length ? all : undefined
}

/** The change that the changes at one place become, or what keeps them from it. */
const combined = ({ path, spot }: Meeting, changes: readonly Weighed[], options: Combination): Factors | Issue => {
  const factors = factored(changes)
  const [rows = 0, columns = 0] = spot?.shape ?? []
  const approximate = (data: ArrayLike<number>, most: number): Factors => lowRank({ rows, columns, data }, most)
  const vectors = (sparsify: (data: ArrayLike<number>, term: number) => ArrayLike<number>): readonly TaskVector[] =>
    changes.map((c) => ({ data: sparsify(denseOf(c).data, c.term), weight: c.weight }))
  switch (options.how) {
    case 'cat':
      return factors === undefined
        ? issue('NotLowRank', showPath(path), 'LoRA, which has factors', 'a change without', 'Use svd, with a rank.')
        : beside(factors.map((f) => times(f, f.weight)))
    case 'linear_factors': {
      const ranks = new Set(factors?.map(({ a }) => a.columns))
      return factors === undefined || ranks.size > 1
        ? issue(
            'RankMismatch',
            showPath(path),
            'LoRAs of one rank',
            factors === undefined ? 'a change without factors' : `ranks ${[...ranks].join(', ')}`,
            'Use cat, which takes any ranks, or svd.',
          )
        : addFactors(factors)
    }
    case 'svd':
      return factors === undefined
        ? approximate(summed(vectors((data) => data)), options.rank)
        : lowRankOf(beside(factors.map((f) => times(f, f.weight))), options.rank)
    case 'magnitude_prune':
      return approximate(summed(vectors((data) => trimmed(data, options.density))), options.rank)
    case 'ties':
      return approximate(elected(vectors((data) => trimmed(data, options.density))), options.rank)
    case 'dare_linear':
    case 'dare_ties': {
      const { density, key = seedKey('dare') } = options
      const drawn = vectors((data, term) => dropped(data, density, fold(fold(key, term), showPath(path))))
      return approximate(options.how === 'dare_ties' ? elected(drawn) : summed(drawn), options.rank)
    }
  }
}

const tensorOf = ({ rows, columns, data }: Dense) => adopt(Float32Array.from(data), [rows, columns])

const loraPart = ({ path, spot }: Meeting, { a, b }: Factors): AdapterPart => {
  const dims = { in: a.rows, rank: a.columns, out: b.columns }
  const given = { a: tensorOf(a), b: tensorOf(b), alpha: 1, scaling: 'alpha', dropout: 0 }
  const { _tag, ...fields } = initialise(LoraKind, dims, seedKey(0), given, spot!.label) as { _tag: string }
  const base: Hole = { _tag: 'Hole', label: spot!.label }
  return { path, node: { _tag, base, ...fields } }
}

const run = (terms: readonly Term[], options: Combination, kinds: Kinds): Adapter => {
  requireSense(terms, options)
  const issues: Issue[] = []
  const parts = meetings(terms).flatMap((meeting): readonly AdapterPart[] => {
    const [first] = meeting.parts
    // What nothing is added to need not be a sum.
    if (options.how === 'cat' && meeting.parts.length === 1 && first?.weight === 1)
      return [{ path: meeting.path, node: first.node }]
    const changes = meeting.parts.flatMap(({ node, weight, term }): readonly Weighed[] => {
      const change = changeOf(node, meeting.spot, kinds)
      return change === undefined ? [] : [{ ...change, weight, term }]
    })
    const result =
      changes.length === meeting.parts.length ? combined(meeting, changes, options) : notAdditive(meeting, kinds)
    // A decomposition may well make numbers of what is none.
    const sound = '_tag' in result || (changes.every(isFinite) && areFinite(result.a, result.b))
    const part = sound ? result : notFinite(meeting.path)
    if ('_tag' in part) issues.push(part)
    return '_tag' in part ? [] : [loraPart(meeting, part)]
  })
  if (issues.length > 0) throw new TransformFailure(issues)
  return { _tag: 'Adapter', parts, outline: terms[0]![0].outline }
}

// What is finite in double precision may not be in the single precision of a tensor.
const areFinite = (...all: readonly Dense[]): boolean =>
  all.every(({ data }) => Array.from(data).every((x) => Number.isFinite(Math.fround(x))))

const isFinite = (change: Change): boolean =>
  'dense' in change ? areFinite(change.dense) : areFinite(change.factors.a, change.factors.b)

const notFinite = (path: readonly string[]): Issue =>
  issue(
    'NonFinite',
    showPath(path),
    'finite numbers',
    'NaN or an infinity',
    'One of the adapters, or a weight, has left the numbers.',
  )

const notAdditive = ({ path, spot, parts }: Meeting, kinds: Kinds): Issue =>
  issue(
    'NotAdditive',
    showPath(path),
    'changes that add to a weight, whatever the weight is',
    [
      ...new Set(parts.filter(({ node }) => changeOf(node, spot, kinds) === undefined).map(({ node }) => tagOf(node))),
    ].join(', '),
    'It cannot be weighed without its base. Alone at its place, with weight 1, `cat` keeps it as it is.',
  )

const tagOf = (node: unknown): string => {
  const tag = (node as { readonly _tag: string })._tag
  return tag === 'Param' ? 'a parameter trained in full' : tag
}

/** `combineAdapters` itself, and its form for weight variants of one's own. */
export interface CombineAdapters {
  (terms: readonly Term[], options: Combination): Adapter
  /** The same with kinds of one's own, by tag. */
  readonly knowing: (own: Kinds) => CombineAdapters
}

const combineKnowing = (own: Kinds): CombineAdapters =>
  Object.assign((terms: readonly Term[], options: Combination) => scope(() => run(terms, options, own)), {
    knowing: (more: Kinds) => combineKnowing({ ...own, ...more }),
  })

/**
 * Makes one adapter of several, each with a weight of its own, negative ones included.
 *
 * `cat` is exactly the weighted sum of their changes; the others are what their papers say of the dense changes, brought
 * down to LoRA of rank `rank` by singular values. A place that only some of them have is as if the others changed nothing there.
 * The result is LoRA, trainable and without dropout; where only one adapter has a place, `cat` with weight 1 keeps what is there.
 *
 * @throws TransformFailure `BadOption`, `BadDimension`, `BaseTrained`, `OtherBase`, `NotAdditive` for what is no sum (DoRA, prompts, what is
 *   trained in full), `NotLowRank`, `RankMismatch`, `NonFinite`; all places at once.
 * @example
 * ```ts
 * import { adapterOf, bytesAtRest, combineAdapters, detach, freeze, key, lora, pipe, sllm, wear } from 'espalier'
 * const base = freeze(sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0)))
 * const of = (rank: number) => adapterOf(pipe(base, lora({ at: '**.ln_1', rank, key: key(rank) })))
 * const both = combineAdapters([[of(2), 0.7], [of(3), -0.3]], { how: 'cat' })
 * bytesAtRest(both) // => 10_240
 * detach(pipe(base, wear(both))).out_head === base.out_head // => true
 * combineAdapters([[of(2), 1]], { how: 'ties', density: 1.5, rank: 2 }) // => Error: BadOption
 * ```
 * @source Ilharco et al. 2023, "Editing Models with Task Arithmetic", §2; Yadav et al. 2023, "TIES-Merging", §4; Yu et al. 2024,
 *   "Language Models are Super Mario" (DARE), §3.2.
 */
export const combineAdapters: CombineAdapters = combineKnowing({})
