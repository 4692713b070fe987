import { bytes, sumOf, wholeVectors } from './lanes'
import { madd } from './madd'

/** Rows brought to mean 0 and variance 1, times `scale` plus `shift`; an address of 0 stands for none of these. */
export function layerNorm(
  rows: i32,
  width: i32,
  eps: f32,
  x: usize,
  scale: usize,
  shift: usize,
  out: usize,
  scratch: usize,
): void {
  const whole = wholeVectors(width)
  const end = bytes(width)
  for (let row = 0; row < rows; row++) {
    const center = meanOf(x, width)
    const spread = spreadOf(x, width, center, eps)
    const centers = f32x4.splat(center)
    const spreads = f32x4.splat(spread)
    let i: usize = 0
    for (; i < whole; i += 16) {
      let value = f32x4.mul(f32x4.sub(v128.load(x + i), centers), spreads)
      if (scale) value = f32x4.mul(value, v128.load(scale + i))
      if (shift) value = f32x4.add(value, v128.load(shift + i))
      v128.store(out + i, value)
    }
    for (; i < end; i += 4) {
      let value = (load<f32>(x + i) - center) * spread
      if (scale) value *= load<f32>(scale + i)
      if (shift) value += load<f32>(shift + i)
      store<f32>(out + i, value)
    }
    x += end
    out += end
  }
}

/** The gradient of x, given that of the normalised rows, g: what is left of it without its mean and its part along them. */
export function layerNormSlope(rows: i32, width: i32, eps: f32, x: usize, g: usize, out: usize, scratch: usize): void {
  const whole = wholeVectors(width)
  const end = bytes(width)
  for (let row = 0; row < rows; row++) {
    const center = meanOf(x, width)
    const spread = spreadOf(x, width, center, eps)
    const centers = f32x4.splat(center)
    const spreads = f32x4.splat(spread)

    let totals = f32x4.splat(0)
    let products = f32x4.splat(0)
    let i: usize = 0
    for (; i < whole; i += 16) {
      const slope = v128.load(g + i)
      totals = f32x4.add(totals, slope)
      products = madd(slope, f32x4.sub(v128.load(x + i), centers), products)
    }
    let total = sumOf(totals)
    let product = sumOf(products)
    for (; i < end; i += 4) {
      total += load<f32>(g + i)
      product += load<f32>(g + i) * (load<f32>(x + i) - center)
    }

    const common = total / (width as f32)
    const along = (product * spread * spread) / (width as f32)
    const commons = f32x4.splat(common)
    const alongs = f32x4.splat(along)
    for (i = 0; i < whole; i += 16) {
      const parallel = f32x4.mul(f32x4.sub(v128.load(x + i), centers), alongs)
      const rest = f32x4.sub(f32x4.sub(v128.load(g + i), commons), parallel)
      v128.store(out + i, f32x4.mul(rest, spreads))
    }
    for (; i < end; i += 4) {
      store<f32>(out + i, (load<f32>(g + i) - common - (load<f32>(x + i) - center) * along) * spread)
    }
    x += end
    g += end
    out += end
  }
}

function meanOf(x: usize, width: i32): f32 {
  const whole = x + wholeVectors(width)
  const end = x + bytes(width)
  let sums = f32x4.splat(0)
  for (; x < whole; x += 16) sums = f32x4.add(sums, v128.load(x))
  let sum = sumOf(sums)
  for (; x < end; x += 4) sum += load<f32>(x)
  return sum / (width as f32)
}

/** 1 / √(variance + eps). */
function spreadOf(x: usize, width: i32, center: f32, eps: f32): f32 {
  const whole = x + wholeVectors(width)
  const end = x + bytes(width)
  const centers = f32x4.splat(center)
  let sums = f32x4.splat(0)
  for (; x < whole; x += 16) {
    const distance = f32x4.sub(v128.load(x), centers)
    sums = madd(distance, distance, sums)
  }
  let sum = sumOf(sums)
  for (; x < end; x += 4) sum += (load<f32>(x) - center) * (load<f32>(x) - center)
  return (1 as f32) / sqrt<f32>(sum / (width as f32) + eps)
}
