/**
 * The kernels of the compiled module, kernels/index.ts, and what each is given besides the scratch memory of the thread it
 * runs on, which comes last: addresses, sizes and other numbers.
 *
 * @internal
 */
export interface Kernels extends Readonly<Record<UnaryKernel, OnEach>> {
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
  readonly matmulPacked: readonly [
    rows: number,
    columns: number,
    depth: number,
    a: number,
    ...held: Held,
    transposed: number,
    first: number,
    c: number,
    cRowStride: number,
  ]
  readonly layerNorm: readonly [
    rows: number,
    width: number,
    eps: number,
    x: number,
    scale: number,
    shift: number,
    out: number,
  ]
  readonly layerNormSlope: readonly [rows: number, width: number, eps: number, x: number, g: number, out: number]
  readonly headLoss: readonly [
    count: number,
    ids: number,
    hidden: number,
    d: number,
    weight: number,
    depthStride: number,
    columnStride: number,
    classes: number,
    bias: number,
    cap: number,
    labels: number,
    losses: number,
    slopes: number,
    block: number,
    work: number,
  ]
  readonly attention: readonly [head: number, count: number, scores: number, out: number, block: number, work: number]
  readonly attentionSlope: readonly [
    group: number,
    count: number,
    scores: number,
    output: number,
    dy: number,
    dq: number,
    dk: number,
    dv: number,
    block: number,
    work: number,
  ]
  readonly softmax: readonly [first: number, count: number, scores: number, x: number, out: number]
  readonly crossEntropyRows: readonly [
    rows: number,
    classes: number,
    logits: number,
    labels: number,
    ignored: number,
    out: number,
  ]
  readonly crossEntropySlope: readonly [
    rows: number,
    classes: number,
    logits: number,
    labels: number,
    dy: number,
    ignored: number,
    out: number,
  ]
  readonly dropout: readonly [
    count: number,
    x: number,
    out: number,
    index: number,
    hi: number,
    lo: number,
    dropped: number,
    factor: number,
  ]
  readonly blend: Blend
  readonly blendSquare: Blend
  readonly adamDirection: readonly [
    count: number,
    mean: number,
    square: number,
    scale: number,
    floor: number,
    out: number,
  ]
  readonly unpack: readonly [count: number, from: number, ...held: Held, to: number]
  readonly nestedScales: readonly [
    count: number,
    codes: number,
    codebook: number,
    outer: number,
    offset: number,
    to: number,
  ]
  readonly gatherRows: readonly [count: number, width: number, ids: number, table: number, to: number]
  readonly scatterRows: readonly [
    rows: number,
    first: number,
    count: number,
    width: number,
    ids: number,
    dy: number,
    table: number,
  ]
}

/** A packed matrix: how it is coded, where, and in rows of how many. @internal */
export type Held = readonly [scheme: number, codes: number, scales: number, columns: number]

/** The functions of one number; each element of `x` has its value at the same place of `out`. @internal */
export type UnaryKernel =
  | 'exp'
  | 'log'
  | 'tanh'
  | 'erf'
  | 'sigmoid'
  | 'silu'
  | 'siluSlope'
  | 'gelu'
  | 'geluSlope'
  | 'geluTanh'
  | 'geluTanhSlope'

type Blend = readonly [count: number, kept: number, taken: number, old: number, now: number, out: number]
type OnEach = readonly [count: number, x: number, out: number]

/** @internal */
export type KernelName = keyof Kernels

/** Everything that the compiled module exports. @internal */
export type WasmExports = {
  readonly [K in KernelName]: (...given: [...Kernels[K], scratch: number]) => void
} & {
  /** Bytes of scratch memory that each thread needs. */
  readonly scratchBytes: () => number
}
