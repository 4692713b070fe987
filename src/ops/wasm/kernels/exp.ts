import { madd } from './madd'

/**
 * eˣ of four numbers at a time. `prepareExp` writes the constants.
 *
 * This is a view of the scratch memory, not an object, as are the other tables of constants. Each constant is there four
 * times, so that one load makes a vector of it: V8 would make one that stands in the code anew at every use, out of three
 * instructions.
 */
@unmanaged
export class Exp {
  lowest: v128
  log2e: v128
  round: v128
  minusLn2High: v128
  minusLn2Low: v128
  c7: v128
  c6: v128
  c5: v128
  c4: v128
  c3: v128
  c2: v128
  one: v128

  prepareExp(): void {
    this.lowest = f32x4.splat(-87.33654475)
    this.log2e = f32x4.splat(1.44269504)
    // 1.5 * 2²³: added to a number, it leaves the nearest whole number in the lowest bits.
    this.round = f32x4.splat(12582912)
    // ln 2 in two parts, of which the first has so few bits that its products with whole numbers are exact.
    this.minusLn2High = f32x4.splat(-0.693359375)
    this.minusLn2Low = f32x4.splat(0.00021219444)
    // Cephes, expf.
    this.c7 = f32x4.splat(0.000198756915)
    this.c6 = f32x4.splat(0.0013981999507)
    this.c5 = f32x4.splat(0.0083334519073)
    this.c4 = f32x4.splat(0.041665795894)
    this.c3 = f32x4.splat(0.16666665459)
    this.c2 = f32x4.splat(0.50000001201)
    this.one = f32x4.splat(1)
  }

  /** For x up to 88; 0 below -87.3, where eˣ is no normal number any more. */
  @inline
  exp(x: v128): v128 {
    const clamped = f32x4.pmax(x, this.lowest)
    const shifted = this.nearest(clamped)
    // Only the lowest bits of `shifted` are left after the shift: n, where a float has its exponent.
    const scaled = i32x4.add(this.remainder(clamped, shifted), i32x4.shl(shifted, 23))
    return v128.andnot(scaled, f32x4.lt(x, this.lowest))
  }

  /** For every x: up to infinity, and down through the numbers below 2⁻¹²⁶, by 2ⁿ in two factors. */
  @inline
  expOfAny(x: v128): v128 {
    const clamped = f32x4.pmax(f32x4.pmin(x, f32x4.splat(89)), f32x4.splat(-104))
    const shifted = this.nearest(clamped)
    const n = i32x4.sub(shifted, this.round)
    const part = i32x4.shr_s(n, 1)
    const product = f32x4.mul(this.remainder(clamped, shifted), powerOfTwo(part))
    return f32x4.mul(product, powerOfTwo(i32x4.sub(n, part)))
  }

  /** 1 / (1 + e⁻ˣ). */
  @inline
  sigmoid(x: v128): v128 {
    const odds = this.odds(x)
    return f32x4.div(odds, f32x4.add(odds, this.one))
  }

  /** What sigmoid is to 1 - sigmoid: eˣ, as far as it matters. */
  @inline
  odds(x: v128): v128 {
    return this.exp(f32x4.pmin(x, f32x4.splat(88)))
  }

  /** n of x = n ln 2 + r, as the lowest bits of a float. */
  @inline
  private nearest(x: v128): v128 {
    return madd(x, this.log2e, this.round)
  }

  /** eʳ, with r in [-0.35, 0.35]; in Estrin's order, because what costs time is that one sum waits for another. */
  @inline
  private remainder(x: v128, shifted: v128): v128 {
    const n = f32x4.sub(shifted, this.round)
    const r = madd(n, this.minusLn2Low, madd(n, this.minusLn2High, x))
    const square = f32x4.mul(r, r)
    const high = madd(madd(this.c7, r, this.c6), square, madd(this.c5, r, this.c4))
    return madd(madd(high, square, madd(this.c3, r, this.c2)), square, f32x4.add(r, this.one))
  }
}

function powerOfTwo(n: v128): v128 {
  return i32x4.shl(i32x4.add(n, i32x4.splat(127)), 23)
}
