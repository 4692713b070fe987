/**
 * Whether this is the build with relaxed SIMD. A constant of the compiler: what it rules out is not in the module.
 *
 * That build is its own module because a machine without relaxed SIMD refuses a module that mentions it.
 */
export const FUSED: bool = isDefined(RELAXED)

/** a b + c: rounded once where the machine can and the build may, else twice. */
export function madd(a: v128, b: v128, c: v128): v128 {
  if (FUSED) return f32x4.relaxed_madd(a, b, c)
  return f32x4.add(f32x4.mul(a, b), c)
}
