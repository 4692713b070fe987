import { fold, showPath, wear } from '../../../src/index.ts'
import type { Adapter, Combination, Key, Param, Term } from '../../../src/index.ts'
import { all, every, structural, verdict } from '../../../src/laws/index.ts'
import type { Trial } from '../../../src/laws/index.ts'
import { salted } from '../../../src/laws/models.ts'
import { drawn } from '../../../src/laws/values.ts'
import { read, words } from '../../../src/ops/index.ts'
import { additives, loras } from './puts.ts'
import { changes, closeMaps, drawnAdapter, inexact, norm, rounding, sameLeaves, weighted } from './subjects.ts'
import type { Hands, Laws } from './subjects.ts'

/** The best change of a rank by alternating least squares, an algorithm that has nothing in common with Jacobi's. */
const alternating = (delta: Float64Array, columns: number, rank: number, key: Key): Float64Array => {
  const rows = delta.length / columns
  const k = Math.min(rank, rows, columns)
  let right = Array.from({ length: k }, (_, j) => [...read(drawn(fold(key, j), [columns], 'float'))])
  let left: number[][] = []
  const orthogonal = (vectors: readonly number[][]): number[][] => {
    const out: number[][] = []
    for (const v of vectors) {
      const rest = [...v]
      for (let pass = 0; pass < 2; pass++)
        for (const q of out) {
          const share = q.reduce((s, x, i) => s + x * rest[i]!, 0)
          q.forEach((x, i) => (rest[i]! -= share * x))
        }
      const length = Math.sqrt(rest.reduce((s, x) => s + x * x, 0))
      out.push(length < 1e-12 ? rest.map(() => 0) : rest.map((x) => x / length))
    }
    return out
  }
  for (let i = 0; i < 300; i++) {
    right = orthogonal(right)
    left = right.map((r) =>
      Array.from({ length: rows }, (_, row) => r.reduce((s, x, c) => s + x * delta[row * columns + c]!, 0)),
    )
    const q = orthogonal(left)
    right = q.map((l) =>
      Array.from({ length: columns }, (_, c) => l.reduce((s, x, row) => s + x * delta[row * columns + c]!, 0)),
    )
  }
  const q = orthogonal(right)
  const projections = q.map((r) =>
    Array.from({ length: rows }, (_, row) => r.reduce((s, x, c) => s + x * delta[row * columns + c]!, 0)),
  )
  return delta.map((_, i) => {
    const [row, c] = [Math.floor(i / columns), i % columns]
    return q.reduce((s, r, j) => s + r[c]! * projections[j]![row]!, 0)
  })
}

/** Several adapters as one. */
export const combiningLaws = (hands: Hands) => {
  const changeOf = (trial: Trial, base: unknown, adapter: Adapter) => changes(trial, base, wear(adapter)(base))
  /** Two adapters that may be added, and their weights, one of them negative. */
  const terms = (trial: Trial, from = loras) => {
    const [a, b] = ['a', 'b'].map((salt) => drawnAdapter(trial, salt, from))
    return { base: a!.base, of: [[a!.adapter, 0.75] as const, [b!.adapter, -0.5] as const] as const }
  }
  const sumOf = (trial: Trial, base: unknown, all: readonly Term[]) =>
    weighted(all.map(([adapter, w]) => [changeOf(trial, base, adapter), w] as const))

  const combineIsSum = structural({
    name: 'combineIsSum',
    says: 'What adapters combined by `cat` add is the weighted sum of what each adds.',
    ...inexact,
    check: (trial) => {
      const { base, of } = terms(trial)
      const both = hands.combine(of, { how: 'cat' })
      return closeMaps(sumOf(trial, base, of), changeOf(trial, base, both), rounding)
    },
  })

  const combineOne = structural({
    name: 'combineOne',
    says: 'One adapter with weight 1 is what it was, whatever its kind; with weight −1 LoRA adds the opposite.',
    ...inexact,
    check: (trial) => {
      const { base, adapter, tuned } = drawnAdapter(trial, 'a')
      const { adapter: l } = drawnAdapter(trial, 'l', loras)
      return all(
        () => verdict(sameLeaves(wear(hands.combine([[adapter, 1]], { how: 'cat' }))(base), tuned), 'another adapter'),
        ...(['cat', 'linear_factors'] as const).map(
          (how) => () =>
            closeMaps(
              sumOf(trial, base, [[l, -1]]),
              changeOf(trial, base, hands.combine([[l, -1]], { how })),
              rounding,
            ),
        ),
      )
    },
  })

  const ranksAdd = structural({
    name: 'ranksAdd',
    says: 'The rank of adapters combined by `cat` is the sum of theirs.',
    equality: 'exact',
    check: (trial) => {
      const { of } = terms(trial)
      const ranks = (adapter: Adapter) =>
        new Map(
          adapter.parts.map(({ path, node }) => [showPath(path), (node as { readonly a: Param }).a.value.shape[1]!]),
        )
      const both = ranks(hands.combine(of, { how: 'cat' }))
      return every([...both], ([path, rank]) => {
        const want = of.reduce((n, [adapter]) => n + (ranks(adapter).get(path) ?? 0), 0)
        return verdict(rank === want, `${path} has rank ${rank} instead of ${want}`)
      })
    },
  })

  const svdIsBest = structural({
    name: 'svdIsBest',
    says: 'No change of the same rank is nearer to the weighted sum than that of `svd`; of a rank that suffices it is the sum.',
    ...inexact,
    check: (trial) => {
      const { base, of } = terms(trial, additives)
      const want = sumOf(trial, base, of)
      const rank = 1 + (words(salted(trial, 'rank'), 1)[0]! % 2)
      const found = changeOf(trial, base, hands.combine(of, { how: 'svd', rank }))
      const spots = of[0][0].outline
      return all(
        () => closeMaps(want, changeOf(trial, base, hands.combine(of, { how: 'svd', rank: 99 })), 10 * rounding),
        () =>
          every([...want], ([path, delta]) => {
            const columns = spots[path]!.shape[1]!
            const [got, other] = [found.get(path)!, alternating(delta, columns, rank, salted(trial, path))]
            const error = (x: Float64Array): number => norm(delta.map((d, i) => d - x[i]!))
            return verdict(
              error(got) <= error(other) + 1e-4 * Math.max(1, norm(delta)),
              `${path}: an error of ${error(got)} where ${error(other)} is possible`,
            )
          }),
      )
    },
  })

  const orderIsIrrelevant = structural({
    name: 'orderIsIrrelevant',
    says: 'The order in which adapters are named does not matter.',
    ...inexact,
    check: (trial) => {
      const { base, of } = terms(trial)
      const hows: readonly Combination[] = [
        { how: 'cat' },
        { how: 'svd', rank: 2 },
        { how: 'ties', rank: 99, density: 0.5 },
        { how: 'magnitude_prune', rank: 99, density: 0.5 },
      ]
      return every(hows, (how) =>
        closeMaps(
          changeOf(trial, base, hands.combine(of, how)),
          changeOf(trial, base, hands.combine([of[1], of[0]], how)),
          10 * rounding,
        ),
      )
    },
  })

  const denseIsDeclared = structural({
    name: 'denseIsDeclared',
    says: 'With density 1 pruning and DARE are the weighted sum, and TIES the mean of those that agree with the greater mass.',
    ...inexact,
    check: (trial) => {
      const { base, of } = terms(trial, additives)
      const want = sumOf(trial, base, of)
      const parts = of.map(([adapter, w]) => weighted([[changeOf(trial, base, adapter), w]]))
      const vote = new Map(
        [...want].map(([path, total]) => [
          path,
          total.map((t, i) => {
            const agreeing = parts.map((p) => p.get(path)?.[i] ?? 0).filter((x) => x * t > 0)
            return agreeing.length === 0 ? 0 : agreeing.reduce((a, b) => a + b, 0) / agreeing.length
          }),
        ]),
      )
      const of1 = (how: 'magnitude_prune' | 'dare_linear' | 'ties' | 'dare_ties') =>
        changeOf(trial, base, hands.combine(of, { how, rank: 99, density: 1 }))
      // Where a number is nothing but rounding, its sign is anybody's guess.
      const unsettled = (path: string, i: number): boolean =>
        [want, ...parts].some((p) => Math.abs(p.get(path)?.[i] ?? 1) < 1e-4)
      const settled = (m: ReadonlyMap<string, Float64Array>) =>
        new Map([...m].map(([path, x]) => [path, x.map((v, i) => (unsettled(path, i) ? 0 : v))]))
      return all(
        () => closeMaps(want, of1('magnitude_prune'), 10 * rounding),
        () => closeMaps(want, of1('dare_linear'), 10 * rounding),
        () => closeMaps(settled(vote), settled(of1('ties')), 10 * rounding),
        () => closeMaps(settled(vote), settled(of1('dare_ties')), 10 * rounding),
      )
    },
  })

  return { combineIsSum, combineOne, ranksAdd, svdIsBest, orderIsIrrelevant, denseIsDeclared } satisfies Laws
}
