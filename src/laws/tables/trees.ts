import { Applicative as identity } from 'fp-ts/lib/Identity.js'
import { mul } from '../../ops/index.ts'
import { detach, equal } from '../../transform/index.ts'
import { count } from '../../tree/count.ts'
import { diff } from '../../tree/diff.ts'
import { sameStructure } from '../../tree/equal.ts'
import { words } from '../../tree/key.ts'
import { nest, relabel, ties, unsound, untie } from '../../tree/labels.ts'
import { isHole, isLeaf, isParam, withStatus, withValue } from '../../tree/leaf.ts'
import { traverse } from '../../tree/lens.ts'
import { combine, partition } from '../../tree/partition.ts'
import { find, select } from '../../tree/select.ts'
import { show } from '../../tree/show.ts'
import { BASE, isBranch, leafPlaces, leaves, mapLeaves, places, replaceAt, showPath } from '../../tree/walk.ts'
import { all, every, holds, vacuous, verdict } from '../law.ts'
import type { Law } from '../law.ts'
import { lensLaws } from './lens.ts'
import { splittingLaws } from './splitting.ts'
import type { Splitting } from './splitting.ts'
import { frozen, law, marked, onEveryPath, pathOf } from './tree-run.ts'
import type { TreeRun } from './tree-run.ts'

const mapIdentity = law('mapIdentity', 'mapLeaves(id) gives the same object back.', 'reference', ({ tree }) =>
  verdict(mapLeaves(tree, (leaf) => leaf) === tree, 'a copy came back'),
)

const mapComposes = law('mapComposes', 'mapLeaves(g ∘ f) = mapLeaves(g) ∘ mapLeaves(f).', 'exact', ({ tree }) => {
  const [at, after] = [mapLeaves(tree, (l) => marked(frozen(l))), mapLeaves(mapLeaves(tree, frozen), (l) => marked(l))]
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
    if (leaves(tree).length === 0) return vacuous('the tree has no leaf')
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
      () => {
        if (place === undefined || place.node.value.size === 0) return holds
        const value = mul(place.node.value, 2)
        const other = replaceAt(tree, [{ route: place.route, value: withValue(place.node, value) }])
        return verdict(!equal(tree, other) && !equal(other, tree), `the values at ${pathOf(place)} were not looked at`)
      },
    )
  },
)

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
    if (place === undefined) return vacuous('the tree has no leaf')
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
    if (leaves(tree).length === 0) return vacuous('the tree has no leaf')
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

const detachStrips = law(
  'detachStrips',
  'detach leaves no wrapper, however deep they stand in each other, and each leaf that was wrapped, as the same object.',
  'reference',
  ({ tree }) => {
    const after = detach(tree)
    const wrapper = [...places(after)].find(({ node }) => isBranch(node) && '_tag' in node && BASE in node)
    const kept = new Set(leaves(after))
    const wrapped = leafPlaces(tree).filter((p) => p.route.at(-1) === BASE)
    return all(
      () => verdict(wrapper === undefined, `${showPath(wrapper?.path ?? [])} is still wrapped`),
      () => every(wrapped, (p) => verdict(kept.has(p.node), `${pathOf(p)} is gone, or a copy`)),
      () => verdict(detach(after) === after, 'a second time gave a copy'),
    )
  },
)

/** Every law of trees and of the functions on them. */
export const treeLaws: readonly Law<TreeRun>[] = [
  mapIdentity,
  mapComposes,
  mapKeepsTies,
  traverseOrder,
  ...lensLaws,
  equalIsEquality,
  ...splittingLaws({ partition, combine: combine as Splitting['combine'] }),
  nestPrefixes,
  clashesAreFound,
  untieParts,
  selectFindsPaths,
  countAddsUp,
  showAndDiff,
  detachStrips,
]
