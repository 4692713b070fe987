import { initialise, layer } from '../kind/index.ts'
import type { AnyField, Ctx, DimsIn, Embed, Field, Kind, Kinds, Layer, Weight } from '../kind/index.ts'
import { EspalierError } from '../tree/error.ts'
import type { Issue } from '../tree/error.ts'
import { scope } from '../ops/index.ts'
import type { Key } from '../tree/key.ts'
import type { Param, Status } from '../tree/leaf.ts'
import type { Tensor } from '../tree/tensor.ts'
import type { DimsOf, ValuesOf } from '../weight/index.ts'
import { context, kinds, kindsIn } from './kinds.ts'

/** The node type that fields describe. */
export type NodeOf<T extends string, F> = { readonly _tag: T; readonly '~role'?: 'layer' } & ValuesOf<F>

/** The same node with every child by its role, so that whatever wraps or represents a child is accepted. */
export type ShellOf<T extends string, F> = { readonly _tag: T } & {
  readonly [K in keyof F]: F[K] extends { readonly '~value'?: infer V } ? Slot<V> : never
}

type Slot<V> =
  V extends Param<Status, infer Form>
    ? Form extends 'vector'
      ? Param<Status, 'vector'>
      : Weight
    : V extends readonly (infer E)[]
      ? readonly Slot<E>[]
      : V extends { readonly '~role'?: infer R }
        ? [R] extends ['embed' | undefined]
          ? Embed
          : Layer
        : V

/** A model or layer kind of a user's own, with everything derived from its fields. */
export interface Definition<T extends string, F> extends Kind<ShellOf<T, F>, 'layer', DimsOf<F>> {
  readonly tag: T
  /** This kind and all that its fields mention, for a context. */
  readonly kinds: Kinds
  /** A fresh node; every named dimension needs a length. */
  readonly init: (dims: Readonly<Record<DimsOf<F>, number>>, key: Key) => NodeOf<T, F>
  /** Runs a node of this kind, adapted in whatever way. */
  readonly apply: (node: ShellOf<T, F> | WrappedShell<T, F>, x: Tensor, ctx?: Partial<Ctx>) => Tensor
  /** A field that is a node of this kind, its dimensions in the names of the parent. */
  readonly field: <const D extends Readonly<Record<DimsOf<F>, string>>>(
    dims: D,
  ) => Field<NodeOf<T, F>, DimsIn<D[keyof D] & string>>
}

/** Any node of a definition, adapted in whatever way: `AnyNode<typeof Net>`. */
export type AnyNode<D> = D extends Definition<infer T, infer F> ? ShellOf<T, F> : never

interface WrappedShell<T extends string, F> extends Layer {
  readonly base: ShellOf<T, F>
}

/**
 * Defines a layer or a whole model: a tag, its fields, and how it runs; the node's type, `init`, paths and checks follow.
 *
 * Inside the function each child is its role only, so call it through `layer`, `embed` or `project`.
 *
 * @throws EspalierError `BadName` for a tag that one of our kinds or of its fields has, or a field whose name a path cannot hold.
 * @example
 * ```ts
 * import { define, linear, layer, key, count, freeze, lora, pipe } from 'espalier'
 * import { relu, zeros } from 'espalier/ops'
 * const Net = define('Net', { fc1: linear('in', 'hidden'), fc2: linear('hidden', 'out') },
 *   (n, x, ctx) => layer(n.fc2, relu(layer(n.fc1, x, ctx)), ctx))
 * const net = pipe(Net.init({ in: 4, hidden: 8, out: 2 }, key(0)), freeze, lora({ at: '**.fc1', rank: 2 }))
 * count(net) // => { parameters: 82, trainable: 24, frozen: 58 }
 * Net.apply(net, zeros([3, 4])).shape // => [3, 2]
 * ```
 */
export const define = <const T extends string, const F extends Readonly<Record<string, Field<unknown, string>>>>(
  tag: T,
  fields: F,
  call: (node: ShellOf<T, F>, x: Tensor, ctx: Ctx) => Tensor,
): Definition<T, F> => {
  requireNames(tag, fields)
  const kind: Kind<ShellOf<T, F>, 'layer', DimsOf<F>> = { tag, role: 'layer', fields, ops: { layer: call } }
  const own: Kinds = { ...kindsIn(fields), [tag]: kind }
  return {
    ...kind,
    tag,
    kinds: own,
    init: (dims, key) => initialise(kind, dims, key) as NodeOf<T, F>,
    apply: (node, x, ctx) => scope(() => layer(node, x, context(ctx, own))),
    field: (dims) => ({ _tag: 'NodeField', kind, dims, statics: {} }) satisfies AnyField,
  }
}

// A field called `base` would make its node a wrapper, which `detach` takes off.
const reserved = (name: string): boolean => name === '' || name === '_tag' || name === 'base' || /^~|[.*{},]/.test(name)

const requireNames = (tag: string, fields: Readonly<Record<string, AnyField>>): void => {
  const names = Object.keys(fields).filter(reserved)
  const issues = [
    ...names.map((n) =>
      badName(n, 'a name without . * { } or , that is not "base" or "_tag"', 'Paths and wrappers need those.'),
    ),
    ...(tag === '' || Object.hasOwn({ ...kinds, ...kindsIn(fields) }, tag)
      ? [badName(tag, 'a tag of its own', 'Each tag has one kind: choose another name.')]
      : []),
  ]
  if (issues.length > 0) throw new EspalierError(issues)
}

const badName = (name: string, expected: string, hint: string): Issue => ({
  _tag: 'BadName',
  path: 'define',
  expected,
  found: `"${name}"`,
  hint,
})
