import { bytes, loadPart, storePart, sumOf } from './lanes'
import { multiply } from './matmul'
import { Scores } from './scores'
import { expAt, tanhAt, threefryAt } from './tables'

/*
 * Attention and its gradient by blocks of the rows of scores of one head, so that the scores never exist as a whole. The
 * gradient makes the weights of a block anew.
 */

/** For `count` heads from `head` on, counted through the batch. `work` is room for `block` rows of scores. */
export function attention(
  head: i32,
  count: i32,
  scores: usize,
  out: usize,
  block: i32,
  work: usize,
  scratch: usize,
): void {
  const s = changetype<Scores>(scores)
  const exp = expAt(scratch)
  const tanh = tanhAt(scratch)
  const random = threefryAt(scratch, s.hi, s.lo)
  const queries = s.queries
  const keys = s.keys
  const depth = s.depth
  const rowStep = bytes(keys)
  const depthStep = bytes(depth)
  for (const end = head + count; head < end; head++) {
    const values = s.valuesAt(s.groupOf(head))
    for (let query = 0; query < queries; query += block) {
      const rows = min(block, queries - query)
      s.chances(head, query, rows, work, 0, exp, tanh, scratch)
      if (s.dropped) s.drop(random, head, query, rows, work, work, scratch)
      const to = out + ((head as usize) * (queries as usize) + (query as usize)) * depthStep
      multiply(rows, depth, keys, work, rowStep, 4, values, depthStep, 4, to, depthStep, false, scratch)
    }
  }
}

/**
 * The gradients of q, k and v for `count` groups of heads from `group` on, counted through the batch. `work` is room for
 * three times `block` rows of scores.
 */
export function attentionSlope(
  group: i32,
  count: i32,
  scores: usize,
  output: usize,
  dy: usize,
  dq: usize,
  dk: usize,
  dv: usize,
  block: i32,
  work: usize,
  scratch: usize,
): void {
  const s = changetype<Scores>(scores)
  const exp = expAt(scratch)
  const tanh = tanhAt(scratch)
  const random = threefryAt(scratch, s.hi, s.lo)
  const queries = s.queries
  const keys = s.keys
  const depth = s.depth
  const rowStep = bytes(keys)
  const widthStep = bytes(s.width)
  const depthStep = bytes(depth)
  const chances = work
  const slopes = chances + (block as usize) * rowStep
  const bends = s.cap ? slopes + (block as usize) * rowStep : 0
  const shared = s.heads / s.groups
  for (const end = group + count; group < end; group++) {
    const ofKeys = s.keysAt(group)
    const ofValues = s.valuesAt(group)
    const toKeys = dk + (group as usize) * (keys as usize) * widthStep
    const toValues = dv + (group as usize) * (keys as usize) * depthStep
    for (let head = group * shared; head < (group + 1) * shared; head++) {
      for (let query = 0; query < queries; query += block) {
        const rows = min(block, queries - query)
        const adds = head > group * shared || query > 0
        const row = (head as usize) * (queries as usize) + (query as usize)
        const ofOutput = output + row * depthStep
        const ofDy = dy + row * depthStep
        s.chances(head, query, rows, chances, bends, exp, tanh, scratch)

        // dv, by the weights as dropout left them.
        if (s.dropped) s.drop(random, head, query, rows, chances, slopes, scratch)
        const weights = s.dropped ? slopes : chances
        multiply(keys, depth, rows, weights, 4, rowStep, ofDy, depthStep, 4, toValues, depthStep, adds, scratch)

        // The slope of the weights, then of the products.
        multiply(rows, keys, depth, ofDy, depthStep, 4, ofValues, 4, depthStep, slopes, rowStep, false, scratch)
        if (s.dropped) s.drop(random, head, query, rows, slopes, slopes, scratch)
        for (let i = 0; i < rows; i++) {
          const at = (i as usize) * rowStep
          const common = dot(ofDy + (i as usize) * depthStep, ofOutput + (i as usize) * depthStep, depth)
          throughSoftmax(chances + at, slopes + at, bends ? bends + at : 0, keys, common, s.scale)
        }

        const ofQueries = s.queryAt(head, query)
        const toQueries = dq + row * widthStep
        multiply(rows, s.width, keys, slopes, rowStep, 4, ofKeys, widthStep, 4, toQueries, widthStep, false, scratch)
        multiply(keys, s.width, rows, slopes, 4, rowStep, ofQueries, widthStep, 4, toKeys, widthStep, adds, scratch)
      }
    }
  }
}

function dot(a: usize, b: usize, count: i32): f32 {
  const end = a + bytes(count & ~3)
  let sums = f32x4.splat(0)
  for (; a < end; a += 16) {
    sums = f32x4.add(sums, f32x4.mul(v128.load(a), v128.load(b)))
    b += 16
  }
  const rest = count & 3
  if (rest) sums = f32x4.add(sums, f32x4.mul(loadPart(a, rest), loadPart(b, rest)))
  return sumOf(sums)
}

/**
 * The slopes of weights become those of products, in place. What softmax takes from all scores of a row alike, `common`, is
 * the mean slope of its weights, which is dy · output.
 */
function throughSoftmax(chances: usize, slopes: usize, bends: usize, count: i32, common: f32, scale: f32): void {
  const commons = f32x4.splat(common)
  const scales = f32x4.splat(scale)
  const end = slopes + bytes(count & ~3)
  for (; slopes < end; slopes += 16) {
    const slope = f32x4.mul(v128.load(chances), f32x4.sub(v128.load(slopes), commons))
    v128.store(slopes, f32x4.mul(slope, bends ? v128.load(bends) : scales))
    chances += 16
    if (bends) bends += 16
  }
  const rest = count & 3
  if (rest == 0) return
  const slope = f32x4.mul(loadPart(chances, rest), f32x4.sub(loadPart(slopes, rest), commons))
  storePart(slopes, f32x4.mul(slope, bends ? loadPart(bends, rest) : scales), rest)
}
