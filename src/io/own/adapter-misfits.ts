import type { Issue } from '../../tree/error.ts'
import type { Leaf } from '../../tree/leaf.ts'
import { showPath } from '../../tree/walk.ts'
import type { byName } from './build.ts'
import { bare } from './compare.ts'
import type { Strictness } from './compare.ts'
import { describeEntry, entries } from './entries.ts'
import { digestOfLeaf } from './fingerprint.ts'
import { issue } from '../issues.ts'
import type { Issues } from '../issues.ts'
import type { Json } from '../json.ts'

/** How an adapter is held against a base. */
export const onBase: Strictness = {
  status: false,
  data: () => true,
  hint: 'The adapter belongs to another base than the one it was to be put on.',
}

/** How an adapter is held against what a transform makes of a base. */
export const likeTuned: Strictness = {
  status: true,
  data: () => true,
  hint: 'The adapter in the folder is not what the given transform makes of this base.',
}

/** Where the base lacks what the adapter borrows from it, or holds other values than the one it was trained on. */
export const valueIssues = (names: ReturnType<typeof byName>, base: ReadonlyMap<string, Leaf>): Issues =>
  [...names.values()].flatMap(({ path, entry }) => {
    if (entry.inBase === undefined) return []
    const leaf = entry._tag === '~tensor' ? undefined : base.get(entry.label)
    const place = showPath(path)
    if (leaf === undefined) return [issue('MissingTensor', place, describeEntry(entry), 'nothing', onBase.hint)]
    if (leaf.value.shape.join() !== entry.shape.join() || leaf.value.dtype !== entry.dtype) return []
    return digestOfLeaf(leaf) === entry.inBase
      ? []
      : [
          issue(
            'WrongBase',
            place,
            'the values the adapter was trained on',
            'others',
            'Load the base that this adapter was made from.',
          ),
        ]
  })

const quantizeFirst =
  'The adapter was made on a quantised base: apply the same `quantize` to this one, and load onto that.'

const denseFirst = 'The adapter was made on the dense base, and this one is quantised: load it onto the dense one.'
const detachFirst =
  'Something is attached to this base already: load the adapter onto detach(base), or onto the base itself.'

/** The weights that one tree holds in few bits and the other dense, by path. */
const packedIn = (packed: Json, dense: Json): readonly string[] => {
  const params = new Set([...entries(dense)].map(({ path, entry }) => `${entry._tag} ${showPath(path)}`))
  return [...entries(packed)]
    .filter(({ entry }) => entry._tag === 'Constant' && entry.standsFor !== undefined)
    .map(({ path }) => showPath(path.slice(0, -1)))
    .filter((path) => params.has(`Param ${path}`))
}

/** The same issues, with a better hint where the base is the right one in another state. */
export const hinted = (issues: Issues, tree: Json, base: Json): Issues => {
  const [wanted, given] = [bare(tree), bare(base)]
  const [toQuantize, quantized] = [packedIn(wanted, given), packedIn(given, wanted)]
  const attached = JSON.stringify(given) !== JSON.stringify(base)
  const among = (weights: readonly string[], { path }: Issue): boolean =>
    weights.some((weight) => path === weight || path.startsWith(`${weight}.`))
  return issues.map((i) => {
    if (among(toQuantize, i)) return { ...i, hint: quantizeFirst }
    if (among(quantized, i)) return { ...i, hint: denseFirst }
    return attached ? { ...i, hint: detachFirst } : i
  })
}

/** Each issue once. */
export const unique = (issues: Issues): Issues => [...new Map(issues.map((i) => [`${i._tag} ${i.path}`, i])).values()]
