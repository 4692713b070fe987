import { EspalierError } from '../tree/error.ts'
import { fold } from '../tree/key.ts'
import type { Key } from '../tree/key.ts'
import { didYouMean } from '../tree/nearest.ts'
import type { Tensor } from '../tree/tensor.ts'
import type {
  Affine,
  AnyKind,
  Embed,
  Embedded,
  Kinds,
  KeysValues,
  Layer,
  Model,
  Output,
  Past,
  Residual,
  Role,
  RoleOps,
  Rotary,
  Tokens,
  Weight,
} from './kind.ts'

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
  /** The adapter of each row of the batch, by name, and null for none; only weights that hold several look at it. */
  readonly rows?: readonly (string | null)[]
  /**
   * int32 [1 or batch, length]: where hidden states stand, as what is inside a model reads it by `positionsOf`; absent for one
   * after the other, after the past. A caller says it of tokens, `Tokens.positions`.
   */
  readonly positions?: Tensor
  /** What attention looks at before the tokens at hand; their positions count from its end. */
  readonly past?: Past
  /** Whether the texts began in the past, so that nothing is put before the tokens at hand again. */
  readonly continued?: boolean
  /** Is handed the keys and values of the tokens at hand by each attention layer in turn, as a cache wants them. */
  readonly keep?: (own: KeysValues) => void
  /** How rotary attention layers turn the tokens at hand. */
  readonly rotary?: Rotary
  /** Whether blocks keep nothing of theirs for the backward pass, and run again there. */
  readonly checkpoint?: boolean
  /** What the output of the sublayer at hand is to be added to; only adapters that are given the sum look at it. */
  readonly residual?: Residual
}

/**
 * The same environment for a child, whose masks must be its own.
 *
 * @example
 * ```ts
 * import { context, key, under } from 'espalier'
 * const ctx = context({ train: true, key: key(0) })
 * under(ctx, 'mlp').key?.lo === under(ctx, 'mha').key?.lo // => false
 * ```
 */
export const under = (ctx: Ctx, child: string | number): Ctx =>
  ctx.key === undefined ? ctx : { ...ctx, key: fold(ctx.key, child) }

const kindOf = <R extends Role>(node: { readonly _tag: string }, role: R, ctx: Ctx): RoleOps<unknown>[R] => {
  const kind: AnyKind | undefined = Object.hasOwn(ctx.kinds, node._tag) ? ctx.kinds[node._tag] : undefined
  if (kind?.role === role) return kind.ops as RoleOps<unknown>[R]
  const known = Object.values(ctx.kinds)
    .filter((k) => k.role === role)
    .map((k) => k.tag)
  throw new EspalierError([
    {
      _tag: 'UnknownKind',
      path: '',
      expected: `a node of role ${role}`,
      found:
        kind === undefined
          ? `"${node._tag}", which is no kind known here`
          : `"${node._tag}", whose role is ${kind.role}`,
      hint: `${didYouMean(node._tag, known)} ${
        kind === undefined
          ? `A kind of your own goes into the context, { kinds: { ${node._tag} } }, or to merge.knowing({ ${node._tag} }).`
          : `Call it by its role: ${kind.role === 'weight' ? 'project' : kind.role}(…).`
      }`,
    },
  ])
}

/**
 * Hidden states through whatever stands at a layer's place.
 *
 * @throws EspalierError `UnknownKind` for a tag that the context's kinds lack, and what the layer throws.
 * @example
 * ```ts
 * import { context, key, layer, LinearKind, initialise } from 'espalier'
 * import type { Layer } from 'espalier'
 * import { zeros } from 'espalier/ops'
 * const fc = initialise(LinearKind, { in: 3, out: 2 }, key(0)) as Layer
 * layer(fc, zeros([4, 3]), context()).shape // => [4, 2]
 * ```
 */
export const layer = (node: Layer, x: Tensor, ctx: Ctx): Tensor => kindOf(node, 'layer', ctx).layer(node, x, ctx)

/**
 * What a layer, or the head of a model, is to compute of x, where that is a product with a dense weight and no more.
 *
 * So that a loss of the product need not have it as a whole; undefined wherever else stands there.
 *
 * @throws EspalierError `UnknownKind`.
 * @example
 * ```ts
 * import { affineOf, context, key, LinearKind, initialise } from 'espalier'
 * import type { Layer } from 'espalier'
 * import { zeros } from 'espalier/ops'
 * const fc = initialise(LinearKind, { in: 3, out: 2 }, key(0)) as Layer
 * affineOf('layer', fc, zeros([4, 3]), context())?.weight.shape // => [3, 2]
 * ```
 */
export const affineOf = <R extends 'layer' | 'model'>(
  role: R,
  node: R extends 'layer' ? Layer : Model,
  x: Tensor,
  ctx: Ctx,
): Affine | undefined => kindOf(node, role, ctx).affine?.(node, x, ctx)

/**
 * What a sublayer has computed, and what it was given, through whatever joins the two.
 *
 * @throws EspalierError `UnknownKind`, and what it throws itself.
 * @example
 * ```ts
 * import { context, outputOf } from 'espalier'
 * import type { Kind, Output } from 'espalier'
 * import { add, ones } from 'espalier/ops'
 * const Sum: Kind<Output, 'output'> = { tag: 'Sum', role: 'output', fields: {}, ops: { output: (_, x, r) => add(x, r) } }
 * outputOf({ _tag: 'Sum' }, ones([1, 2]), ones([1, 2]), context({ kinds: { Sum } })).shape // => [1, 2]
 * ```
 */
export const outputOf = (node: Output, x: Tensor, residual: Tensor, ctx: Ctx): Tensor =>
  kindOf(node, 'output', ctx).output(node, x, residual, ctx)

/**
 * Token ids through whatever stands at an embedding's place.
 *
 * @throws EspalierError `UnknownKind`, and what the embedding throws.
 * @example
 * ```ts
 * import { context, embed, EmbeddingKind, initialise, key } from 'espalier'
 * import type { Embed } from 'espalier'
 * import { zeros } from 'espalier/ops'
 * const words = initialise(EmbeddingKind, { vocab: 9, d: 4 }, key(0)) as Embed
 * embed(words, { ids: zeros([2, 3], 'int32') }, context()).hidden.shape // => [2, 3, 4]
 * ```
 */
export const embed = (node: Embed, tokens: Tokens, ctx: Ctx): Embedded =>
  kindOf(node, 'embed', ctx).embed(node, tokens, ctx)

/**
 * Token ids through whatever stands at a model's place, up to its head: hidden states [batch, length, d_model].
 *
 * @throws EspalierError `UnknownKind`, and what the model throws.
 * @example
 * ```ts
 * import { context, hiddenOf, key, sllm } from 'espalier'
 * import { zeros } from 'espalier/ops'
 * const model = sllm.init({ ...sllm.config.seed, vocab_size: 9 }, key(0))
 * hiddenOf(model, { ids: zeros([1, 3], 'int32') }, context({}, sllm.kinds)).hidden.shape // => [1, 3, 128]
 * ```
 */
export const hiddenOf = (node: Model, tokens: Tokens, ctx: Ctx): Embedded =>
  kindOf(node, 'model', ctx).hidden(node, tokens, ctx)

/**
 * Hidden states through the head of whatever stands at a model's place: logits.
 *
 * @throws EspalierError `UnknownKind`, and what the head throws.
 * @example
 * ```ts
 * import { context, headOf, key, sllm } from 'espalier'
 * import { zeros } from 'espalier/ops'
 * const model = sllm.init({ ...sllm.config.seed, vocab_size: 9 }, key(0))
 * headOf(model, zeros([1, 128]), context({}, sllm.kinds)).shape // => [1, 9]
 * ```
 */
export const headOf = (node: Model, hidden: Tensor, ctx: Ctx): Tensor =>
  kindOf(node, 'model', ctx).head(node, hidden, ctx)

/**
 * A batch through whatever stands at a model's place.
 *
 * @throws EspalierError `UnknownKind`, and what the model throws.
 * @example
 * ```ts
 * import { context, key, runModel, sllm } from 'espalier'
 * import { zeros } from 'espalier/ops'
 * const model = sllm.init({ ...sllm.config.seed, vocab_size: 9 }, key(0))
 * runModel(model, { ids: zeros([1, 3], 'int32') }, context({}, sllm.kinds)).shape // => [1, 3, 9]
 * ```
 */
export const runModel = (node: Model, tokens: Tokens, ctx: Ctx): Tensor =>
  headOf(node, hiddenOf(node, tokens, ctx).hidden, ctx)

/**
 * x [..., in] times whatever stands at a weight's place.
 *
 * @throws EspalierError `UnknownKind` for a tag that the context's kinds lack.
 * @example
 * ```ts
 * import { context, param, project } from 'espalier'
 * import { zeros } from 'espalier/ops'
 * const w = param('matrix', 'w', zeros([3, 2]))
 * project(zeros([4, 3]), w, context()).shape // => [4, 2]
 * ```
 */
export const project = (x: Tensor, weight: Weight, ctx: Ctx): Tensor =>
  kindOf(weight, 'weight', ctx).project(x, weight, ctx)

/**
 * x [..., out] times the transpose of whatever stands at a weight's place.
 *
 * @throws EspalierError `UnknownKind` for a tag that the context's kinds lack.
 * @example
 * ```ts
 * import { context, param, projectT } from 'espalier'
 * import { zeros } from 'espalier/ops'
 * const w = param('matrix', 'w', zeros([3, 2]))
 * projectT(zeros([4, 2]), w, context()).shape // => [4, 3]
 * ```
 */
export const projectT = (x: Tensor, weight: Weight, ctx: Ctx): Tensor =>
  kindOf(weight, 'weight', ctx).projectT(x, weight, ctx)

/**
 * Rows of whatever stands at a weight's place.
 *
 * @throws EspalierError `UnknownKind` for a tag that the context's kinds lack.
 * @example
 * ```ts
 * import { context, lookup, param } from 'espalier'
 * import { tensor, zeros } from 'espalier/ops'
 * const w = param('matrix', 'w', zeros([3, 2]))
 * lookup(tensor([2, 0], undefined, 'int32'), w, context()).shape // => [2, 2]
 * ```
 */
export const lookup = (ids: Tensor, weight: Weight, ctx: Ctx): Tensor =>
  kindOf(weight, 'weight', ctx).lookup(ids, weight, ctx)

/**
 * The [in, out] of whatever stands at a weight's place.
 *
 * @throws EspalierError `UnknownKind` for a tag that the context's kinds lack.
 * @example
 * ```ts
 * import { context, param, shapeOf } from 'espalier'
 * import { zeros } from 'espalier/ops'
 * const w = param('matrix', 'w', zeros([3, 2]))
 * shapeOf(w, context()) // => [3, 2]
 * ```
 */
export const shapeOf = (weight: Weight, ctx: Ctx): readonly number[] => kindOf(weight, 'weight', ctx).shape(weight, ctx)

/**
 * The dense tensor that whatever stands at a weight's place amounts to.
 *
 * @throws EspalierError `UnknownKind` for a tag that the context's kinds lack.
 * @example
 * ```ts
 * import { context, materialize, param } from 'espalier'
 * import { zeros } from 'espalier/ops'
 * const w = param('matrix', 'w', zeros([3, 2]))
 * materialize(w, context()) === w.value // => true
 * ```
 */
export const materialize = (weight: Weight, ctx: Ctx): Tensor => kindOf(weight, 'weight', ctx).materialize(weight, ctx)
