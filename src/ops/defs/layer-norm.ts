import type { Tensor } from '../../tree/tensor.ts'
import { apply } from '../dispatch.ts'
import { float } from '../native/custom.ts'
import type { Op } from '../op.ts'
import { unbroadcast } from './broadcast.ts'
import { define } from './define.ts'
import { parallel, produce } from '../wasm/index.ts'
import { fresh, type Loop } from './heap.ts'
import { add, mul, sub } from './elementwise.ts'
import { mean } from './reduce.ts'
import { describe, lastAxis, mismatch, requireFloat } from '../shape-rules.ts'
import { throughTwin } from './twin.ts'
import { rsqrt, square } from './unary.ts'

type LayerNormAttrs = { readonly eps: number; readonly scaled: boolean; readonly shifted: boolean }

const overRows = { axes: -1, keepDims: true }

/** Parts the optional inputs that follow x. */
const optional = <T>(
  { scaled, shifted }: LayerNormAttrs,
  rest: readonly T[],
): readonly [T | undefined, T | undefined] => [scaled ? rest[0] : undefined, shifted ? rest[scaled ? 1 : 0] : undefined]

const moments = (data: ArrayLike<number>, begin: number, width: number, eps: number): readonly [number, number] => {
  let total = 0
  for (let i = begin; i < begin + width; i++) total += data[i]!
  const center = total / width
  let squares = 0
  for (let i = begin; i < begin + width; i++) squares += (data[i]! - center) ** 2
  return [center, 1 / Math.sqrt(squares / width + eps)]
}

const normalise: Loop<LayerNormAttrs> = ({ attrs }, out, { shape, data }, ...rest) => {
  const width = shape.at(-1)!
  const [scale, shift] = optional(attrs, rest)
  for (let begin = 0; begin < out.length; begin += width) {
    const [center, spread] = moments(data, begin, width, attrs.eps)
    for (let i = 0; i < width; i++)
      out[begin + i] =
        (data[begin + i]! - center) * spread * (scale ? scale.data[i]! : 1) + (shift ? shift.data[i]! : 0)
  }
}

/** In other ops: rows brought to mean 0 and variance 1, and what they were multiplied by. */
const unitRows = (x: Tensor, eps: number): readonly [unit: Tensor, spread: Tensor] => {
  const centered = sub(x, mean(x, overRows))
  const spread = rsqrt(add(mean(square(centered), overRows), eps))
  return [mul(centered, spread), spread]
}

const layerNormOp = define<LayerNormAttrs>({
  name: 'layerNorm',
  infer: ({ eps }, x, ...rest) => {
    requireFloat('layerNorm', 'x', x)
    const width = x.shape[lastAxis('layerNorm', x)]!
    if (!(eps >= 0)) mismatch('layerNorm', 'an eps from 0', String(eps), 'It is added to the variance; 1e-5 is usual.')
    for (const row of rest) {
      requireFloat('layerNorm', 'scale and shift', row)
      if (row.shape.length !== 1 || row.shape[0] !== width)
        mismatch('layerNorm', `scale and shift of shape [${width}]`, describe(row), `x is ${describe(x)}.`)
    }
    return { shape: x.shape, dtype: 'float32' }
  },
  reference: fresh(normalise),
  own: {
    write: (to, inputs, attrs, output) =>
      to.node('EspalierLayerNorm', inputs, { ...attrs, N: inputs.length - 1, eps: float(attrs.eps) }, output),
  },
  wasm: ({ attrs, output }, x, ...rest) => {
    const width = x.shape.at(-1)!
    return produce('layerNorm', [x, ...rest], output, (out, from = 0, ...at) => {
      const [scale = 0, shift = 0] = optional(attrs, at)
      parallel('layerNorm', x.size / width, width * 4, (first, count) => {
        const offset = 4 * first * width
        return [count, width, attrs.eps, from + offset, scale, shift, out + offset]
      })
    })
  },
  composed: (attrs, x, ...rest) => {
    const [scale, shift] = optional(attrs, rest)
    const [unit] = unitRows(x, attrs.eps)
    const scaled = scale ? mul(unit, scale) : unit
    return shift ? add(scaled, shift) : scaled
  },
  vjp: ({ dy, attrs, needs }, x, ...rest) => {
    const [scale, shift] = optional(attrs, rest)
    const shiftAt = scale ? 2 : 1
    return [
      needs[0] ? apply(layerNormSlopeOp, [x, scale ? mul(dy, scale) : dy], { eps: attrs.eps }) : null,
      ...(scale ? [needs[1] ? unbroadcast(mul(dy, layerNorm(x, null, null, attrs.eps)), scale.shape) : null] : []),
      ...(shift ? [needs[shiftAt] ? unbroadcast(dy, shift.shape) : null] : []),
    ]
  },
})

/** `layerNormSlope` in other ops. */
const slopeTwin = (eps: number, x: Tensor, g: Tensor): Tensor => {
  const [unit, spread] = unitRows(x, eps)
  return mul(spread, sub(sub(g, mean(g, overRows)), mul(unit, mean(mul(g, unit), overRows))))
}

const slopeLoop: Loop<{ readonly eps: number }> = ({ attrs }, out, { shape, data }, { data: g }) => {
  const width = shape.at(-1)!
  for (let begin = 0; begin < out.length; begin += width) {
    const [center, spread] = moments(data, begin, width, attrs.eps)
    let total = 0
    let along = 0
    for (let i = begin; i < begin + width; i++) {
      total += g[i]!
      along += g[i]! * (data[i]! - center) * spread
    }
    for (let i = begin; i < begin + width; i++)
      out[i] = spread * (g[i]! - total / width - ((data[i]! - center) * spread * along) / width)
  }
}

// The gradient of x, given that of the normalised rows: what is left of it without its mean and its part along them.
const layerNormSlopeOp = define<{ readonly eps: number }>({
  name: 'layerNormSlope',
  infer: (_, { shape, dtype }) => ({ shape, dtype }),
  reference: fresh(slopeLoop),
  own: {
    write: (to, inputs, { eps }, output) => to.node('EspalierLayerNormSlope', inputs, { eps: float(eps) }, output),
  },
  wasm: ({ attrs, output }, x, g) => {
    const width = x.shape.at(-1)!
    return produce('layerNormSlope', [x, g], output, (out, from = 0, slopes = 0) =>
      parallel('layerNormSlope', x.size / width, width * 6, (first, count) => {
        const offset = 4 * first * width
        return [count, width, attrs.eps, from + offset, slopes + offset, out + offset]
      }),
    )
  },
  composed: ({ eps }, x, g) => slopeTwin(eps, x, g),
  vjp: (backward) => throughTwin(backward, (x, g) => slopeTwin(backward.attrs.eps, x, g)),
})

/**
 * Each row of the last axis brought to mean 0 and variance 1, then scaled and shifted: float32 of the shape of x.
 *
 * scale and shift have the length of the last axis and may be null; eps is added to the variance.
 *
 * @source Ba, Kiros and Hinton 2016, "Layer Normalization", equation 4
 * @example
 * ```ts
 * import { layerNorm, tensor, toArray } from 'espalier/ops'
 *
 * toArray(layerNorm(tensor([[1, 3]]), tensor([1, 2]), null, 0)) // => [[-1, 2]]
 * ```
 */
export const layerNorm = (x: Tensor, scale: Tensor | null, shift: Tensor | null, eps = 1e-5): Tensor =>
  apply(
    layerNormOp,
    [x, scale, shift].filter((input) => input !== null),
    {
      eps,
      scaled: scale !== null,
      shifted: shift !== null,
    },
  )

/** @internal */
export const layerNormOps: readonly Op<never>[] = [layerNormOp, layerNormSlopeOp]
