import { multiplyColumns } from './columns'
import { decode, prepareDecode } from './decode'
import { columnBlock, FEW_ROWS, multiplyBlock, packLeft } from './matmul'
import { packBlock, packPanel, panelStep } from './pack'
import { B_BLOCK, COLUMN_BLOCK, DEPTH_BLOCK, ROW_BLOCK, ROWS } from './scratch'
import { addStreams, clearSums, STREAMS, writeSums } from './row'
import { B_STEP, TILE_COLUMNS } from './tile'

/** `count` weights from number `from` on, as float32. */
export function unpack(
  count: u32,
  from: u32,
  scheme: i32,
  codes: usize,
  scales: usize,
  heldColumns: u32,
  to: usize,
  scratch: usize,
): void {
  prepareDecode(scheme, scratch)
  decode(scheme, codes, scales, heldColumns, from, count, to, scratch)
}

/** Scales of NF4 that are themselves held in 8 bits: a value of the codebook, times one scale for each 256, plus an offset. */
export function nestedScales(
  count: u32,
  codes: usize,
  codebook: usize,
  outer: usize,
  offset: usize,
  to: usize,
  _scratch: usize,
): void {
  const shift = load<f32>(offset)
  for (let i: u32 = 0; i < count; i++) {
    const value = load<f32>(codebook + ((load<u8>(codes + i) as usize) << 2))
    store<f32>(to + ((i as usize) << 2), value * load<f32>(outer + (((i >> 8) as usize) << 2)) + shift)
  }
}

/**
 * C = A W, or A times W transposed, for columns `first` to `first + columns` of the product; A is row-major, and W is held
 * in codes of `heldColumns` a row. A block of W is decoded on its way into the packed block, and never lies anywhere whole.
 */
export function matmulPacked(
  rows: i32,
  columns: i32,
  depth: i32,
  a: usize,
  scheme: i32,
  codes: usize,
  scales: usize,
  heldColumns: u32,
  transposed: i32,
  first: u32,
  c: usize,
  cRowStride: i32,
  scratch: usize,
): void {
  prepareDecode(scheme, scratch)
  if (rows <= FEW_ROWS) {
    multiplyFewHeld(
      rows,
      columns,
      depth,
      a,
      scheme,
      codes,
      scales,
      heldColumns,
      transposed,
      first,
      c,
      cRowStride,
      scratch,
    )
    return
  }
  const aRowStep = (depth as usize) << 2
  const cRowStep = (cRowStride as usize) << 2
  const block = columnBlock(rows)
  for (let column = 0; column < columns; column += block) {
    const width = min(block, columns - column)
    for (let k = 0; k < depth; k += DEPTH_BLOCK) {
      const deep = min(DEPTH_BLOCK, depth - k)
      if (transposed) packHeldRows(scheme, codes, scales, heldColumns, first + column, k, width, deep, scratch)
      else packHeldColumns(scheme, codes, scales, heldColumns, first + column, k, width, deep, scratch)
      for (let row = 0; row < rows; row += ROW_BLOCK) {
        const height = min(ROW_BLOCK, rows - row)
        packLeft(a + (row as usize) * aRowStep + ((k as usize) << 2), aRowStep, 4, height, deep, scratch)
        const to = c + (row as usize) * cRowStep + ((column as usize) << 2)
        multiplyBlock(height, width, deep, scratch, to, cRowStep, k > 0)
      }
    }
  }
}

/** Columns of the product are rows of W: eight of them are decoded, and turned into a panel. */
function packHeldRows(
  scheme: i32,
  codes: usize,
  scales: usize,
  heldColumns: u32,
  first: u32,
  k: i32,
  width: i32,
  deep: i32,
  scratch: usize,
): void {
  const rowStep = (DEPTH_BLOCK as usize) << 2
  let to = scratch + B_BLOCK
  for (let j = 0; j < width; j += TILE_COLUMNS) {
    const lanes = min(TILE_COLUMNS, width - j)
    for (let i = 0; i < lanes; i++) {
      const from = (first + j + i) * heldColumns + k
      decode(scheme, codes, scales, heldColumns, from, deep, scratch + ROWS + (i as usize) * rowStep, scratch)
    }
    packPanel(to, B_STEP, scratch + ROWS, rowStep, 4, lanes, deep)
    to += panelStep(deep)
  }
}

/** Columns of the product are columns of W: four pieces of its rows are decoded, and dealt out to the panels. */
function packHeldColumns(
  scheme: i32,
  codes: usize,
  scales: usize,
  heldColumns: u32,
  first: u32,
  k: i32,
  width: i32,
  deep: i32,
  scratch: usize,
): void {
  const rowStep = (COLUMN_BLOCK as usize) << 2
  for (let i = 0; i < deep; i += 4) {
    const height = min(4, deep - i)
    for (let row = 0; row < height; row++) {
      const from = (k + i + row) * heldColumns + first
      decode(scheme, codes, scales, heldColumns, from, width, scratch + ROWS + (row as usize) * rowStep, scratch)
    }
    packBlock(scratch + B_BLOCK + (i as usize) * B_STEP, panelStep(deep), scratch + ROWS, 4, rowStep, width, height)
  }
}

/** What is decoded is multiplied at once, in the order of `multiplyFewRows`. */
function multiplyFewHeld(
  rows: i32,
  columns: i32,
  depth: i32,
  a: usize,
  scheme: i32,
  codes: usize,
  scales: usize,
  heldColumns: u32,
  transposed: i32,
  first: u32,
  c: usize,
  cRowStride: i32,
  scratch: usize,
): void {
  const aRowStep = (depth as usize) << 2
  const cRowStep = (cRowStride as usize) << 2
  const held = scratch + ROWS
  const block = transposed ? HELD_ROWS : COLUMN_BLOCK
  const rowStep = ((transposed ? DEPTH_BLOCK : COLUMN_BLOCK) as usize) << 2
  for (let column = 0; column < columns; column += block) {
    const width = min(block, columns - column)
    const to = c + ((column as usize) << 2)
    for (let k = 0; k < depth; k += DEPTH_BLOCK) {
      const deep = min(DEPTH_BLOCK, depth - k)
      const aFrom = a + ((k as usize) << 2)
      if (transposed) {
        for (let i = 0; i < width; i++) {
          const from = (first + column + i) * heldColumns + k
          decode(scheme, codes, scales, heldColumns, from, deep, held + (i as usize) * rowStep, scratch)
        }
        for (let i = 0; i < rows; i++) {
          const row = aFrom + (i as usize) * aRowStep
          multiplyColumns(width, deep, row, 4, held, 4, rowStep, to + (i as usize) * cRowStep, k > 0)
        }
      } else {
        clearSums(rows, width, scratch)
        for (let d = 0; d < deep; d += STREAMS) {
          const streams = min(STREAMS, deep - d)
          for (let i = 0; i < streams; i++) {
            const from = (k + d + i) * heldColumns + first + column
            decode(scheme, codes, scales, heldColumns, from, width, held + (i as usize) * rowStep, scratch)
          }
          addStreams(rows, width, streams, aFrom + ((d as usize) << 2), aRowStep, 4, held, rowStep, scratch)
        }
        writeSums(rows, width, to, cRowStep, k > 0, scratch)
      }
    }
  }
}

/** Rows of W that are decoded side by side: as many as `multiplyColumns` works on. */
const HELD_ROWS: i32 = 16
