import { expect } from 'vitest'
import { get, innermost, isPacked, isParam, isWrapper, leafPlaces, leaves, showPath } from '../../../src/index.ts'
import type { Leaf, Param, Tensor } from '../../../src/index.ts'
import { root, start } from './world.ts'
import type { Attached, Own, Spec, World } from './world.ts'

/** By path, the values that the weights began with, or the codes that the last quantisation gave them. */
export type Beginnings = ReadonlyMap<string, Tensor>

const nodeAt = (tree: unknown, path: string): unknown => (path === root ? tree : get(tree as never, path as never))

const isParamPlace = <P extends { readonly node: Leaf }>(p: P): p is P & { readonly node: Param } => isParam(p.node)

/** LoKr has a tag for each way to make it. */
const tagOf = (tag: string): string => (tag.startsWith('Lokr') ? 'Lokr' : tag)

const merged = (all: readonly Own[]): Own => {
  expect(new Set(all.map((own) => own.status)).size, 'what wraps a weight is trained together').toBe(1)
  return { parameters: all.reduce((n, own) => n + own.parameters, 0), status: all[0]!.status }
}

/** What wraps a node, read from the tree; every parameter that is there beside what is wrapped is its own. */
const attachedTo = (node: unknown, asOne: boolean): Attached | undefined => {
  if (!isWrapper(node)) return undefined
  const under = new Set(leaves(node.base))
  const own = leafPlaces(node)
    .filter(isParamPlace)
    .filter((p) => !under.has(p.node))
    .map((p): readonly [string, Own] => [showPath(p.path), { parameters: p.node.value.size, status: p.node.status }])
  return {
    tag: tagOf(node._tag),
    own: asOne ? { '': merged(own.map(([, o]) => o)) } : Object.fromEntries(own),
  }
}

/** What of a weight tells it from any other: its value, or its codes. */
const tensorOf = (weight: unknown): Tensor => (isPacked(weight) ? weight.codes.value : (weight as Param).value)

const specOf = (tree: unknown, path: string, { form, shape }: Spec, first: Beginnings): Spec => {
  const node = nodeAt(tree, path)
  const weight = innermost(node)
  if (!isParam(weight) && !isPacked(weight)) throw new Error(`no weight at the bottom of ${path}`)
  const found = isPacked(weight) ? [weight.rows, weight.columns] : weight.value.shape
  expect([weight.form, found], path).toEqual([form, shape])
  const adapter = attachedTo(node, true)
  return {
    form,
    shape,
    status: isPacked(weight) ? 'frozen' : weight.status,
    packed: isPacked(weight),
    original: tensorOf(weight) === first.get(path),
    ...(adapter && { adapter }),
  }
}

/** The real tree, read into the naive form. */
export const described = (tree: unknown, first: Beginnings): World => ({
  parameters: new Map([...start.parameters].map(([path, s]) => [path, specOf(tree, path, s, first)])),
  nodes: new Map([...start.nodes.keys()].map((path) => [path, attachedTo(nodeAt(tree, path), false)])),
})

/** The beginnings after a step: codes that were not there before are new ones. */
export const beginnings = (tree: unknown, now: World, before: World, first: Beginnings): Beginnings =>
  new Map(
    [...first].map(([path, value]) => {
      const fresh = now.parameters.get(path)!.packed && !before.parameters.get(path)!.packed
      return [path, fresh ? tensorOf(innermost(nodeAt(tree, path))) : value]
    }),
  )
