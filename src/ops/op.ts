import type { DType, Tensor, TensorSpec } from '../tree/tensor.ts'

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
  /** The op in other ops: the kernel of an engine without one, and what stands in a graph that has no node for it. */
  readonly composed?: (attrs: A, ...inputs: Tensor[]) => Tensor
  /** Replaces `native` where the binding has our own kernels, in graphs too. */
  readonly own?: OwnNode<A>
  /**
   * Gradients of the inputs, `null` for one without; written in ops, so that it can be differentiated and recorded.
   *
   * A rule may skip inputs that `needs` does not ask for.
   */
  readonly vjp?: (b: Backward<A>) => readonly (Tensor | null)[]
}

/** A kernel on live handles; it allocates its result and frees whatever else it allocated. */
export type Kernel<A extends Attrs> = (inputs: readonly Tensor[], attrs: A, output: TensorSpec) => Tensor

/** A value of an attr of a TensorFlow op: whole numbers as they are, others by `float`. */
export type NodeAttr = boolean | string | number | readonly number[] | { readonly float: number }

/** What a TensorFlow op is told: also, where its inputs are lists, how long they are. */
export type NodeAttrs = Readonly<Record<string, NodeAttr>>

/** Writes nodes of TensorFlow: run at once, or into a graph. */
export interface NodeWriter<V extends TensorSpec> {
  readonly node: (name: string, inputs: readonly V[], attrs: NodeAttrs, output: TensorSpec) => V
  readonly cast: (x: V, dtype: DType) => V
  readonly reshape: (x: V, shape: readonly number[]) => V
  readonly floats: (data: Float32Array) => V
}

/** The node of ours, in `native/kernels`, that computes an op. */
export interface OwnNode<A extends Attrs> {
  readonly write: <V extends TensorSpec>(to: NodeWriter<V>, inputs: readonly V[], attrs: A, output: TensorSpec) => V
  /** Whether it is to be preferred for these inputs, on this processor; always by default. */
  readonly serves?: (inputs: readonly TensorSpec[], attrs: A) => boolean
}
