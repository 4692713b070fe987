import type { Tensor, TensorSpec } from '../tree/tensor.ts'

/** Values an op is parametrised by besides its tensors; plain data, so that a recording can key on it. */
export type Attrs = Readonly<Record<string, unknown>>

/** Raw elements in row-major order, as the reference kernels see them. */
export type Data = Float32Array | Int32Array | Uint8Array

/** One tensor as a reference kernel sees it. */
export interface Array_ {
  readonly shape: readonly number[]
  readonly data: Data
}

/** What a vjp rule is given: the op's own inputs and output, the gradient of the output, and which inputs want one. */
export interface Backward<A extends Attrs> {
  readonly dy: Tensor
  readonly inputs: readonly Tensor[]
  readonly output: Tensor
  readonly attrs: A
  readonly needs: readonly boolean[]
}

/**
 * An op is a value: its name, its shape rule, its derivative, and a kernel for each engine.
 *
 * - `infer` gives the shape and dtype of the result, or throws an `OpError` that says which shapes would have fitted.
 * - `reference` is plain TypeScript: the plain-JS engine, and the twin every other kernel is tested against.
 * - `accelerated` runs on the WASM and the native engine through tfjs; without it the reference runs there too.
 * - `wasm` / `native` replace `accelerated` on that one engine.
 * - `vjp` is written in ops, so that it can be differentiated and recorded itself; a rule may skip inputs that `needs` does not ask for.
 */
export interface Op<A extends Attrs = Attrs> {
  readonly name: string
  readonly infer: (inputs: readonly TensorSpec[], attrs: A) => TensorSpec
  readonly reference: (inputs: readonly Array_[], attrs: A, output: TensorSpec) => Data
  readonly accelerated?: Kernel<A>
  readonly wasm?: Kernel<A>
  readonly native?: Kernel<A>
  readonly vjp?: (b: Backward<A>) => readonly (Tensor | null)[]
}

/** A kernel on live handles; it allocates its result and frees whatever else it allocated. */
export type Kernel<A extends Attrs> = (inputs: readonly Tensor[], attrs: A, output: TensorSpec) => Tensor
