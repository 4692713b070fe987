import { Exp } from './exp'
import { Log, Tanh } from './functions'
import { CONSTANTS } from './scratch'
import { Threefry } from './threefry'

/* Where the constants of functions lie for kernels that need several of them. Each kernel writes those that it reads. */

export function expAt(scratch: usize): Exp {
  const exp = changetype<Exp>(scratch + CONSTANTS)
  exp.prepareExp()
  return exp
}

export function logAt(scratch: usize): Log {
  const log = changetype<Log>(scratch + CONSTANTS + offsetof<Exp>())
  log.prepare()
  return log
}

export function tanhAt(scratch: usize): Tanh {
  const tanh = changetype<Tanh>(scratch + CONSTANTS + offsetof<Exp>() + offsetof<Log>())
  tanh.prepare()
  return tanh
}

export function threefryAt(scratch: usize, hi: i32, lo: i32): Threefry {
  const random = changetype<Threefry>(scratch + CONSTANTS + offsetof<Exp>() + offsetof<Log>() + offsetof<Tanh>())
  random.prepare(hi, lo)
  return random
}

/** Of one number. */
export function expOf(exp: Exp, x: f32): f32 {
  return f32x4.extract_lane(exp.exp(f32x4.splat(x)), 0)
}

export function logOf(log: Log, x: f32): f32 {
  return f32x4.extract_lane(log.of(f32x4.splat(x)), 0)
}
