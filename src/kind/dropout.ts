import { dropout as dropoutOp } from '../ops/index.ts'
import type { DropoutOptions } from '../ops/index.ts'
import { EspalierError } from '../tree/error.ts'
import { fold } from '../tree/key.ts'
import type { Tensor } from '../tree/tensor.ts'
import type { Ctx } from './context.ts'

/**
 * Dropout as the environment has it: on in training, by a mask of its own for each name.
 *
 * @throws EspalierError `NoKey` in training without a key.
 * @example
 * ```ts
 * import { context, dropout, key } from 'espalier'
 * import { ones } from 'espalier/ops'
 * const x = ones([8])
 * dropout(x, 0.5, 'mlp', context()) === x // => true
 * dropout(x, 0.5, 'mlp', context({ train: true, key: key(0) })).shape // => [8]
 * ```
 * @source Srivastava et al. 2014, "Dropout", §4.
 */
export const dropout = (x: Tensor, rate: number, name: string, ctx: Ctx): Tensor => {
  const options = dropping(rate, name, ctx)
  return options === undefined ? x : dropoutOp(x, options)
}

/**
 * By what `dropout` of this name would drop, for ops that drop on their way; undefined where it would not.
 *
 * @throws EspalierError `NoKey` in training without a key.
 * @example
 * ```ts
 * import { context, dropping, key } from 'espalier'
 * dropping(0.5, 'mlp', context()) // => undefined
 * dropping(0.5, 'mlp', context({ train: true, key: key(0) }))?.rate // => 0.5
 * ```
 */
export const dropping = (rate: number, name: string, ctx: Ctx): DropoutOptions | undefined => {
  if (ctx.train !== true || rate === 0) return undefined
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
  return { rate, key: fold(ctx.key, name), ...(ctx.seed === undefined ? {} : { seed: ctx.seed }) }
}
