import { adapterOf, freeze, isWrappedWeight, leafPlaces, materialize, places, showPath } from '../../../src/index.ts'
import type { Adapter, Combination, Key, Param, Term, mixed } from '../../../src/index.ts'
import { every, fails, holds, outputOf, perturbed, verdict } from '../../../src/laws/index.ts'
import type { TransformLaw, Trial, Verdict } from '../../../src/laws/index.ts'
import { salted } from '../../../src/laws/models.ts'
import { difference } from '../../../src/laws/values.ts'
import { context } from '../../../src/nn/index.ts'
import { read, words } from '../../../src/ops/index.ts'
import { puts } from './puts.ts'
import type { Put } from './puts.ts'

export type Laws = Readonly<Record<string, TransformLaw>>

/** What the laws are about; a broken one takes the place of one of them. */
export interface Hands {
  readonly wear: (adapter: Adapter) => (base: unknown) => unknown
  readonly wearEach: (base: unknown, adapters: Readonly<Record<string, Adapter>>) => Readonly<Record<string, unknown>>
  readonly combine: (terms: readonly Term[], options: Combination) => Adapter
  readonly padRank: (adapter: Adapter, rank: number) => Adapter
  readonly mixed: typeof mixed
  readonly byRow: (adapters: Readonly<Record<string, Adapter>>) => (base: unknown) => unknown
}

export const pick = <A>(from: readonly A[], key: Key): A => from[words(key, 1)[0]! % from.length]!

/** A base, and a model made of it with parts drawn, none of them zero. */
const tunedBy = (put: Put, trial: Trial, salt: string): { readonly base: unknown; readonly tuned: unknown } => {
  const base = freeze(trial.model)
  const key = salted(trial, salt)
  const only = (leaf: Param): boolean => leaf.status === 'trainable'
  return { base, tuned: perturbed(put(base, key), key, { style: trial.style, only }) }
}

export const drawnAdapter = (trial: Trial, salt: string, from = puts) => {
  const made = tunedBy(pick(from, salted(trial, `${salt} which`)), trial, salt)
  return { ...made, adapter: adapterOf<unknown>(made.tuned) }
}

export const sameLeaves = (a: unknown, b: unknown): boolean => {
  const [x, y] = [leafPlaces(a), leafPlaces(b)]
  return x.length === y.length && x.every((p, i) => p.node === y[i]!.node && p.route.join() === y[i]!.route.join())
}

export const sameOutput = (trial: Trial, a: unknown, b: unknown, tolerance = 0): Verdict => {
  const found = difference(outputOf(trial, a), outputOf(trial, b), tolerance)
  return found === undefined ? holds : fails(`outputs ${found}`)
}

const ctx = (trial: Trial) => context({ kinds: trial.kinds })

/** What each wrapped weight of a model adds to that of its base, by path. */
export const changes = (trial: Trial, base: unknown, model: unknown): ReadonlyMap<string, Float64Array> => {
  const of = new Map(leafPlaces(base).map((p) => [showPath(p.path), read(p.node.value)]))
  return new Map(
    [...places(model)]
      .filter(({ node, route }) => isWrappedWeight(node) && route.at(-1) !== 'base')
      .map(({ node, path }) => {
        const before = of.get(showPath(path))!
        return [
          showPath(path),
          Float64Array.from(read(materialize(node as never, ctx(trial))), (x, i) => x - before[i]!),
        ] as const
      }),
  )
}

export const zero = (n: number): Float64Array => new Float64Array(n)

/** Σ weight · change at each place. */
export const weighted = (all: readonly (readonly [ReadonlyMap<string, Float64Array>, number])[]) => {
  const paths = new Set(all.flatMap(([c]) => [...c.keys()]))
  return new Map(
    [...paths].map((path) => {
      const size = all.flatMap(([c]) => c.get(path)?.length ?? [])[0]!
      return [path, zero(size).map((_, i) => all.reduce((s, [c, w]) => s + w * (c.get(path)?.[i] ?? 0), 0))] as const
    }),
  )
}

export const closeMaps = (
  expected: ReadonlyMap<string, Float64Array>,
  found: ReadonlyMap<string, Float64Array>,
  tolerance: number,
): Verdict =>
  every([...expected], ([path, want]) => {
    const got = found.get(path) ?? zero(want.length)
    const size = Math.max(1, ...want.map(Math.abs))
    const at = want.findIndex((x, i) => !(Math.abs(x - got[i]!) <= tolerance * size))
    return verdict(at < 0, `${path}[${at}] adds ${got[at]} instead of ${want[at]}`)
  })

export const norm = (x: Float64Array): number => Math.sqrt(x.reduce((s, v) => s + v * v, 0))

// W + Δ is rounded in float32, and Δ is what is left of it.
export const rounding = 1e-5

export const inexact = { equality: 'tolerance' } as const
