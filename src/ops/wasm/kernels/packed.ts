import { decode, prepareDecode } from './decode'
import { multiplyBlock, packLeft } from './matmul'
import { packBlock, packPanel, panelStep } from './pack'
import { B_BLOCK, COLUMN_BLOCK, DEPTH_BLOCK, ROW_BLOCK, ROWS } from './scratch'
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
  const aRowStep = (depth as usize) << 2
  const cRowStep = (cRowStride as usize) << 2
  for (let column = 0; column < columns; column += COLUMN_BLOCK) {
    const width = min(COLUMN_BLOCK, columns - column)
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
