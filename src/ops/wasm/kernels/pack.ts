import { B_STEP } from './tile'

/*
 * Packing copies a block of a matrix into panels: strips as wide as the tile, stored depth after depth, so that the
 * micro-kernel reads memory in one direction whatever the layout of the matrix was. This is why every transpose costs the
 * same: the strides end here. At an edge the lanes that do not exist are left as they are: what they produce is never copied
 * to C.
 *
 * A panel is put together from groups of four lanes, of two, and single lanes. `laneStep` and `depthStep` are the strides of the
 * source in bytes, and one of the two is 4; `panelStep` is what one depth takes in the panel.
 */

/** From one packed panel of B to the next: a cache line more than it holds, so that panels do not meet in the cache. */
export function panelStep(depth: i32): usize {
  return (depth as usize) * B_STEP + 64
}

/**
 * A block of B as panels of eight columns, one after the other.
 *
 * Rows that are contiguous are read four at a time from end to end, and a piece of each panel is written as whole cache
 * lines: column by column, the lines of a matrix whose width is a power of two would drive each other out of the cache.
 */
export function packBlock(
  panels: usize,
  panelBytes: usize,
  source: usize,
  columnStep: usize,
  depthStep: usize,
  columns: i32,
  depth: i32,
): void {
  const whole = columnStep == 4 ? columns & ~7 : 0
  if (whole > 0) {
    let to = panels
    let k = 0
    for (; k + 4 <= depth; k += 4) {
      packFourDepths(to, panelBytes, source, depthStep, whole)
      to += 4 * B_STEP
      source += 4 * depthStep
    }
    for (; k < depth; k++) {
      packDepth(to, panelBytes, source, whole)
      to += B_STEP
      source += depthStep
    }
    source -= (depth as usize) * depthStep
  }
  for (let j = whole; j < columns; j += 8) {
    const to = panels + ((j as usize) >> 3) * panelBytes
    packPanel(to, B_STEP, source + (j as usize) * columnStep, columnStep, depthStep, min(8, columns - j), depth)
  }
}

/** Four rows of B into the panels they meet; `columns` is a multiple of eight. */
function packFourDepths(to: usize, panelBytes: usize, from: usize, depthStep: usize, columns: i32): void {
  const end = from + ((columns as usize) << 2)
  let from1 = from + depthStep
  let from2 = from1 + depthStep
  let from3 = from2 + depthStep
  while (from != end) {
    v128.store(to, v128.load(from))
    v128.store(to, v128.load(from, 16), 16)
    v128.store(to, v128.load(from1), 32)
    v128.store(to, v128.load(from1, 16), 48)
    v128.store(to, v128.load(from2), 64)
    v128.store(to, v128.load(from2, 16), 80)
    v128.store(to, v128.load(from3), 96)
    v128.store(to, v128.load(from3, 16), 112)
    to += panelBytes
    from += 32
    from1 += 32
    from2 += 32
    from3 += 32
  }
}

function packDepth(to: usize, panelBytes: usize, from: usize, columns: i32): void {
  const end = from + ((columns as usize) << 2)
  while (from != end) {
    v128.store(to, v128.load(from))
    v128.store(to, v128.load(from, 16), 16)
    to += panelBytes
    from += 32
  }
}

/** The first `lanes` lanes of one panel. */
export function packPanel(
  panel: usize,
  panelStep: usize,
  source: usize,
  laneStep: usize,
  depthStep: usize,
  lanes: i32,
  depth: i32,
): void {
  let lane = 0
  for (; lane + 4 <= lanes; lane += 4) {
    const to = panel + ((lane as usize) << 2)
    const from = source + (lane as usize) * laneStep
    if (laneStep == 4) packFourNeighbours(to, panelStep, from, depthStep, depth)
    else packFourRows(to, panelStep, from, laneStep, depth)
  }
  for (; lane + 2 <= lanes; lane += 2) {
    const to = panel + ((lane as usize) << 2)
    const from = source + (lane as usize) * laneStep
    if (laneStep == 4) packTwoNeighbours(to, panelStep, from, depthStep, depth)
    else packTwoRows(to, panelStep, from, laneStep, depth)
  }
  for (; lane < lanes; lane++) {
    packLane(panel + ((lane as usize) << 2), panelStep, source + (lane as usize) * laneStep, depthStep, depth)
  }
}

/** The four lanes lie side by side in the source. */
function packFourNeighbours(to: usize, panelStep: usize, from: usize, depthStep: usize, depth: i32): void {
  for (let k = 0; k < depth; k++) {
    v128.store(to, v128.load(from))
    to += panelStep
    from += depthStep
  }
}

/** Each of the four lanes is contiguous in the source: read 4 x 4 values, transpose them in registers. */
function packFourRows(to: usize, panelStep: usize, from: usize, laneStep: usize, depth: i32): void {
  let from1 = from + laneStep
  let from2 = from1 + laneStep
  let from3 = from2 + laneStep
  let k = 0
  for (; k + 4 <= depth; k += 4) {
    const row0 = v128.load(from)
    const row1 = v128.load(from1)
    const row2 = v128.load(from2)
    const row3 = v128.load(from3)
    const low01 = v128.shuffle<f32>(row0, row1, 0, 4, 1, 5)
    const high01 = v128.shuffle<f32>(row0, row1, 2, 6, 3, 7)
    const low23 = v128.shuffle<f32>(row2, row3, 0, 4, 1, 5)
    const high23 = v128.shuffle<f32>(row2, row3, 2, 6, 3, 7)
    v128.store(to, v128.shuffle<f64>(low01, low23, 0, 2))
    to += panelStep
    v128.store(to, v128.shuffle<f64>(low01, low23, 1, 3))
    to += panelStep
    v128.store(to, v128.shuffle<f64>(high01, high23, 0, 2))
    to += panelStep
    v128.store(to, v128.shuffle<f64>(high01, high23, 1, 3))
    to += panelStep
    from += 16
    from1 += 16
    from2 += 16
    from3 += 16
  }
  for (; k < depth; k++) {
    store<f32>(to, load<f32>(from))
    store<f32>(to, load<f32>(from1), 4)
    store<f32>(to, load<f32>(from2), 8)
    store<f32>(to, load<f32>(from3), 12)
    to += panelStep
    from += 4
    from1 += 4
    from2 += 4
    from3 += 4
  }
}

function packTwoNeighbours(to: usize, panelStep: usize, from: usize, depthStep: usize, depth: i32): void {
  for (let k = 0; k < depth; k++) {
    store<u64>(to, load<u64>(from))
    to += panelStep
    from += depthStep
  }
}

function packTwoRows(to: usize, panelStep: usize, from: usize, laneStep: usize, depth: i32): void {
  let from1 = from + laneStep
  let k = 0
  for (; k + 4 <= depth; k += 4) {
    const row0 = v128.load(from)
    const row1 = v128.load(from1)
    const low = v128.shuffle<f32>(row0, row1, 0, 4, 1, 5)
    const high = v128.shuffle<f32>(row0, row1, 2, 6, 3, 7)
    v128.store_lane<u64>(to, low, 0)
    to += panelStep
    v128.store_lane<u64>(to, low, 1)
    to += panelStep
    v128.store_lane<u64>(to, high, 0)
    to += panelStep
    v128.store_lane<u64>(to, high, 1)
    to += panelStep
    from += 16
    from1 += 16
  }
  for (; k < depth; k++) {
    store<f32>(to, load<f32>(from))
    store<f32>(to, load<f32>(from1), 4)
    to += panelStep
    from += 4
    from1 += 4
  }
}

function packLane(to: usize, panelStep: usize, from: usize, depthStep: usize, depth: i32): void {
  for (let k = 0; k < depth; k++) {
    store<f32>(to, load<f32>(from))
    to += panelStep
    from += depthStep
  }
}
