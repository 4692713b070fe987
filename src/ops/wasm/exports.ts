/**
 * The kernels of the compiled module, kernels/index.ts, and what each is given besides the scratch memory of the thread it
 * runs on, which comes last: addresses, sizes and other numbers.
 *
 * @internal
 */
export interface Kernels {
  readonly matmul: readonly [
    batch: number,
    rows: number,
    columns: number,
    depth: number,
    a: number,
    aBatchStride: number,
    aRowStride: number,
    aDepthStride: number,
    b: number,
    bBatchStride: number,
    bDepthStride: number,
    bColumnStride: number,
    c: number,
    cRowStride: number,
  ]
}

/** @internal */
export type KernelName = keyof Kernels

/** Everything that the compiled module exports. @internal */
export type WasmExports = {
  readonly [K in KernelName]: (...given: [...Kernels[K], scratch: number]) => void
} & {
  /** Bytes of scratch memory that each thread needs. */
  readonly scratchBytes: () => number
}
