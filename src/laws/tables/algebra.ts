import { equal } from '../../transform/index.ts'
import { EspalierError } from '../../tree/error.ts'
import { diff } from '../../tree/diff.ts'
import { sameStructure } from '../../tree/equal.ts'
import { fold, key } from '../../tree/key.ts'
import type { Key } from '../../tree/key.ts'
import { modify } from '../../tree/lens.ts'
import { leafPlaces, places, showPath } from '../../tree/walk.ts'
import { all, every, fails, holds, vacuous, verdict } from '../law.ts'
import type { Verdict } from '../law.ts'
import { salted } from '../models.ts'
import { structural } from '../transform-law.ts'
import type { TransformLaw } from '../transform-law.ts'
import { outputOf } from '../trial.ts'
import type { Trial } from '../trial.ts'
import { addedLeaves, difference, digestOf, perturbedBeyond } from '../values.ts'

/** A transform of whatever model type; laws give it models that fit it. */
export type AnyTransform = (model: never) => unknown

const run = (f: AnyTransform, model: unknown): unknown => f(model as never)

const differs = (a: unknown, b: unknown, what: string): Verdict =>
  equal(a, b) ? holds : fails(`${what}: ${diff(a, b).toString().split('\n')[0]}`)

/** A second time does nothing, and gives the same object back. */
export const idempotent: TransformLaw = structural({
  name: 'idempotent',
  says: 'A second time gives the same object back.',
  equality: 'reference',
  applies: ({ twice }) => twice === 'same',
  check: ({ model, transform }) => {
    const once = transform(model)
    const twice = transform(once)
    return all(
      () => differs(once, twice, 'a second time changed something'),
      () => verdict(once === twice, 'a second time gave an equal model, but not the same object'),
    )
  },
})

/** A second attach at the same place is a typed error and never nests in silence. */
export const secondAttachRefused: TransformLaw = structural({
  name: 'secondAttachRefused',
  says: 'Put on twice at one place, it is refused with a typed error.',
  equality: 'exact',
  applies: ({ twice }) => twice === 'refused',
  check: ({ model, transform }) => {
    const once = transform(model)
    try {
      const twice = transform(once)
      return fails(`the second time was accepted: ${diff(once, twice).toString().split('\n')[0]}`)
    } catch (error) {
      if (error instanceof EspalierError) return holds
      throw error
    }
  },
})

const sameObjects = (before: unknown, after: unknown): Verdict => {
  const now = new Map([...places(after)].map((p) => [p.route.join('.'), p.node]))
  return every(leafPlaces(before), (p) =>
    verdict(now.get(p.route.join('.')) === p.node, `${showPath(p.path)} is not the same leaf after detach`),
  )
}

/** Subtrees of the model that the transform left alone, which must come back as the same objects. */
const untouched = (before: unknown, tuned: unknown, after: unknown): Verdict => {
  const [then, now] = [tuned, after].map((t) => new Map([...places(t)].map((p) => [p.route.join('.'), p.node])))
  const same = [...places(before)].filter((p) => then?.get(p.route.join('.')) === p.node)
  return every(same, (p) =>
    verdict(
      now?.get(p.route.join('.')) === p.node,
      `${showPath(p.path) || 'the root'} had nothing attached, yet is a copy`,
    ),
  )
}

/**
 * `detach` gives back what was there: every leaf of the base and every subtree without an adapter is the same object,
 * and as long as the adapter exists the base computes what it always did, bit by bit.
 */
export const detachRestores: TransformLaw = structural({
  name: 'detachRestores',
  says: 'detach(f(m)) is m again, leaf for leaf the same objects; and meanwhile m computes what it always did.',
  equality: 'reference',
  applies: ({ detach }) => detach === 'restores',
  check: (trial) => {
    const { model, transform, tools, style } = trial
    const before = trial.forward && outputOf(trial, model)
    const fresh = transform(model)
    const tuned = perturbedBeyond(model, fresh, salted(trial, 'added'), style)
    if (addedLeaves(model, tuned).length === 0) return vacuous('the transform added no leaf')
    const after = tools.detach(tuned)
    return all(
      () => sameObjects(model, after),
      () => verdict(sameStructure(model, after), `something is left: ${diff(model, after).toString().split('\n')[0]}`),
      () => untouched(model, fresh, after),
      () => {
        if (before === undefined || trial.forward === undefined) return holds
        const found = difference(before, outputOf(trial, model))
        return verdict(found === undefined, `while the adapter exists, an output of the base ${found}`)
      },
    )
  },
})

/**
 * The law that two transforms on disjoint selections may be put on in either order.
 *
 * @example
 * ```ts
 * import { define, freeze, layer, linear, lora } from 'espalier'
 * import { check, commutesOnDisjoint } from 'espalier/laws'
 * const Net = define('Net', { up: linear('d', 'd'), down: linear('d', 'd') }, (n, x, ctx) =>
 *   layer(n.down, layer(n.up, x, ctx), ctx))
 * const law = commutesOnDisjoint(freeze.only({ at: '**.down' }))
 * check(lora({ at: '**.up', rank: 1 }), { on: Net, laws: [law], runs: 10 }).passed // => true
 * ```
 */
export const commutesOnDisjoint = (other: AnyTransform): TransformLaw =>
  structural({
    name: 'commutesOnDisjoint',
    says: 'f after g equals g after f where they act on different places.',
    equality: 'exact',
    check: ({ model, transform }) =>
      differs(transform(run(other, model)), run(other, transform(model)), 'the order shows'),
  })

/**
 * The law that acting on a subtree in place equals acting on the whole model under the longer pattern.
 *
 * @example
 * ```ts
 * import { define, key, layer, linear, lora } from 'espalier'
 * import { check, subtreeEqualsWhole } from 'espalier/laws'
 * const Net = define('Net', { up: linear('d', 'd'), down: linear('d', 'd') }, (n, x, ctx) =>
 *   layer(n.down, layer(n.up, x, ctx), ctx))
 * const law = subtreeEqualsWhole('up', lora({ at: '**', rank: 1, key: key(1) }))
 * check(lora({ at: '**.up', rank: 1, key: key(1) }), { on: Net, laws: [law], runs: 10 }).passed // => true
 * ```
 */
export const subtreeEqualsWhole = (path: string, inner: AnyTransform): TransformLaw =>
  structural({
    name: 'subtreeEqualsWhole',
    says: 'modify(m, path, f) equals f on the whole under the longer pattern, random numbers included.',
    equality: 'exact',
    check: ({ model, transform }) =>
      differs(modify(model as never, path as never, inner as never), transform(model), 'part and whole differ'),
  })

/** Two calls on one model give equal results: no hidden generator, clock or counter. */
export const deterministic: TransformLaw = structural({
  name: 'deterministic',
  says: 'The same model gives the same result, value for value.',
  equality: 'exact',
  check: ({ model, transform }) => differs(transform(model), transform(model), 'a second call gave something else'),
})

const isDrawn = (leaf: { readonly value: { readonly size: number } }): boolean => leaf.value.size >= 4

/** Random leaves that a transform made, by what they are and hold: constant ones, such as a B of zeros, are no draws. */
const drawsOf = (model: unknown, made: unknown): readonly (readonly [string, string])[] =>
  addedLeaves(model, made)
    .filter(isDrawn)
    .map((leaf) => [leaf.label, digestOf(leaf.value)] as const)

/**
 * The law that a key decides all that is random: the same key draws the same, another key other numbers, and every place
 * its own.
 *
 * A transform that draws nothing, or too little to tell draws apart, has no effective runs.
 *
 * @example
 * ```ts
 * import { define, layer, linear, lora } from 'espalier'
 * import { check, deterministicForKey } from 'espalier/laws'
 * const Net = define('Net', { fc: linear('in', 'out') }, (n, x, ctx) => layer(n.fc, x, ctx))
 * const law = deterministicForKey((key) => lora({ at: '**', rank: 2, key }))
 * check(lora({ at: '**', rank: 2 }), { on: Net, dims: { in: 4 }, laws: [law], runs: 10 }).passed // => true
 * ```
 */
export const deterministicForKey = (make: (key: Key) => AnyTransform): TransformLaw =>
  structural({
    name: 'deterministicForKey',
    says: 'The key decides what is drawn: equal keys equal numbers, other keys and other places other numbers.',
    equality: 'bitwise',
    check: (trial: Trial) => {
      const { model } = trial
      const draw = (k: Key): readonly (readonly [string, string])[] => drawsOf(model, run(make(k), model))
      const [one, again, other] = [draw(salted(trial, 1)), draw(salted(trial, 1)), draw(fold(key('other'), 2))]
      const still = one.filter(([, digest], i) => other[i]?.[1] === digest).map(([label]) => label)
      const random = one.filter(([label]) => !still.includes(label))
      if (one.length === 0) return vacuous('nothing was added that is large enough to tell draws apart')
      return all(
        () =>
          verdict(
            one.every(([, d], i) => again[i]?.[1] === d),
            'one key drew two different results',
          ),
        () => verdict(random.length > 0, `two keys drew the same numbers for ${still.join(', ')}`),
        () => {
          const twin = random.find(([, d], i) => random.findIndex(([, e]) => d === e) !== i)
          return verdict(twin === undefined, `${twin?.[0]} was drawn with the numbers of another place`)
        },
      )
    },
  })
