import { bytes } from './lanes'
import { packBlock, packPanel, panelStep } from './pack'
import { multiplyFewRows } from './row'
import { A_BLOCK, B_BLOCK, COLUMN_BLOCK, DEPTH_BLOCK, ROW_BLOCK } from './scratch'
import { A_STEP, B_STEP, multiplyTile, TILE_COLUMNS, TILE_ROWS } from './tile'

/*
 * Matrix product in the blocking of Goto and van de Geijn: a block of B is packed once and stays in the L2/L3 cache, a
 * block of A is packed and stays in L2, a panel of B stays in L1 while all panels of A pass by, and the tile stays in
 * registers. Sizes: 256 deep (a panel of B is 8 kB), about 130 rows of whole tiles (A: 130 kB), 1024 columns (B: 1 MB).
 */

/** Up to here reading B anew for each row is cheaper than packing it. */
export const FEW_ROWS: i32 = 2

/**
 * C[i] = A[i] B[i] for each i of the batch; all float32. C may be a part of the columns of a wider matrix, whose rows are
 * `cRowStride` apart; the products of a batch follow each other.
 *
 * Strides are in elements. One of the two inside a matrix is 1; a transpose is both exchanged, and a matrix shared by the
 * whole batch has a batch stride of 0. C is written before it is read, so it may hold anything.
 */
export function matmul(
  batch: i32,
  rows: i32,
  columns: i32,
  depth: i32,
  a: usize,
  aBatchStride: i32,
  aRowStride: i32,
  aDepthStride: i32,
  b: usize,
  bBatchStride: i32,
  bDepthStride: i32,
  bColumnStride: i32,
  c: usize,
  cRowStride: i32,
  scratch: usize,
): void {
  const cRowStep = bytes(cRowStride)
  const cBytes = ((rows as usize) * (columns as usize)) << 2
  if (depth == 0) {
    memory.fill(c, 0, (batch as usize) * cBytes)
    return
  }
  const aRowStep = bytes(aRowStride)
  const aDepthStep = bytes(aDepthStride)
  const bDepthStep = bytes(bDepthStride)
  const bColumnStep = bytes(bColumnStride)
  for (let i = 0; i < batch; i++) {
    multiply(rows, columns, depth, a, aRowStep, aDepthStep, b, bDepthStep, bColumnStep, c, cRowStep, false, scratch)
    a += bytes(aBatchStride)
    b += bytes(bBatchStride)
    c += cBytes
  }
}

/** For a low A, little enough of B to be multiplied while it is still near: there packing is most of the work. */
export function columnBlock(rows: i32): i32 {
  return rows <= 64 ? 128 : COLUMN_BLOCK
}

/** One product, into or onto C; steps in bytes. */
export function multiply(
  rows: i32,
  columns: i32,
  depth: i32,
  a: usize,
  aRowStep: usize,
  aDepthStep: usize,
  b: usize,
  bDepthStep: usize,
  bColumnStep: usize,
  c: usize,
  cRowStep: usize,
  accumulate: bool,
  scratch: usize,
): void {
  if (rows <= FEW_ROWS && !accumulate) {
    multiplyFewRows(rows, columns, depth, a, aRowStep, aDepthStep, b, bDepthStep, bColumnStep, c, cRowStep, scratch)
    return
  }
  const block = columnBlock(rows)
  for (let column = 0; column < columns; column += block) {
    const width = min(block, columns - column)
    for (let k = 0; k < depth; k += DEPTH_BLOCK) {
      const deep = min(DEPTH_BLOCK, depth - k)
      const bFrom = b + (k as usize) * bDepthStep + (column as usize) * bColumnStep
      packBlock(scratch + B_BLOCK, panelStep(deep), bFrom, bColumnStep, bDepthStep, width, deep)
      for (let row = 0; row < rows; row += ROW_BLOCK) {
        const height = min(ROW_BLOCK, rows - row)
        const aFrom = a + (row as usize) * aRowStep + (k as usize) * aDepthStep
        packLeft(aFrom, aRowStep, aDepthStep, height, deep, scratch)
        const to = c + (row as usize) * cRowStep + bytes(column)
        multiplyBlock(height, width, deep, scratch, to, cRowStep, accumulate || k > 0)
      }
    }
  }
}

/** A block of A as panels, each as many rows as the tile has. */
export function packLeft(a: usize, rowStep: usize, depthStep: usize, height: i32, depth: i32, scratch: usize): void {
  for (let i = 0; i < height; i += TILE_ROWS) {
    const lanes = min(TILE_ROWS, height - i)
    const to = scratch + A_BLOCK + bytes(i) * (depth as usize)
    packPanel(to, A_STEP, a + (i as usize) * rowStep, rowStep, depthStep, lanes, depth)
  }
}

/** The packed blocks in scratch times each other, into or onto C. */
export function multiplyBlock(
  height: i32,
  width: i32,
  depth: i32,
  scratch: usize,
  c: usize,
  cRowStep: usize,
  accumulate: bool,
): void {
  for (let j = 0; j < width; j += TILE_COLUMNS) {
    const bPanel = scratch + B_BLOCK + ((j as usize) >> 3) * panelStep(depth)
    const columns = min(TILE_COLUMNS, width - j)
    for (let i = 0; i < height; i += TILE_ROWS) {
      const aPanel = scratch + A_BLOCK + bytes(i) * (depth as usize)
      const rows = min(TILE_ROWS, height - i)
      const to = c + (i as usize) * cRowStep + bytes(j)
      if (rows == TILE_ROWS && columns == TILE_COLUMNS) {
        multiplyTile(depth, aPanel, bPanel, to, cRowStep, accumulate)
      } else {
        multiplyTile(depth, aPanel, bPanel, scratch, B_STEP, false)
        copyCorner(rows, columns, scratch, to, cRowStep, accumulate)
      }
    }
  }
}

/** The part of an edge tile that lies inside C. */
function copyCorner(rows: i32, columns: i32, tile: usize, c: usize, cRowStep: usize, accumulate: bool): void {
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      const to = c + bytes(j)
      const value = load<f32>(tile + bytes(j))
      store<f32>(to, accumulate ? load<f32>(to) + value : value)
    }
    tile += B_STEP
    c += cRowStep
  }
}
