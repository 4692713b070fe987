import { TILE_ROWS } from './tile'

/*
 * The scratch memory, one for each thread; every kernel is handed its address as last argument and may overwrite all of it.
 *
 * The module lives in memory that belongs to another program. It must not own a byte there: no strings, arrays, objects or
 * tables (each would become a data segment, or a heap), only addresses that the caller hands in. What would be a table goes
 * here, written by the kernel that reads it.
 */

/** Sizes of the blocks of a matrix product (matmul.ts). */
export const DEPTH_BLOCK: i32 = 256
export const ROW_BLOCK: i32 = TILE_ROWS * (132 / TILE_ROWS)
export const COLUMN_BLOCK: i32 = 1024

/** One tile of C for the edges (256 bytes), then constants (768 bytes), then the packed blocks of A and of B. */
export const TILE: usize = 0
export const CONSTANTS: usize = 256
export const A_BLOCK: usize = 1024
export const B_BLOCK: usize = A_BLOCK + 132 * 256 * 4
/** A row of B, or of a table, on its way: 8 panels' worth of one block of depths. */
export const ROWS: usize = B_BLOCK + 1024 * 256 * 4 + 128 * 64
const END: usize = ROWS + 8 * 1024 * 4

/** Bytes of scratch memory that a thread needs. */
export function scratchBytes(): usize {
  return END
}
