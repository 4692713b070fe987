import { Exp } from './exp'
import { madd } from './madd'

/*
 * The functions that unary.ts applies to each element, besides those of gelu.ts: `prepare` writes their constants, `of` is the function of four
 * numbers. They are views of the scratch memory, as exp.ts says.
 */

/** Within ±limit, beyond which a function does not change, so that nothing overflows on the way to it. */
export function clamp(x: v128, limit: f32): v128 {
  return f32x4.pmax(f32x4.pmin(x, f32x4.splat(limit)), f32x4.splat(-limit))
}

/** ±1 from the limit on. */
function saturated(inside: v128, x: v128, limit: v128): v128 {
  const sign = v128.and(x, i32x4.splat(0x80000000))
  return v128.bitselect(v128.or(sign, f32x4.splat(1)), inside, f32x4.ge(f32x4.abs(x), limit))
}

/** The derivative of x s(u(x)), s the sigmoid: s (1 + (1 - s) x u'), with 1 - s from the odds, or it would cancel. */
export function slopeOfGated(odds: v128, along: v128, one: v128): v128 {
  const rest = f32x4.div(one, f32x4.add(odds, one))
  return f32x4.mul(f32x4.mul(odds, rest), madd(along, rest, one))
}

@unmanaged
export class ExpOfAny extends Exp {
  prepare(): void {
    this.prepareExp()
  }

  @inline
  of(x: v128): v128 {
    return this.expOfAny(x)
  }
}

@unmanaged
export class Sigmoid extends Exp {
  prepare(): void {
    this.prepareExp()
  }

  @inline
  of(x: v128): v128 {
    return this.sigmoid(x)
  }
}

@unmanaged
export class Silu extends Exp {
  prepare(): void {
    this.prepareExp()
  }

  @inline
  of(x: v128): v128 {
    return f32x4.mul(x, this.sigmoid(x))
  }
}

@unmanaged
export class SiluSlope extends Exp {
  prepare(): void {
    this.prepareExp()
  }

  @inline
  of(x: v128): v128 {
    return slopeOfGated(this.odds(x), clamp(x, 100), this.one)
  }
}

/** A quotient of two polynomials of x² (Eigen) up to ±7.9, where tanh is ±1. */
@unmanaged
export class Tanh {
  limit: v128
  a13: v128
  a11: v128
  a9: v128
  a7: v128
  a5: v128
  a3: v128
  a1: v128
  b6: v128
  b4: v128
  b2: v128
  b0: v128

  prepare(): void {
    this.limit = f32x4.splat(7.9)
    this.a13 = f32x4.splat(-2.76076847742355e-16)
    this.a11 = f32x4.splat(2.00018790482477e-13)
    this.a9 = f32x4.splat(-8.60467152213735e-11)
    this.a7 = f32x4.splat(5.12229709037114e-8)
    this.a5 = f32x4.splat(1.48572235717979e-5)
    this.a3 = f32x4.splat(6.37261928875436e-4)
    this.a1 = f32x4.splat(4.89352455891786e-3)
    this.b6 = f32x4.splat(1.19825839466702e-6)
    this.b4 = f32x4.splat(1.18534705686654e-4)
    this.b2 = f32x4.splat(2.268434632439e-3)
    this.b0 = f32x4.splat(4.89352518554385e-3)
  }

  @inline
  of(x: v128): v128 {
    const z = f32x4.mul(x, x)
    let above = madd(madd(madd(this.a13, z, this.a11), z, this.a9), z, this.a7)
    above = madd(madd(madd(above, z, this.a5), z, this.a3), z, this.a1)
    const below = madd(madd(madd(this.b6, z, this.b4), z, this.b2), z, this.b0)
    return saturated(f32x4.div(f32x4.mul(above, x), below), x, this.limit)
  }
}

/** A quotient of two polynomials of x² (XLA) up to ±4, where erf is ±1. */
@unmanaged
export class Erf {
  limit: v128
  a13: v128
  a11: v128
  a9: v128
  a7: v128
  a5: v128
  a3: v128
  a1: v128
  b8: v128
  b6: v128
  b4: v128
  b2: v128
  b0: v128

  prepare(): void {
    this.limit = f32x4.splat(4)
    this.a13 = f32x4.splat(-2.72614225801306e-10)
    this.a11 = f32x4.splat(2.77068142495902e-8)
    this.a9 = f32x4.splat(-2.10102402082508e-6)
    this.a7 = f32x4.splat(-5.69250639462346e-5)
    this.a5 = f32x4.splat(-7.34990630326855e-4)
    this.a3 = f32x4.splat(-2.95459980854025e-3)
    this.a1 = f32x4.splat(-1.60960333262415e-2)
    this.b8 = f32x4.splat(-1.45660718464996e-5)
    this.b6 = f32x4.splat(-2.13374055278905e-4)
    this.b4 = f32x4.splat(-1.68282697438203e-3)
    this.b2 = f32x4.splat(-7.37332916720468e-3)
    this.b0 = f32x4.splat(-1.42647390514189e-2)
  }

  @inline
  of(x: v128): v128 {
    const z = f32x4.mul(x, x)
    let above = madd(madd(madd(this.a13, z, this.a11), z, this.a9), z, this.a7)
    above = madd(madd(madd(above, z, this.a5), z, this.a3), z, this.a1)
    const below = madd(madd(madd(madd(this.b8, z, this.b6), z, this.b4), z, this.b2), z, this.b0)
    const inside = f32x4.div(f32x4.mul(above, x), below)
    return saturated(inside, x, this.limit)
  }
}

/** ln x as e ln 2 + ln m, m between √½ and √2 (Cephes, logf). */
@unmanaged
export class Log {
  c8: v128
  c7: v128
  c6: v128
  c5: v128
  c4: v128
  c3: v128
  c2: v128
  c1: v128
  c0: v128
  ln2High: v128
  ln2Low: v128
  half: v128
  one: v128
  rootOfHalf: v128

  prepare(): void {
    this.c8 = f32x4.splat(7.0376836292e-2)
    this.c7 = f32x4.splat(-1.151461031e-1)
    this.c6 = f32x4.splat(1.167699874e-1)
    this.c5 = f32x4.splat(-1.2420140846e-1)
    this.c4 = f32x4.splat(1.4249322787e-1)
    this.c3 = f32x4.splat(-1.6668057665e-1)
    this.c2 = f32x4.splat(2.0000714765e-1)
    this.c1 = f32x4.splat(-2.4999993993e-1)
    this.c0 = f32x4.splat(3.3333331174e-1)
    this.ln2High = f32x4.splat(0.693359375)
    this.ln2Low = f32x4.splat(-2.1219444e-4)
    this.half = f32x4.splat(0.5)
    this.one = f32x4.splat(1)
    this.rootOfHalf = f32x4.splat(0.70710678)
  }

  @inline
  of(x: v128): v128 {
    const isSmall = f32x4.lt(x, f32x4.splat(1.17549435e-38))
    const normal = v128.bitselect(f32x4.mul(x, f32x4.splat(8388608)), x, isSmall)
    const bias = i32x4.sub(i32x4.splat(-126), v128.and(isSmall, i32x4.splat(23)))
    const mantissa = v128.or(v128.and(normal, i32x4.splat(0x007fffff)), this.half)
    const isLow = f32x4.lt(mantissa, this.rootOfHalf)
    const exponent = i32x4.add(i32x4.add(i32x4.shr_s(normal, 23), bias), isLow)
    const e = f32x4.convert_i32x4_s(exponent)
    const m = f32x4.sub(f32x4.add(mantissa, v128.and(mantissa, isLow)), this.one)
    const z = f32x4.mul(m, m)
    let series = madd(madd(madd(this.c8, m, this.c7), m, this.c6), m, this.c5)
    series = madd(madd(madd(series, m, this.c4), m, this.c3), m, this.c2)
    series = f32x4.mul(madd(madd(series, m, this.c1), m, this.c0), f32x4.mul(m, z))
    const small = f32x4.sub(madd(e, this.ln2Low, series), f32x4.mul(z, this.half))
    const value = madd(e, this.ln2High, f32x4.add(m, small))
    // -1 / √x: -infinity at 0, NaN below; infinity and NaN are their own logarithms.
    const atMostZero = f32x4.div(f32x4.splat(-1), f32x4.abs(f32x4.sqrt(x)))
    const finite = v128.bitselect(value, x, f32x4.lt(x, f32x4.splat(Infinity)))
    return v128.bitselect(atMostZero, finite, f32x4.le(x, f32x4.splat(0)))
  }
}
