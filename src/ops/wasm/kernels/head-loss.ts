import { Exp } from './exp'
import { Tanh } from './functions'
import { bytes, firstLanes, largestOf, loadPart, storePart, sumOf } from './lanes'
import { multiply } from './matmul'
import { multiplyRowBy } from './rows'
import { expAt, expOf, logAt, logOf, tanhAt } from './tables'

/*
 * The cross-entropy of rows under a linear head, some classes at a time. The slope by a hidden row is the mean of the columns
 * of the head, weighted by the softmax of the logits, less the column of the label: attention whose keys and values are the
 * columns. So it is summed up as FlashAttention does: e^(logit - highest so far) times the columns, and what was summed
 * before is scaled down when a higher logit comes. Of the logits only a block is ever there.
 */

/** What is known of a row after some of the classes. */
@unmanaged
class Row {
  highest: f32
  /** Σ e^(logit - highest). */
  total: f32
  logitOfLabel: f32
}

/**
 * For `count` rows of `hidden` with the numbers at `ids`: their losses, and unless `slopes` is 0 the slopes of those by them,
 * both to the places with these numbers. A `bias` of 0 and a `cap` of 0 are none.
 *
 * `work` is room for 2 d + block + 3 numbers for each row.
 */
export function headLoss(
  count: i32,
  ids: usize,
  hidden: usize,
  d: i32,
  weight: usize,
  depthStride: i32,
  columnStride: i32,
  classes: i32,
  bias: usize,
  cap: f32,
  labels: usize,
  losses: usize,
  slopes: usize,
  block: i32,
  work: usize,
  scratch: usize,
): void {
  const exp = expAt(scratch)
  const tanh = tanhAt(scratch)
  const log = logAt(scratch)
  const rowStep = bytes(d)
  const depthStep = bytes(depthStride)
  const columnStep = bytes(columnStride)
  const gathered = work
  const sums = gathered + (count as usize) * rowStep
  const logits = sums + (count as usize) * rowStep
  const states = logits + (count as usize) * bytes(block)

  for (let i = 0; i < count; i++) {
    memory.copy(gathered + (i as usize) * rowStep, hidden + (idAt(ids, i) as usize) * rowStep, rowStep)
    const row = rowAt(states, i)
    row.highest = -Infinity
    row.total = 0
  }
  memory.fill(sums, 0, (count as usize) * rowStep)

  for (let first = 0; first < classes; first += block) {
    const width = min(block, classes - first)
    const some = weight + (first as usize) * columnStep
    const step = bytes(width)
    multiply(count, width, d, gathered, rowStep, 4, some, depthStep, columnStep, logits, step, false, scratch)
    for (let i = 0; i < count; i++) {
      const row = rowAt(states, i)
      const at = logits + (i as usize) * step
      const highest = finishLogits(tanh, at, width, bias ? bias + bytes(first) : 0, cap)
      const label = load<i32>(labels + bytes(idAt(ids, i))) - first
      if (label >= 0 && label < width) row.logitOfLabel = load<f32>(at + bytes(label))
      if (highest > row.highest) {
        const shrink = expOf(exp, row.highest - highest)
        row.total *= shrink
        if (slopes) multiplyRowBy(sums + (i as usize) * rowStep, d, shrink)
        row.highest = highest
      }
      row.total += weigh(exp, at, width, row.highest, cap)
    }
    if (slopes) multiply(count, d, width, logits, step, 4, some, columnStep, depthStep, sums, rowStep, true, scratch)
  }

  for (let i = 0; i < count; i++) {
    const row = rowAt(states, i)
    const id = idAt(ids, i)
    store<f32>(losses + bytes(id), row.highest - row.logitOfLabel + logOf(log, row.total))
    if (!slopes) continue
    const column = weight + (load<i32>(labels + bytes(id)) as usize) * columnStep
    const from = sums + (i as usize) * rowStep
    const share = (1 as f32) / row.total
    const bend = cap ? bendAt(row.logitOfLabel, cap) : 1
    const to = slopes + (id as usize) * rowStep
    for (let k = 0; k < d; k++) {
      const ofLabel = load<f32>(column + (k as usize) * depthStep)
      store<f32>(to + bytes(k), load<f32>(from + bytes(k)) * share - ofLabel * bend)
    }
  }
}

function idAt(ids: usize, i: i32): i32 {
  return load<i32>(ids + bytes(i))
}

function rowAt(states: usize, i: i32): Row {
  return changetype<Row>(states + (i as usize) * offsetof<Row>())
}

/** The derivative of a capped logit, cap tanh(x / cap), by x. */
function bendAt(logit: f32, cap: f32): f32 {
  return 1 - (logit / cap) * (logit / cap)
}

/** What the product lacks of the logits, the bias and the cap, in place; gives the highest of them. */
function finishLogits(tanh: Tanh, row: usize, count: i32, bias: usize, cap: f32): f32 {
  const caps = f32x4.splat(cap)
  const end = row + bytes(count & ~3)
  let highest = f32x4.splat(-Infinity)
  for (; row < end; row += 16) {
    let logit = v128.load(row)
    if (bias) {
      logit = f32x4.add(logit, v128.load(bias))
      bias += 16
    }
    if (cap) logit = f32x4.mul(tanh.of(f32x4.div(logit, caps)), caps)
    if (bias || cap) v128.store(row, logit)
    highest = f32x4.pmax(highest, logit)
  }
  const rest = count & 3
  if (rest) {
    let logit = loadPart(row, rest)
    if (bias) logit = f32x4.add(logit, loadPart(bias, rest))
    if (cap) logit = f32x4.mul(tanh.of(f32x4.div(logit, caps)), caps)
    storePart(row, logit, rest)
    highest = f32x4.pmax(highest, v128.bitselect(logit, highest, firstLanes(rest)))
  }
  return largestOf(highest)
}

/** Each logit becomes what its column is weighted by, e^(logit - highest) times its bend; gives the sum of the powers. */
function weigh(exp: Exp, row: usize, count: i32, highest: f32, cap: f32): f32 {
  // Where all logits so far are -Infinity, their sum counts for nothing as soon as there is another one.
  const shift = f32x4.splat(highest == -Infinity ? 0 : highest)
  const curvature = cap ? f32x4.splat(-1 / (cap * cap)) : f32x4.splat(0)
  const end = row + bytes(count & ~3)
  let sums = f32x4.splat(0)
  for (; row < end; row += 16) {
    const logit = v128.load(row)
    const power = exp.exp(f32x4.sub(logit, shift))
    v128.store(row, cap ? bent(power, logit, curvature) : power)
    sums = f32x4.add(sums, power)
  }
  const rest = count & 3
  if (rest) {
    const logit = loadPart(row, rest)
    const power = exp.exp(f32x4.sub(logit, shift))
    storePart(row, cap ? bent(power, logit, curvature) : power, rest)
    sums = f32x4.add(sums, v128.and(power, firstLanes(rest)))
  }
  return sumOf(sums)
}

function bent(power: v128, logit: v128, curvature: v128): v128 {
  return f32x4.mul(power, f32x4.add(f32x4.splat(1), f32x4.mul(f32x4.mul(logit, logit), curvature)))
}
