import type { Ctx, Embedded } from '../kind/index.ts'
import { behind } from '../kind/sequence.ts'
import { cast, mul, ones, reshape, tensor } from '../ops/index.ts'
import type { Tensor } from '../tree/tensor.ts'

/** Who may be attended to at all, of the past and of the tokens at hand: [batch, past + length]; absent for everyone. */
export const present = ({ hidden, mask }: Embedded, { past }: Ctx): Tensor | undefined => {
  const length = past?.length ?? 0
  if (length === 0 || (mask === undefined && past?.mask === undefined)) return mask
  const [batch = 0, own = 0] = hidden.shape
  return behind(floats(past?.mask ?? ones([1, length])), floats(mask ?? ones([batch, own])), 1)
}

/** Masks of tokens are whole numbers or not, as the caller has them; of a past they are numbers of one kind. */
export const floats = (mask: Tensor): Tensor => (mask.dtype === 'float32' ? mask : cast(mask, 'float32'))

const keysOnly = (seen: Tensor): Tensor => reshape(seen, [seen.shape[0] ?? 0, 1, 1, seen.shape[1] ?? 0])

/**
 * 1 where a query may see a key: the past and the keys up to its own position, of which no padding and, with a window, only
 * the last that many; [batch or 1, 1, length, past + length].
 */
export const causalMask = (embedded: Embedded, ctx: Ctx, window = 0): Tensor => {
  const length = embedded.hidden.shape[1] ?? 0
  const past = ctx.past?.length ?? 0
  const width = past + length
  const below = new Float32Array(length * width)
  for (let i = 0; i < length; i++) {
    const last = past + i + 1
    below.fill(1, i * width + (window === 0 ? 0 : Math.max(0, last - window)), i * width + last)
  }
  const causal = tensor(below, [1, 1, length, width])
  const seen = present(embedded, ctx)
  return seen === undefined ? causal : mul(causal, keysOnly(seen))
}

/** 1 where a key is no padding, [batch, 1, 1, past + length]; absent for all of them. */
export const paddingMask = (embedded: Embedded, ctx: Ctx): Tensor | undefined => {
  const seen = present(embedded, ctx)
  return seen === undefined ? undefined : keysOnly(seen)
}
