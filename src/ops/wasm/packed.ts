import { BLOCK, dynamicMap, type PackedAttrs, type PackedScheme } from '../codebooks.ts'
import type { TfKernel } from '../tf.ts'
import type { Held } from './exports.ts'
import { allocate, parallel, produce, wasmKernels } from './index.ts'

/** In the order of kernels/decode.ts. */
const schemes: readonly PackedScheme[] = ['nf4', 'int8', 'bf16', 'f16']

/** Runs `use` on a packed matrix with one float32 scale for each block; nested scales become that for as long. */
const withHeld = (
  { scheme, shape }: PackedAttrs,
  [codes = 0, ...scales]: readonly number[],
  use: (held: Held) => void,
): void => {
  const held = (at: number): Held => [schemes.indexOf(scheme), codes, at, shape[1]]
  const [first = 0, outer, offset] = scales
  if (outer === undefined || offset === undefined) return use(held(first))
  const { backend, exports, scratch } = wasmKernels()
  const blocks = Math.ceil((shape[0] * shape[1]) / BLOCK)
  const room = allocate(backend, 4 * (dynamicMap.length + blocks), 'unpack')
  try {
    new Float32Array(backend.wasm.HEAPU8.buffer, room, dynamicMap.length).set(dynamicMap)
    const to = room + 4 * dynamicMap.length
    exports.nestedScales(blocks, first, room, outer, offset, to, scratch)
    use(held(to))
  } finally {
    backend.wasm._free(room)
  }
}

/** The dense matrix, bit by bit as the reference has it. @internal */
export const unpackWasm: TfKernel<PackedAttrs> = ({ attrs, output }, ...parts) =>
  produce('unpack', parts, output, (out, ...at) =>
    withHeld(attrs, at, (held) =>
      parallel('unpack', attrs.shape[0] * attrs.shape[1], 1, (from, count) => [count, from, ...held, out + 4 * from]),
    ),
  )

/** x times a packed matrix, or its transpose, decoded block by block on its way into the registers. @internal */
export const matmulPackedWasm: TfKernel<PackedAttrs & { readonly transpose: boolean }> = (
  { attrs, output },
  x,
  ...parts
) =>
  produce('matmulPacked', [x, ...parts], output, (out, a = 0, ...at) =>
    withHeld(attrs, at, (held) => {
      const [height, width] = attrs.shape
      const [depth, columns] = attrs.transpose ? [width, height] : [height, width]
      const rows = x.size / depth
      // By columns, so that no two threads decode the same codes.
      parallel(
        'matmulPacked',
        columns,
        (rows + decoding) * depth,
        (first, count) => [rows, count, depth, a, ...held, Number(attrs.transpose), first, out + 4 * first, columns],
        panel,
      )
    }),
  )

/** What it takes to decode a weight, in multiplications; columns in a panel of the kernel. */
const decoding = 8
const panel = 8
