import { dropout as dropoutOp } from '../ops/index.ts'
import { EspalierError } from '../tree/error.ts'
import { fold } from '../tree/key.ts'
import type { Key } from '../tree/key.ts'
import { didYouMean } from '../tree/nearest.ts'
import type { Tensor } from '../tree/tensor.ts'
import type { AnyKind, Embed, Embedded, Kinds, Layer, Model, Role, RoleOps, Tokens, Weight } from './kind.ts'

/** The one explicit environment that goes down through a model. */
export interface Ctx {
  readonly kinds: Kinds
  /** Whether this is training; dropout is off otherwise. */
  readonly train?: boolean
  /** The key that dropout masks are drawn from. */
  readonly key?: Key
  /** int32 [2]: what changes from step to step, mixed into the masks by the kernel. */
  readonly seed?: Tensor
  /** What each position may attend to: 1 or 0, broadcastable to [batch, heads, queries, keys]. */
  readonly mask?: Tensor
}

/** The same environment for a child, whose masks must be its own. */
export const under = (ctx: Ctx, child: string | number): Ctx =>
  ctx.key === undefined ? ctx : { ...ctx, key: fold(ctx.key, child) }

const kindOf = <R extends Role>(node: { readonly _tag: string }, role: R, ctx: Ctx): RoleOps<unknown>[R] => {
  const kind: AnyKind | undefined = Object.hasOwn(ctx.kinds, node._tag) ? ctx.kinds[node._tag] : undefined
  if (kind?.role === role) return kind.ops as RoleOps<unknown>[R]
  const known = Object.values(ctx.kinds).filter(k => k.role === role).map(k => k.tag)
  throw new EspalierError([
    {
      _tag: 'UnknownKind',
      path: '',
      expected: `a node of role ${role}`,
      found: kind === undefined ? `"${node._tag}", which is no kind known here` : `"${node._tag}", whose role is ${kind.role}`,
      hint: `${didYouMean(node._tag, known)} Pass a kind of your own in the context: { kinds: { ...kinds, ${node._tag} } }.`,
    },
  ])
}

/** Hidden states through whatever stands at a layer's place. */
export const layer = (node: Layer, x: Tensor, ctx: Ctx): Tensor => kindOf(node, 'layer', ctx).layer(node, x, ctx)

/** Token ids through whatever stands at an embedding's place. */
export const embed = (node: Embed, tokens: Tokens, ctx: Ctx): Embedded => kindOf(node, 'embed', ctx).embed(node, tokens, ctx)

/** A batch through whatever stands at a model's place. */
export const runModel = (node: Model, tokens: Tokens, ctx: Ctx): Tensor => kindOf(node, 'model', ctx).model(node, tokens, ctx)

/** x [..., in] times whatever stands at a weight's place. */
export const project = (x: Tensor, weight: Weight, ctx: Ctx): Tensor => kindOf(weight, 'weight', ctx).project(x, weight, ctx)

/** x [..., out] times the transpose of whatever stands at a weight's place. */
export const projectT = (x: Tensor, weight: Weight, ctx: Ctx): Tensor => kindOf(weight, 'weight', ctx).projectT(x, weight, ctx)

/** Rows of whatever stands at a weight's place. */
export const lookup = (ids: Tensor, weight: Weight, ctx: Ctx): Tensor => kindOf(weight, 'weight', ctx).lookup(ids, weight, ctx)

/** The [in, out] of whatever stands at a weight's place. */
export const shapeOf = (weight: Weight, ctx: Ctx): readonly number[] => kindOf(weight, 'weight', ctx).shape(weight, ctx)

/** The dense tensor that whatever stands at a weight's place amounts to. */
export const materialize = (weight: Weight, ctx: Ctx): Tensor => kindOf(weight, 'weight', ctx).materialize(weight, ctx)

/**
 * Dropout as the environment has it: on in training, by a mask of its own for each name.
 *
 * @throws EspalierError `NoKey` in training without a key.
 */
export const dropout = (x: Tensor, rate: number, name: string, ctx: Ctx): Tensor => {
  if (ctx.train !== true || rate === 0) return x
  if (ctx.key === undefined)
    throw new EspalierError([
      {
        _tag: 'NoKey',
        path: name,
        expected: 'a key to draw the dropout mask from',
        found: 'training without one',
        hint: 'Pass { train: true, key: key(0) } in the context, or the context that `fit` hands to the loss.',
      },
    ])
  return dropoutOp(x, { rate, key: fold(ctx.key, name), ...(ctx.seed === undefined ? {} : { seed: ctx.seed }) })
}
