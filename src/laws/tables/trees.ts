import { Applicative as identity } from 'fp-ts/lib/Identity.js'
import { equal } from '../../transform/index.ts'
import { count } from '../../tree/count.ts'
import { diff } from '../../tree/diff.ts'
import { sameStructure } from '../../tree/equal.ts'
import { EspalierError } from '../../tree/error.ts'
import type { Key } from '../../tree/key.ts'
import { words } from '../../tree/key.ts'
import { nest, relabel, ties, unsound, untie } from '../../tree/labels.ts'
import { isHole, isLeaf, isParam, withStatus } from '../../tree/leaf.ts'
import type { Constant, Hole, Param } from '../../tree/leaf.ts'
import { get, modify, set, traverse } from '../../tree/lens.ts'
import { combine, partition } from '../../tree/partition.ts'
import { find, select } from '../../tree/select.ts'
import { show } from '../../tree/show.ts'
import { isBranch, leafPlaces, leaves, mapLeaves, places, replaceAt, showPath } from '../../tree/walk.ts'
import type { Place } from '../../tree/walk.ts'
import { all, every, holds, verdict } from '../law.ts'
import type { Equality, Law, Verdict } from '../law.ts'

/** What one run of a tree law is given. */
export interface TreeRun {
  readonly tree: unknown
  /** For whatever the law draws. */
  readonly key: Key
}

const law = (name: string, says: string, equality: Equality, check: (run: TreeRun) => Verdict): Law<TreeRun> => ({
  name,
  says,
  equality,
  check,
})

type AnyLeaf = Param | Constant | Hole

const frozen = (leaf: AnyLeaf): AnyLeaf => (isParam(leaf) ? withStatus(leaf, 'frozen') : leaf)
const marked = (leaf: AnyLeaf): AnyLeaf => ({ ...leaf, label: `${leaf.label}!` })

const pathOf = (p: Place): string => showPath(p.path)

// A wrapper and what it wraps share a path, which names the outer of the two; the root has none.
const outermost = (tree: unknown): readonly Place[] => {
  const seen = new Set<string>([''])
  return [...places(tree)].filter((p) => !seen.has(pathOf(p)) && seen.add(pathOf(p)))
}

const getAny = get as (tree: unknown, path: string) => unknown
const setAny = set as (tree: unknown, path: string, value: unknown) => unknown
const modifyAny = modify as (tree: unknown, path: string, f: (node: unknown) => unknown) => unknown

const mapIdentity = law('mapIdentity', 'mapLeaves(id) gives the same object back.', 'reference', ({ tree }) =>
  verdict(mapLeaves(tree, (leaf) => leaf) === tree, 'a copy came back'),
)

const mapComposes = law('mapComposes', 'mapLeaves(g ∘ f) = mapLeaves(g) ∘ mapLeaves(f).', 'exact', ({ tree }) => {
  const [at, after] = [
    mapLeaves(tree, (l) => marked(frozen(l))),
    mapLeaves(mapLeaves(tree, frozen), (l) => marked(l as AnyLeaf)),
  ]
  return verdict(sameStructure(at, after), String(diff(at, after)))
})

const mapKeepsTies = law('mapKeepsTies', 'mapLeaves keeps tied places one leaf.', 'reference', ({ tree }) => {
  const after = mapLeaves(tree, marked)
  return verdict(
    leaves(after).length === leaves(tree).length,
    `${leaves(tree).length} leaves became ${leaves(after).length}`,
  )
})

const traverseOrder = law(
  'traverseOrder',
  'traverse visits leaves in path order, and with the identity rebuilds nothing.',
  'reference',
  ({ tree }) => {
    if (leaves(tree).length === 0) return holds
    const seen: string[] = []
    const visit = (node: unknown, path: string): unknown => {
      seen.push(path)
      return node
    }
    const after = traverse(identity as never)(tree, (_: string, node: unknown) => isLeaf(node), visit as never)
    const want = leafPlaces(tree).map(pathOf)
    return all(
      () => verdict(seen.join('|') === want.join('|'), `visited ${seen.join(', ')} instead of ${want.join(', ')}`),
      () => verdict((after as unknown) === tree, 'a copy came back'),
    )
  },
)

const onEveryPath = (tree: unknown, judge: (path: string, node: unknown) => Verdict): Verdict =>
  every(outermost(tree), (p) => judge(pathOf(p), p.node))

const getSet = law('getSet', 'set(get) = id.', 'reference', ({ tree }) =>
  onEveryPath(tree, (path) => verdict(setAny(tree, path, getAny(tree, path)) === tree, `at ${path}, a copy came back`)),
)

const setGet = law('setGet', 'get(set(v)) = v.', 'reference', ({ tree }) =>
  onEveryPath(tree, (path, node) => {
    const put = isBranch(node) ? { put: leaves(tree)[0] ?? [] } : { ...(node as object) }
    return verdict(getAny(setAny(tree, path, put), path) === put, `at ${path}, something else is there`)
  }),
)

const setSet = law('setSet', 'set(v) after set(w) = set(v).', 'exact', ({ tree }) =>
  onEveryPath(tree, (path) => {
    const [v, w] = [{ v: [] }, { w: [] }]
    return verdict(sameStructure(setAny(setAny(tree, path, w), path, v), setAny(tree, path, v)), `at ${path}`)
  }),
)

const modifyIsSetGet = law('modifyIsSetGet', 'modify(f) = set(f(get)).', 'exact', ({ tree }) =>
  onEveryPath(tree, (path) => {
    const f = (node: unknown): unknown => ({ held: node })
    return verdict(sameStructure(modifyAny(tree, path, f), setAny(tree, path, f(getAny(tree, path)))), `at ${path}`)
  }),
)

const setKeepsTheRest = law(
  'setKeepsTheRest',
  'set leaves all that is off the way the same object.',
  'reference',
  ({ tree }) =>
    every(outermost(tree), (p) => {
      const after = new Map([...places(setAny(tree, pathOf(p), {}))].map((q) => [q.route.join('/'), q.node]))
      const related = (q: Place): boolean => q.route.slice(0, p.route.length).every((s, i) => s === p.route[i])
      return every(
        [...places(tree)].filter((q) => !related(q)),
        (q) => verdict(after.get(q.route.join('/')) === q.node, `set at ${pathOf(p)} changed ${pathOf(q)}`),
      )
    }),
)

const copied = (node: unknown): unknown => {
  if (Array.isArray(node)) return node.map(copied)
  if (isBranch(node)) return Object.fromEntries(Object.entries(node).map(([k, v]) => [k, copied(v)]))
  return isLeaf(node) || isHole(node) ? { ...node } : node
}

const equalIsEquality = law(
  'equalIsEquality',
  'A tree equals itself and its copy, and no tree with one leaf otherwise.',
  'exact',
  ({ tree, key }) => {
    const copy = copied(tree)
    const at = leafPlaces(tree)
    const place = at[(words(key, 1)[0] ?? 0) % Math.max(1, at.length)]
    return all(
      () => verdict(equal(tree, tree) && equal(tree, copy) && equal(copy, tree), 'a copy is not equal'),
      () => {
        if (place === undefined) return holds
        const other = replaceAt(tree, [{ route: place.route, value: marked(place.node) }])
        return verdict(!equal(tree, other) && !equal(other, tree), `the label at ${pathOf(place)} was not looked at`)
      },
      () => {
        if (place === undefined || !isParam(place.node)) return holds
        const status = place.node.status === 'frozen' ? 'trainable' : 'frozen'
        const other = replaceAt(tree, [{ route: place.route, value: withStatus(place.node, status) }])
        return verdict(!equal(tree, other), `the status at ${pathOf(place)} was not looked at`)
      },
    )
  },
)

/** A way to split a model in two and to put it together again. */
export interface Splitting {
  /** Splits a model into what training may change and the rest. */
  readonly partition: (model: unknown) => { readonly trainable: unknown; readonly frozen: unknown }
  /** Puts the two halves together again. */
  readonly combine: (parts: { readonly trainable: unknown; readonly frozen: unknown }) => unknown
}

/** The laws of a way to split a model: parts are disjoint, nothing is lost or copied, and overlapping halves are refused. */
export const splittingLaws = ({ partition, combine }: Splitting): readonly Law<TreeRun>[] => [
  law(
    'combinePartition',
    'combine(partition(m)) is m: every leaf the same object, in exactly one half.',
    'reference',
    ({ tree }) => {
      const parts = partition(tree)
      const [a, b] = [leaves(parts.trainable), leaves(parts.frozen)]
      return all(
        () => {
          const both = a.find((leaf) => b.includes(leaf))
          return verdict(both === undefined, `${both?.label} stands in both halves`)
        },
        () => verdict(a.length + b.length === leaves(tree).length, 'a leaf is in neither half'),
        () =>
          verdict(
            a.every((l) => isParam(l) && l.status === 'trainable'),
            'the trainable half holds something else',
          ),
        () => {
          const back = combine(parts)
          const moved = leafPlaces(back).find((p, i) => leafPlaces(tree)[i]?.node !== p.node)
          return all(
            () => verdict(sameStructure(back, tree), String(diff(tree, back))),
            () => verdict(moved === undefined, `${showPath(moved?.path ?? [])} is a copy`),
          )
        },
      )
    },
  ),
  law('combineRefusesOverlap', 'combine refuses halves that both have a leaf.', 'exact', ({ tree }) => {
    const { frozen } = partition(tree)
    try {
      combine({ trainable: tree, frozen })
    } catch (error) {
      return verdict(error instanceof EspalierError, `threw ${String(error)}`)
    }
    return verdict(leaves(frozen).length === 0, 'one of two leaves was taken in silence')
  }),
]

const nestPrefixes = law(
  'nestPrefixes',
  'nest puts a name before each label, keeps ties, and relabel takes it off again.',
  'exact',
  ({ tree }) => {
    const nested = nest('one', tree)
    const back = relabel(nested, (label) => label.slice('one.'.length))
    return all(
      () =>
        verdict(
          leaves(nested).every((l) => l.label.startsWith('one.')),
          'a label without the name',
        ),
      () => verdict(leaves(nested).length === leaves(tree).length, 'a tie was parted'),
      () => verdict(equal(back, tree), String(diff(tree, back))),
      () => verdict(unsound({ a: nested, b: nest('two', tree) }).length === 0, 'two models under two names clash'),
    )
  },
)

const clashesAreFound = law(
  'clashesAreFound',
  'One label on two leaves is a LabelClash that names both paths.',
  'exact',
  ({ tree }) => {
    const [place] = leafPlaces(tree)
    if (place === undefined) return holds
    const issues = unsound({ first: tree, second: { ...place.node } })
    const clash = issues.find((i) => i._tag === 'LabelClash')
    const named =
      clash !== undefined && `${clash.path} ${clash.found}`.includes('second') && clash.found.includes('first.')
    return verdict(named, JSON.stringify(issues))
  },
)

const untieParts = law(
  'untieParts',
  'untie parts every tie under its selection and nothing else; tensors stay shared.',
  'reference',
  ({ tree }) => {
    if (leaves(tree).length === 0) return holds
    const after = untie(tree, '**')
    const [was, is] = [leafPlaces(tree), leafPlaces(after)]
    return all(
      () => verdict(Object.keys(ties(after)).length === 0, `still tied: ${JSON.stringify(ties(after))}`),
      () => verdict(unsound(after).length === 0, 'labels clash afterwards'),
      () =>
        verdict(
          is.every((p, i) => p.node.value === was[i]?.node.value),
          'a tensor was copied',
        ),
    )
  },
)

const selectFindsPaths = law(
  'selectFindsPaths',
  'A path written out selects its place; ** selects the whole, once.',
  'exact',
  ({ tree }) =>
    all(
      () =>
        onEveryPath(tree, (path, node) =>
          verdict(
            find(tree, path).some((p) => p.node === node),
            `${path} does not find itself`,
          ),
        ),
      () => verdict(find(tree, '**').length === 1, '** hits more than once'),
      () =>
        onEveryPath(tree, (path) => {
          const last = path.split('.').at(-1) ?? ''
          const hits = select(tree, `**.${last}`).paths
          const inner = hits.find((h) => hits.some((g) => h !== g && h.startsWith(`${g}.`)))
          return verdict(inner === undefined, `**.${last} hits ${inner}, which lies inside another hit`)
        }),
    ),
)

const countAddsUp = law(
  'countAddsUp',
  'parameters = trainable + frozen; a tied leaf counts once, a constant not at all.',
  'exact',
  ({ tree }) => {
    const { parameters, trainable, frozen: still } = count(tree)
    const want = [...new Set(leafPlaces(tree).map((p) => p.node))].reduce(
      (n, l) => n + (isParam(l) ? l.value.size : 0),
      0,
    )
    return all(
      () => verdict(parameters === trainable + still, `${parameters} ≠ ${trainable} + ${still}`),
      () => verdict(parameters === want, `${parameters} instead of ${want}`),
      () => verdict(count({ a: tree, b: tree }).parameters === parameters, 'the same tree twice counts twice'),
    )
  },
)

const showAndDiff = law(
  'showAndDiff',
  'A tree does not differ from itself, and show prints it, wherever it lies.',
  'exact',
  ({ tree }) =>
    all(
      () => verdict(diff(tree, tree).changes.length === 0, String(diff(tree, tree))),
      () =>
        verdict(
          show(tree).length > 0 && show(tree, { full: true }).split('\n').length >= leafPlaces(tree).length,
          'a leaf is not shown',
        ),
      () =>
        leaves(tree).length === 0
          ? holds
          : verdict(diff(tree, mapLeaves(tree, marked)).sharedLeaves === 0, 'a new leaf counts as shared'),
    ),
)

/** Every law of trees and of the functions on them. */
export const treeLaws: readonly Law<TreeRun>[] = [
  mapIdentity,
  mapComposes,
  mapKeepsTies,
  traverseOrder,
  getSet,
  setGet,
  setSet,
  modifyIsSetGet,
  setKeepsTheRest,
  equalIsEquality,
  ...splittingLaws({ partition, combine: combine as Splitting['combine'] }),
  nestPrefixes,
  clashesAreFound,
  untieParts,
  selectFindsPaths,
  countAddsUp,
  showAndDiff,
]
