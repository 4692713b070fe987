import { add, broadcastTo, checkpoint, concat, full, reachable, scope, tensor } from '../ops/index.ts'
import { EspalierError, issue } from '../tree/error.ts'
import type { Tensor } from '../tree/tensor.ts'
import { layer, under } from './context.ts'
import type { Ctx } from './context.ts'
import type { Layer, Tokens } from './kind.ts'

/**
 * The environment for the i-th attention layer of a model, which sees its own keys and values of the past.
 *
 * @example
 * ```ts
 * import { atLayer, context } from 'espalier'
 * import { zeros } from 'espalier/ops'
 * const of = (d: number) => ({ keys: zeros([1, 1, 3, d]), values: zeros([1, 1, 3, d]) })
 * atLayer(context({ past: { length: 3, layers: [of(2), of(4)] } }), 1).past?.layers.length // => 1
 * ```
 */
export const atLayer = (ctx: Ctx, i: number): Ctx =>
  ctx.past === undefined ? ctx : { ...ctx, past: { ...ctx.past, layers: ctx.past.layers.slice(i, i + 1) } }

/**
 * Hidden states through blocks one after the other, each with a past and masks of its own; `more` adds what else it sees.
 *
 * Where the environment says `checkpoint`, the backward pass runs each block again instead of finding all of it kept.
 *
 * @throws EspalierError what the blocks throw.
 * @example
 * ```ts
 * import { context, initialise, key, LinearKind, throughBlocks } from 'espalier'
 * import type { Layer } from 'espalier'
 * import { ones } from 'espalier/ops'
 * const block = initialise(LinearKind, { in: 2, out: 2 }, key(0)) as Layer
 * throughBlocks([block, block], ones([1, 3, 2]), context()).shape // => [1, 3, 2]
 * ```
 * @source Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost", §4.
 */
export const throughBlocks = (
  blocks: readonly Layer[],
  x: Tensor,
  ctx: Ctx,
  more: (own: Ctx, i: number) => Ctx = (own) => own,
): Tensor =>
  blocks.reduce((h, block, i) => {
    const own = more(atLayer(under(ctx, i), i), i)
    const run = (input: Tensor): Tensor => alone(block, input, own)
    // A cache keeps what is made on the way, which a block that is to run again gives away.
    if (own.checkpoint !== true || own.keep !== undefined) return run(h)
    return checkpoint(run, [h, ...reachable([block, { ...own, kinds: undefined }])])
  }, x)

/** Runs a block, and frees what it made on the way: or a model would hold what all of its blocks have made at once. */
const alone = (block: Layer, x: Tensor, { keep, ...own }: Ctx): Tensor => {
  if (keep === undefined) return scope(() => layer(block, x, own))
  const kept: Parameters<typeof keep>[] = []
  const { output } = scope(() => ({
    output: layer(block, x, { ...own, keep: (...seen) => void kept.push(seen) }),
    kept,
  }))
  for (const seen of kept) keep(...seen)
  return output
}

/**
 * The environment for the body of a model, which places tokens where these say.
 *
 * @example
 * ```ts
 * import { at, context } from 'espalier'
 * import { ones, tensor } from 'espalier/ops'
 * const positions = tensor([[4]], undefined, 'int32')
 * at({ ids: ones([1, 1], 'int32'), positions }, context()).positions === positions // => true
 * ```
 */
export const at = ({ positions }: Tokens, ctx: Ctx): Ctx => (positions === undefined ? ctx : { ...ctx, positions })

/**
 * Where hidden states of this length stand: as the environment says, else one after the other behind the past; int32
 * [1 or batch, length].
 *
 * Rows that were put before the tokens come first, and the tokens that many places behind where they are said to be. `first`
 * is where a text begins, 0 unless told otherwise.
 *
 * @throws EspalierError `ShapeMismatch` for more positions than hidden states.
 * @example
 * ```ts
 * import { context, positionsOf } from 'espalier'
 * import { toArray } from 'espalier/ops'
 * toArray(positionsOf(3, context({ past: { length: 2, layers: [] } }))) // => [[2, 3, 4]]
 * ```
 */
export const positionsOf = (length: number, { positions, past }: Ctx, first = 0): Tensor => {
  const from = first + (past?.length ?? 0)
  const count = (n: number): Tensor =>
    tensor(
      Int32Array.from({ length: n }, (_, i) => from + i),
      [1, n],
    )
  const [batch = 0, tokens = 0] = positions?.shape ?? []
  if (positions === undefined) return count(length)
  if (tokens > length)
    throw new EspalierError([
      issue(
        'ShapeMismatch',
        'positions',
        `at most ${length}, one for each token`,
        tokens,
        'Give as many positions as there are tokens.',
      ),
    ])
  const extra = length - tokens
  if (extra === 0) return positions
  return concat([broadcastTo(count(extra), [batch, extra]), add(positions, full([], extra, 'int32'))], 1)
}

/** `own` behind `past` along the axis of the sequence; a past of one row serves a whole batch. @internal */
export const behind = (past: Tensor | undefined, own: Tensor, axis: number): Tensor => {
  if (past === undefined) return own
  return concat([broadcastTo(past, [own.shape[0] ?? 0, ...past.shape.slice(1)]), own], axis)
}
