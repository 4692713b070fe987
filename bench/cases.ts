/** What is measured: tasks on models at sizes, and what of each is matrix products. */

export type Task = 'lora' | 'qlora' | 'full' | 'forward' | 'generation'
export type ModelName = 'sllm' | 'gpt2'

/** One thing to do, the same for every contestant: a process reads it as JSON. */
export interface Case {
  readonly task: Task | 'matmul'
  readonly model: ModelName
  readonly batch: number
  readonly length: number
  /** Where the model is, as PyTorch reads it too. */
  readonly folder: string
  readonly rank: number
  readonly newTokens: number
  readonly sizes: Sizes
  /** Of `matmul`: what is multiplied. */
  readonly products?: readonly Product[]
}

/** One matrix product, [batch ×] rows × depth times depth × columns, and how often a step has it. */
export interface Product {
  readonly name: string
  readonly batch?: number
  readonly rows: number
  readonly depth: number
  readonly columns: number
  readonly transposeA?: boolean
  readonly transposeB?: boolean
  readonly count?: number
}

/** The sizes of a model. */
export interface Sizes {
  readonly layers: number
  readonly d: number
  readonly heads: number
  /** Width of all heads together. */
  readonly wide: number
  readonly inner: number
  readonly vocab: number
}

export const sizes: Readonly<Record<ModelName, Sizes>> = {
  gpt2: { layers: 12, d: 768, heads: 12, wide: 768, inner: 3072, vocab: 50_257 },
  sllm: { layers: 2, d: 128, heads: 2, wide: 256, inner: 128, vocab: 52_000 },
}

/** Positions enough for the longest shape. */
export const positions = 512
export const rank = 8
export const rate = 1e-3

export const flopsOf = ({ batch = 1, rows, depth, columns, count = 1 }: Product): number =>
  2 * batch * rows * depth * columns * count

/** The dense weights of one block: [in, out], how many of the kind, and whether LoRA is on them. */
const blockWeights = (model: ModelName, { d, wide, inner }: Sizes) =>
  model === 'gpt2'
    ? [
        { name: 'c_attn', in: d, out: 3 * d, each: 1, first: true },
        { name: 'attention out', in: d, out: d, each: 1, first: false },
        { name: 'mlp in', in: d, out: inner, each: 1, first: false },
        { name: 'mlp out', in: inner, out: d, each: 1, first: false },
      ]
    : [
        { name: 'q, k, v', in: d, out: wide, each: 3, first: true },
        { name: 'attention out', in: wide, out: d, each: 1, first: false },
        { name: 'mlp', in: d, out: inner, each: 2, first: false },
      ]

/**
 * The products of a step with the dense weights: forward; towards the inputs in training, not below the lowest weight that
 * learns; towards the weights where these learn. Attention's own and the adapters' are left out: a hundredth of the work.
 */
export const productsOf = ({ task, model, batch, length, sizes: all }: Case): readonly Product[] => {
  const rows = batch * length
  const heads = batch * (task === 'forward' || task === 'generation' ? length : length - 1)
  const trains = task === 'lora' || task === 'qlora' || task === 'full'
  const dense = blockWeights(model, all).flatMap(({ name, in: i, out, each, first }): Product[] => {
    const count = all.layers * each
    return [
      { name, rows, depth: i, columns: out, count },
      ...(trains
        ? [{ name: `${name}, back`, rows, depth: out, columns: i, transposeB: true, count: count - (first ? each : 0) }]
        : []),
      ...(task === 'full'
        ? [{ name: `${name}, weight`, rows: i, depth: rows, columns: out, transposeA: true, count }]
        : []),
    ]
  })
  const { d, vocab } = all
  const head: readonly Product[] = [
    { name: 'head', rows: heads, depth: d, columns: vocab, transposeB: model === 'gpt2' },
    ...(trains ? [{ name: 'head, back', rows: heads, depth: vocab, columns: d, transposeB: model !== 'gpt2' }] : []),
    ...(task === 'full' ? [{ name: 'head, weight', rows: d, depth: heads, columns: vocab, transposeA: true }] : []),
  ]
  return [...dense, ...head].filter(({ count = 1 }) => count > 0)
}

export interface Shape {
  readonly batch: number
  readonly length: number
}

const common: readonly Shape[] = [
  { batch: 1, length: 32 },
  { batch: 4, length: 128 },
  { batch: 1, length: 512 },
]

/** The shapes of each comparison; `16x50` is the one of SLLM's chapter. */
export const shapesOf = (task: Task, model: ModelName): readonly Shape[] =>
  task === 'generation'
    ? [{ batch: 1, length: 32 }]
    : model === 'sllm'
      ? [...common, { batch: 16, length: 50 }]
      : common

export const showShape = ({ batch, length }: Shape): string => `${batch}x${length}`

/** Token ids that every contestant makes alike. */
export const idsOf = ({ batch, length, sizes: { vocab } }: Case): Int32Array =>
  Int32Array.from({ length: batch * length }, (_, i) => (1_103_515_245 * i + 12_345) % vocab)

/** The products that engines are compared by alone. */
export const matmulProducts: readonly Product[] = [
  { name: '512 x 512 x 512', rows: 512, depth: 512, columns: 512 },
  { name: '512 x 512 x 512, b transposed', rows: 512, depth: 512, columns: 512, transposeB: true },
  { name: '512 x 512 x 512, a transposed', rows: 512, depth: 512, columns: 512, transposeA: true },
  { name: 'q k^T, 32 x (50 x 128 x 50)', batch: 32, rows: 50, depth: 128, columns: 50, transposeB: true },
  { name: 'p v, 32 x (50 x 50 x 128)', batch: 32, rows: 50, depth: 50, columns: 128 },
  { name: '800 x 128 x 256', rows: 800, depth: 128, columns: 256 },
  { name: '512 x 768 x 8', rows: 512, depth: 768, columns: 8 },
  { name: '1 x 768 x 3072', rows: 1, depth: 768, columns: 3072 },
  { name: '1 x 768 x 3072, b transposed', rows: 1, depth: 768, columns: 3072, transposeB: true },
  { name: '4 x 768 x 3072', rows: 4, depth: 768, columns: 3072 },
  { name: '512 x 768 x 3072', rows: 512, depth: 768, columns: 3072 },
  { name: '512 x 3072 x 768, b transposed', rows: 512, depth: 3072, columns: 768, transposeB: true },
]
