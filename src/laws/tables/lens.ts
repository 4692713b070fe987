import { sameStructure } from '../../tree/equal.ts'
import { get, modify, set } from '../../tree/lens.ts'
import { isBranch, leaves, places } from '../../tree/walk.ts'
import type { Place } from '../../tree/walk.ts'
import { every, verdict } from '../law.ts'
import type { Law } from '../law.ts'
import { law, onEveryPath, outermost, pathOf } from './tree-run.ts'
import type { TreeRun } from './tree-run.ts'

const getAny = get as (tree: unknown, path: string) => unknown
const setAny = set as (tree: unknown, path: string, value: unknown) => unknown
const modifyAny = modify as (tree: unknown, path: string, f: (node: unknown) => unknown) => unknown

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

/** The laws of `get`, `set` and `modify`, at every path of a tree. */
export const lensLaws: readonly Law<TreeRun>[] = [getSet, setGet, setSet, modifyIsSetGet, setKeepsTheRest]
