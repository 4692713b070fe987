/**
 * The kernels of the compiled module, kernels/index.ts. Addresses and sizes, all numbers; the last argument of each is the
 * scratch memory of the thread it runs on.
 *
 * @internal
 */
export interface Kernels {
  readonly matmul: (
    batch: number,
    rows: number,
    columns: number,
    depth: number,
    ...operands: [
      a: number,
      aBatchStride: number,
      aRowStride: number,
      aDepthStride: number,
      b: number,
      bBatchStride: number,
      bDepthStride: number,
      bColumnStride: number,
      c: number,
      scratch: number,
    ]
  ) => void
}

/** @internal */
export type KernelName = keyof Kernels

/** What a kernel is given, except for the scratch memory. @internal */
export type Arguments<K extends KernelName> =
  Parameters<Kernels[K]> extends [...infer Given extends number[], number] ? Given : never

/** Everything that the compiled module exports. @internal */
export interface WasmExports extends Kernels {
  /** Bytes of scratch memory that each thread needs. */
  readonly scratchBytes: () => number
}
