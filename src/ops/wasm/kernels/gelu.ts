import { Exp } from './exp'
import { clamp, slopeOfGated } from './functions'
import { madd } from './madd'

/** gelu by tanh as x · sigmoid(a x + b x³): one exponential, and no cancellation for negative x. */
@unmanaged
class TanhGate extends Exp {
  linear: v128
  cubic: v128

  prepareGate(): void {
    this.prepareExp()
    // 2 √(2/π), and that times 0.044715.
    this.linear = f32x4.splat(1.5957691216)
    this.cubic = f32x4.splat(0.071354816272)
  }

  @inline
  inner(x: v128): v128 {
    return f32x4.mul(x, madd(f32x4.mul(x, x), this.cubic, this.linear))
  }
}

@unmanaged
export class GeluTanh extends TanhGate {
  prepare(): void {
    this.prepareGate()
  }

  @inline
  of(x: v128): v128 {
    return f32x4.mul(x, this.sigmoid(this.inner(x)))
  }
}

@unmanaged
export class GeluTanhSlope extends TanhGate {
  threefold: v128

  prepare(): void {
    this.prepareGate()
    this.threefold = f32x4.splat(3 * 0.071354816272)
  }

  @inline
  of(x: v128): v128 {
    const near = clamp(x, 20)
    const along = f32x4.mul(near, madd(f32x4.mul(near, near), this.threefold, this.linear))
    return slopeOfGated(this.odds(this.inner(near)), along, this.one)
  }
}

/**
 * The upper tail of the normal distribution, Q(a) = 1 - Φ(a), for a from 0: e^(-a²/2) times a polynomial of 1 / (1 + p a).
 *
 * The form is that of Abramowitz and Stegun, 7.1.26; the coefficients are a fit of our own that keeps a · Q(a) right to
 * 5e-8, which is what gelu needs of it.
 */
@unmanaged
class NormalTail extends Exp {
  p: v128
  t6: v128
  t5: v128
  t4: v128
  t3: v128
  t2: v128
  t1: v128
  minusHalf: v128
  density: v128

  prepareTail(): void {
    this.prepareExp()
    this.p = f32x4.splat(0.28)
    this.t6 = f32x4.splat(-0.1020956633)
    this.t5 = f32x4.splat(0.3748981675)
    this.t4 = f32x4.splat(-0.2130225991)
    this.t3 = f32x4.splat(0.24988640672)
    this.t2 = f32x4.splat(0.07497955187)
    this.t1 = f32x4.splat(0.11535418462)
    this.minusHalf = f32x4.splat(-0.5)
    this.density = f32x4.splat(0.3989422804)
  }

  /** e^(-a²/2) of a = |x|. */
  @inline
  bell(x: v128): v128 {
    return this.exp(f32x4.mul(f32x4.mul(x, x), this.minusHalf))
  }

  /** Q(a) / e^(-a²/2). */
  @inline
  tail(a: v128): v128 {
    const t = f32x4.div(this.one, madd(a, this.p, this.one))
    const square = f32x4.mul(t, t)
    const high = madd(madd(this.t6, t, this.t5), square, madd(this.t4, t, this.t3))
    return f32x4.mul(t, madd(high, square, madd(this.t2, t, this.t1)))
  }
}

/** x Φ(x) = max(x, 0) - |x| Q(|x|). */
@unmanaged
export class Gelu extends NormalTail {
  prepare(): void {
    this.prepareTail()
  }

  @inline
  of(x: v128): v128 {
    // From 20 on the tail is 0; that of infinity would be 0 times infinity.
    const a = f32x4.pmin(f32x4.abs(x), f32x4.splat(20))
    const lost = f32x4.mul(a, f32x4.mul(this.tail(a), this.bell(a)))
    return f32x4.sub(f32x4.pmax(x, f32x4.splat(0)), lost)
  }
}

/** Φ(x) + x φ(x), which for x and -x adds up to 1. */
@unmanaged
export class GeluSlope extends NormalTail {
  prepare(): void {
    this.prepareTail()
  }

  @inline
  of(x: v128): v128 {
    const a = f32x4.pmin(f32x4.abs(x), f32x4.splat(20))
    const below = f32x4.mul(this.bell(a), f32x4.sub(this.tail(a), f32x4.mul(a, this.density)))
    return v128.bitselect(below, f32x4.sub(this.one, below), f32x4.lt(x, f32x4.splat(0)))
  }
}
