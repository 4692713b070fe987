import { Erf, ExpOfAny, Log, Sigmoid, Silu, SiluSlope, Tanh } from './functions'
import { Gelu, GeluSlope, GeluTanh, GeluTanhSlope } from './gelu'
import { CONSTANTS, TILE } from './scratch'

/** `out[i] = f(x[i])`, with the constants of f in scratch memory. */
function map<F>(count: i32, x: usize, out: usize, scratch: usize): void {
  const f = changetype<F>(scratch + CONSTANTS)
  f.prepare()
  const end = x + ((count as usize) << 2)
  while (x + 16 <= end) {
    v128.store(out, f.of(v128.load(x)))
    x += 16
    out += 16
  }
  const rest = end - x
  if (rest == 0) return
  // By the same four lanes, so that a number has the same function value wherever it stands.
  memory.copy(scratch + TILE, x, rest)
  v128.store(scratch + TILE, f.of(v128.load(scratch + TILE)))
  memory.copy(out, scratch + TILE, rest)
}

export function exp(count: i32, x: usize, out: usize, scratch: usize): void {
  map<ExpOfAny>(count, x, out, scratch)
}
export function log(count: i32, x: usize, out: usize, scratch: usize): void {
  map<Log>(count, x, out, scratch)
}
export function tanh(count: i32, x: usize, out: usize, scratch: usize): void {
  map<Tanh>(count, x, out, scratch)
}
export function erf(count: i32, x: usize, out: usize, scratch: usize): void {
  map<Erf>(count, x, out, scratch)
}
export function sigmoid(count: i32, x: usize, out: usize, scratch: usize): void {
  map<Sigmoid>(count, x, out, scratch)
}
export function silu(count: i32, x: usize, out: usize, scratch: usize): void {
  map<Silu>(count, x, out, scratch)
}
export function siluSlope(count: i32, x: usize, out: usize, scratch: usize): void {
  map<SiluSlope>(count, x, out, scratch)
}
export function gelu(count: i32, x: usize, out: usize, scratch: usize): void {
  map<Gelu>(count, x, out, scratch)
}
export function geluSlope(count: i32, x: usize, out: usize, scratch: usize): void {
  map<GeluSlope>(count, x, out, scratch)
}
export function geluTanh(count: i32, x: usize, out: usize, scratch: usize): void {
  map<GeluTanh>(count, x, out, scratch)
}
export function geluTanhSlope(count: i32, x: usize, out: usize, scratch: usize): void {
  map<GeluTanhSlope>(count, x, out, scratch)
}
