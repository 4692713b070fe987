import { key } from '../../tree/key.ts'
import { nest, ties, unsound } from '../../tree/labels.ts'
import { count } from '../../tree/count.ts'
import { EspalierError } from '../../tree/error.ts'
import { find } from '../../tree/select.ts'
import type { Selector } from '../../tree/select.ts'
import { BASE, below, childrenOf, isBranch, isLeafOrHole, leafPlaces, places, showPath } from '../../tree/walk.ts'
import type { Branch, Place } from '../../tree/walk.ts'
import { words } from '../../tree/key.ts'
import { deepFreeze } from '../deep-freeze.ts'
import { all, every, fails, holds, vacuous, verdict } from '../law.ts'
import type { Verdict } from '../law.ts'
import { salted } from '../models.ts'
import { structural } from '../transform-law.ts'
import type { TransformLaw } from '../transform-law.ts'
import type { Trial } from '../trial.ts'
import { digests, perturbed } from '../values.ts'

/** What did not stay as it was between two sets of digests. */
const changedValues = (before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): Verdict => {
  const path = [...before.keys()].find((p) => before.get(p) !== after.get(p))
  return path === undefined ? holds : fails(`the values of ${path} in the model that was given have changed`)
}

/** The model that a transform was given stays as it is: every record (frozen for the test) and every value (by digest). */
export const doesNotMutate: TransformLaw = structural({
  name: 'doesNotMutate',
  says: 'It writes neither to the records nor to the values of the model it is given.',
  equality: 'bitwise',
  check: (trial) => {
    const { model, transform, tools, declared } = trial
    deepFreeze(model)
    const before = digests(model)
    // Merging or detaching an adapter that is at its initial values could hide what they write.
    const tuned = deepFreeze(perturbed(transform(model), salted(trial, 'tuned')))
    const own = digests(tuned)
    return all(
      () => changedValues(before, digests(model)),
      () => {
        if (declared.detach === 'restores') tools.detach(tuned)
        if (declared.merge === 'exact') tools.merge(tuned)
        return changedValues(own, digests(tuned))
      },
      () => changedValues(before, digests(model)),
    )
  },
})

const isWithin = (route: readonly string[], outer: readonly string[]): boolean => outer.every((s, i) => route[i] === s)

const follow = (tree: unknown, route: readonly string[]): unknown =>
  route.reduce<unknown>(
    (node, name) => (isBranch(node) ? (node as Readonly<Record<string, unknown>>)[name] : undefined),
    tree,
  )

const ownKeys = (node: unknown): string =>
  isBranch(node)
    ? childrenOf(node)
        .map(([name]) => name)
        .join()
    : ''

/**
 * The law that everything off a selection is the same reference afterwards: leaves, and subtrees with nothing selected in them.
 *
 * A leaf that is tied to a selected one belongs to the selection.
 *
 * @example
 * ```ts
 * import { define, layer, linear, lora } from 'espalier'
 * import { check, touchesOnly } from 'espalier/laws'
 * const Net = define('Net', { up: linear('d', 'd'), down: linear('d', 'd') }, (n, x, ctx) =>
 *   layer(n.down, layer(n.up, x, ctx), ctx))
 * const laws = [touchesOnly('**.up')]
 * check(lora({ at: '**.up', rank: 1 }), { on: Net, laws, runs: 10 }).passed // => true
 * check(lora({ at: '**', rank: 1 }), { on: Net, laws, runs: 10 }).passed // => false
 * ```
 */
export const touchesOnly = (at: Selector): TransformLaw =>
  structural({
    name: 'touchesOnly',
    says: 'Whatever lies off its selection is the same reference afterwards.',
    equality: 'reference',
    check: ({ model, transform }) => {
      const selected = find(model, at)
      const theirs = new Set(selected.flatMap((p) => leafPlaces(p.node).map((l) => l.node)))
      const touched = (p: Place): boolean =>
        [...below(p)].some((q) => theirs.has(q.node as never) || selected.some((s) => isWithin(q.route, s.route)))
      const after = transform(model)
      const outside = [...places(model)].filter((p) => !selected.some((s) => isWithin(p.route, s.route)))
      return every(outside, (p) => {
        const now = follow(after, p.route)
        const path = showPath(p.path) || 'the root'
        if (!touched(p)) return verdict(now === p.node, `${path} is off the selection and no longer the same object`)
        if (isLeafOrHole(p.node)) return holds
        return verdict(ownKeys(now) === ownKeys(p.node), `${path} has other children than before: ${ownKeys(now)}`)
      })
    },
  })

/** The leaves that belong to no wrapper: what is put on and taken off again may well take a tie of its own with it. */
const plainLeaves = (node: unknown): readonly unknown[] => {
  if (!isBranch(node)) return isLeafOrHole(node) ? [node] : []
  return BASE in node ? [] : childrenOf(node).flatMap(([, child]) => plainLeaves(child))
}

/** A tree with something more in it; a record keeps its other paths. */
const beside = (tree: unknown, again: unknown): unknown =>
  isBranch(tree) && !isList(tree) && !('again' in tree) ? { ...tree, again } : { tree, again }

const isList = (x: Branch): x is readonly unknown[] => Array.isArray(x)

/** The same model with one of its leaves, drawn by a key, standing in a second place too. */
const withTie = (trial: Trial): { readonly model: unknown } | undefined => {
  const at = plainLeaves(trial.model)
  const leaf = at[(words(salted(trial, 'tie'), 1)[0] ?? 0) % Math.max(1, at.length)]
  if (leaf === undefined) return undefined
  return { model: beside(trial.model, leaf) }
}

const tiesKept = (before: unknown, after: unknown, what: string): Verdict => {
  // What has become a node, such as a weight in few bits, is one node in both places; of a wrapper the innermost counts.
  const now = new Map([...places(after)].map((p) => [showPath(p.path), p.node]))
  return every(Object.entries(ties(before)), ([label, paths]) => {
    const gone = paths.find((path) => now.get(path) === undefined)
    if (gone !== undefined) return fails(`${what}, nothing stands at ${gone}, where "${label}" was tied`)
    const first = now.get(paths[0] ?? '')
    const parted = paths.find((path) => now.get(path) !== first)
    return verdict(parted === undefined, `${what}, ${parted} and ${paths[0]}, tied as "${label}", are two leaves`)
  })
}

const isRefusal = (error: unknown, tag: string): boolean =>
  error instanceof EspalierError && error.issues.length > 0 && error.issues.every((i) => i._tag === tag)

// One place of a tie adapted and the other not: merging would leave two leaves of one label, and is refused.
const mergedTies = (tied: unknown, merge: () => unknown): Verdict => {
  try {
    return tiesKept(tied, merge(), 'once merged')
  } catch (error) {
    if (isRefusal(error, 'LabelClash'))
      return fails('merging is refused: the places of a tie would no longer be one leaf')
    throw error
  }
}

/** What was one leaf in two places is one leaf in the same two places afterwards, or the transform refuses as `TiedWeight`. */
export const keepsTies: TransformLaw = structural({
  name: 'keepsTies',
  says: 'Tied places stay one leaf, also once merged; what cannot keep a tie refuses it.',
  equality: 'reference',
  check: (trial) => {
    const tied = withTie(trial)
    if (tied === undefined) return vacuous('the model has no leaf')
    let after: unknown
    try {
      after = trial.transform(tied.model)
    } catch (error) {
      if (isRefusal(error, 'TiedWeight')) return holds
      throw error
    }
    return all(
      () => tiesKept(tied.model, after, 'afterwards'),
      () =>
        trial.declared.merge === 'none'
          ? holds
          : mergedTies(tied.model, () => trial.tools.merge(perturbed(after, salted(trial, 'tuned')))),
    )
  },
})

const sound = (tree: unknown, where: string): Verdict => {
  const [issue] = unsound(tree)
  return verdict(issue === undefined, `${where}, ${issue?.path} has ${issue?.found}: expected ${issue?.expected}`)
}

/** No label names two leaves: not afterwards, not when two models are put side by side under two names, not once merged. */
export const keepsLabelsUnique: TransformLaw = structural({
  name: 'keepsLabelsUnique',
  says: 'One label names one leaf: afterwards, side by side with a second model, and once merged.',
  equality: 'exact',
  check: ({ model, transform, tools, declared }) => {
    const after = transform(model)
    return all(
      () => sound(after, 'afterwards'),
      () => sound({ left: nest('left', after), right: nest('right', after) }, 'side by side'),
      () => sound({ left: transform(nest('left', model)), right: transform(nest('right', model)) }, 'with two models'),
      () => (declared.merge === 'none' ? holds : sound(tools.merge(perturbed(after, key(1))), 'once merged')),
    )
  },
})

/** A selection that hits nothing is refused as `NoMatch`; a transform never passes it over in silence. */
export const hitsOrRefuses: TransformLaw = structural({
  name: 'hitsOrRefuses',
  says: 'It does something, or refuses: a selection without a hit is no success.',
  equality: 'reference',
  applies: ({ detach }) => detach === 'restores',
  check: ({ model, transform }) => {
    try {
      return verdict(transform(model) !== model, 'the model came back as it was, and nothing was said')
    } catch (error) {
      if (isRefusal(error, 'NoMatch')) return holds
      throw error
    }
  },
})

/**
 * The law that exactly so many parameters are added, as a formula of the model; a setting that is passed over shows here.
 *
 * @example
 * ```ts
 * import { define, get, layer, linear, lora } from 'espalier'
 * import type { Param } from 'espalier'
 * import { check, countsAdd } from 'espalier/laws'
 * const Net = define('Net', { fc: linear('in', 'out') }, (n, x, ctx) => layer(n.fc, x, ctx))
 * const added = countsAdd((model) => 2 * (get(model as { fc: { weight: Param } }, 'fc.weight').value.shape[0]! + 3))
 * check(lora({ at: '**.fc', rank: 2 }), { on: Net, dims: { out: 3 }, laws: [added], runs: 10 }).passed // => true
 * ```
 */
export const countsAdd = (added: (model: unknown) => number): TransformLaw =>
  structural({
    name: 'countsAdd',
    says: 'It adds exactly the declared number of parameters.',
    equality: 'exact',
    check: ({ model, transform }) => {
      const [want, found] = [added(model), count(transform(model)).parameters - count(model).parameters]
      return verdict(want === found, `${found} parameters were added instead of ${want}`)
    },
  })
