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

/** An op is a value: its name, its shape rule, its derivative, and a kernel for each engine; `apply` applies it. */
export interface Op<A extends Attrs = Attrs> {
  readonly name: string
  /** The shape and dtype of the result; throws an `EspalierError` that says which shapes would have fitted. */
  readonly infer: (inputs: readonly TensorSpec[], attrs: A) => TensorSpec
  /** Plain TypeScript: the plain-JS engine, and the twin that every other kernel is tested against. */
  readonly reference: (inputs: readonly Array_[], attrs: A, output: TensorSpec) => Data
  /** Runs on the WASM and the native engine; without it the reference runs there too. */
  readonly accelerated?: Kernel<A>
  /** Replaces `accelerated` on the WASM engine. */
  readonly wasm?: Kernel<A>
  /** Replaces `accelerated` on the native engine. */
  readonly native?: Kernel<A>
  /**
   * Gradients of the inputs, `null` for one without; written in ops, so that it can be differentiated and recorded.
   *
   * A rule may skip inputs that `needs` does not ask for.
   */
  readonly vjp?: (b: Backward<A>) => readonly (Tensor | null)[]
}

/** A kernel on live handles; it allocates its result and frees whatever else it allocated. */
export type Kernel<A extends Attrs> = (inputs: readonly Tensor[], attrs: A, output: TensorSpec) => Tensor
