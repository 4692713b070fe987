import { materialize, project, projectT } from '../kind/index.ts'
import type { Ctx, Weight } from '../kind/index.ts'
import { add, matmul, mul, neg, reshape, solve, sub, tensor, transpose } from '../ops/index.ts'
import type { Tensor } from '../tree/tensor.ts'
import type { WholeWeight } from './variant.ts'

/*
 * What turns the inputs of a weight: x · R, then the weight. R is never built in a forward pass, nor is R·W, so that a
 * weight held in few bits stays so.
 */

/** x [..., in] times R, or with `back` times R transposed. */
type Rotate<N> = (x: Tensor, weight: N, back: boolean, ctx: Ctx) => Tensor

/** The operations of R·W for a rotation R of the inputs. */
export const rotating = <N extends { readonly base: Weight }>(rotate: Rotate<N>): WholeWeight<N> => ({
  project: (x, w, ctx) => project(rotate(x, w, false, ctx), w.base, ctx),
  projectT: (x, w, ctx) => rotate(projectT(x, w.base, ctx), w, true, ctx),
  // R·W is what is left of (Wᵀ·Rᵀ)ᵀ, and Wᵀ·Rᵀ turns rows as any input.
  materialize: (w, ctx) => transpose(rotate(transpose(materialize(w.base, ctx)), w, true, ctx)),
})

/** The identity [n, n]. */
export const identity = (n: number): Tensor =>
  tensor(
    Float32Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0)),
    [n, n],
  )

/**
 * Rotations (I + Q)(I − Q)⁻¹ of skew matrices Q [..., n, n]: exact, and the identity to the last bit where Q is zero.
 *
 * @source Cayley 1846; as in Qiu et al. 2023, "Controlling Text-to-Image Diffusion by Orthogonal Finetuning", §3.3.
 */
export const cayley = (q: Tensor): Tensor => {
  const one = identity(q.shape.at(-1)!)
  // The two factors commute, so one solve is enough.
  return solve(add(neg(q), one), add(q, one))
}

/** A − Aᵀ over the last two axes of three, halved: the skew part. */
export const skewPart = (a: Tensor): Tensor => mul(sub(a, transpose(a, [0, 2, 1])), 0.5)

/**
 * x [..., in] times a block-diagonal matrix of blocks [n, b, b], whose i-th block takes two runs of b/2 numbers that lie
 * `stride` runs apart; at a stride of 1 a block takes b numbers in a row.
 */
export const timesBlocks = (x: Tensor, blocks: Tensor, stride: number, back: boolean): Tensor => {
  const [n = 1, b = 1] = blocks.shape
  const runs = stride === 1 ? 1 : 2
  const rows = x.size / (n * b)
  const apart = reshape(x, [rows, n / stride, runs, stride, b / runs])
  const gathered = reshape(transpose(apart, [1, 3, 0, 2, 4]), [n, rows, b])
  const turned = reshape(matmul(gathered, blocks, { transposeB: back }), [n / stride, stride, rows, runs, b / runs])
  return reshape(transpose(turned, [2, 0, 3, 1, 4]), x.shape)
}
