import { multiplyColumns } from './columns'
import { madd } from './madd'
import { A_BLOCK, COLUMN_BLOCK, DEPTH_BLOCK } from './scratch'

/*
 * Few rows, as in generation, where one token meets a weight: packing B costs more than multiplying it, so B is read where
 * it lies. Every element of C is summed in the very order of the packed way (depth after depth from zero, block after
 * block), so that a row has the same bits alone and among others.
 */

/** Rows of B that are read side by side: as many streams as a processor fetches ahead. */
export const STREAMS: i32 = 8

/** C = A B for few rows; steps in bytes. */
export function multiplyFewRows(
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
  scratch: usize,
): void {
  for (let column = 0; column < columns; column += COLUMN_BLOCK) {
    const width = min(COLUMN_BLOCK, columns - column)
    for (let k = 0; k < depth; k += DEPTH_BLOCK) {
      const deep = min(DEPTH_BLOCK, depth - k)
      const aFrom = a + (k as usize) * aDepthStep
      const bFrom = b + (k as usize) * bDepthStep + (column as usize) * bColumnStep
      const to = c + ((column as usize) << 2)
      if (bColumnStep != 4) {
        for (let i = 0; i < rows; i++) {
          const row = aFrom + (i as usize) * aRowStep
          multiplyColumns(
            width,
            deep,
            row,
            aDepthStep,
            bFrom,
            bDepthStep,
            bColumnStep,
            to + (i as usize) * cRowStep,
            k > 0,
          )
        }
        continue
      }
      clearSums(rows, width, scratch)
      for (let d = 0; d < deep; d += STREAMS) {
        const streams = min(STREAMS, deep - d)
        const from = bFrom + (d as usize) * bDepthStep
        addStreams(
          rows,
          width,
          streams,
          aFrom + (d as usize) * aDepthStep,
          aRowStep,
          aDepthStep,
          from,
          bDepthStep,
          scratch,
        )
      }
      writeSums(rows, width, to, cRowStep, k > 0, scratch)
    }
  }
}

/** The sums of a row of C lie in scratch while a block of depths is added up. */
function sumsOf(row: i32, scratch: usize): usize {
  return scratch + A_BLOCK + (row as usize) * ((COLUMN_BLOCK as usize) << 2)
}

export function clearSums(rows: i32, columns: i32, scratch: usize): void {
  for (let i = 0; i < rows; i++) memory.fill(sumsOf(i, scratch), 0, ((columns + 3) as usize) << 2)
}

/** Adds `streams` rows of B, each multiplied by its value of A, to the sums of each row of C. */
export function addStreams(
  rows: i32,
  columns: i32,
  streams: i32,
  a: usize,
  aRowStep: usize,
  aDepthStep: usize,
  b: usize,
  bDepthStep: usize,
  scratch: usize,
): void {
  for (let i = 0; i < rows; i++) {
    const row = a + (i as usize) * aRowStep
    const sums = sumsOf(i, scratch)
    if (streams == STREAMS) {
      addEight(columns, row, aDepthStep, b, bDepthStep, sums)
    } else {
      for (let d: usize = 0; d < (streams as usize); d++)
        addOne(columns, row + d * aDepthStep, b + d * bDepthStep, sums)
    }
  }
}

function addEight(columns: i32, a: usize, aDepthStep: usize, b: usize, bDepthStep: usize, sums: usize): void {
  const a0 = v128.load32_splat(a)
  const a1 = v128.load32_splat((a += aDepthStep))
  const a2 = v128.load32_splat((a += aDepthStep))
  const a3 = v128.load32_splat((a += aDepthStep))
  const a4 = v128.load32_splat((a += aDepthStep))
  const a5 = v128.load32_splat((a += aDepthStep))
  const a6 = v128.load32_splat((a += aDepthStep))
  const a7 = v128.load32_splat((a += aDepthStep))
  let b1 = b + bDepthStep
  let b2 = b1 + bDepthStep
  let b3 = b2 + bDepthStep
  let b4 = b3 + bDepthStep
  let b5 = b4 + bDepthStep
  let b6 = b5 + bDepthStep
  let b7 = b6 + bDepthStep
  let column = 0
  for (; column + 4 <= columns; column += 4) {
    let sum = madd(a0, v128.load(b), v128.load(sums))
    sum = madd(a1, v128.load(b1), sum)
    sum = madd(a2, v128.load(b2), sum)
    sum = madd(a3, v128.load(b3), sum)
    sum = madd(a4, v128.load(b4), sum)
    sum = madd(a5, v128.load(b5), sum)
    sum = madd(a6, v128.load(b6), sum)
    v128.store(sums, madd(a7, v128.load(b7), sum))
    sums += 16
    b += 16
    b1 += 16
    b2 += 16
    b3 += 16
    b4 += 16
    b5 += 16
    b6 += 16
    b7 += 16
  }
  for (; column < columns; column++) {
    let sum = madd(a0, v128.load32_splat(b), v128.load32_splat(sums))
    sum = madd(a1, v128.load32_splat(b1), sum)
    sum = madd(a2, v128.load32_splat(b2), sum)
    sum = madd(a3, v128.load32_splat(b3), sum)
    sum = madd(a4, v128.load32_splat(b4), sum)
    sum = madd(a5, v128.load32_splat(b5), sum)
    sum = madd(a6, v128.load32_splat(b6), sum)
    v128.store_lane<f32>(sums, madd(a7, v128.load32_splat(b7), sum), 0)
    sums += 4
    b += 4
    b1 += 4
    b2 += 4
    b3 += 4
    b4 += 4
    b5 += 4
    b6 += 4
    b7 += 4
  }
}

function addOne(columns: i32, a: usize, b: usize, sums: usize): void {
  const value = v128.load32_splat(a)
  let column = 0
  for (; column + 4 <= columns; column += 4) {
    v128.store(sums, madd(value, v128.load(b), v128.load(sums)))
    sums += 16
    b += 16
  }
  for (; column < columns; column++) {
    v128.store_lane<f32>(sums, madd(value, v128.load32_splat(b), v128.load32_splat(sums)), 0)
    sums += 4
    b += 4
  }
}

/** The sums into or onto C. */
export function writeSums(rows: i32, columns: i32, c: usize, cRowStep: usize, accumulate: bool, scratch: usize): void {
  for (let i = 0; i < rows; i++) {
    const sums = sumsOf(i, scratch)
    if (!accumulate) {
      memory.copy(c, sums, (columns as usize) << 2)
    } else {
      let column = 0
      for (; column + 4 <= columns; column += 4) {
        const at = (column as usize) << 2
        v128.store(c + at, f32x4.add(v128.load(c + at), v128.load(sums + at)))
      }
      for (; column < columns; column++) {
        const at = (column as usize) << 2
        store<f32>(c + at, load<f32>(c + at) + load<f32>(sums + at))
      }
    }
    c += cRowStep
  }
}
