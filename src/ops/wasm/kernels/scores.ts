import { Exp } from './exp'
import { Tanh } from './functions'
import { bytes, firstLanes, largestOf, loadPart, storePart } from './lanes'
import { multiply } from './matmul'
import { exponentials, multiplyRowBy } from './rows'
import { drop, Threefry } from './threefry'

/** What an element of a mask is; 2 stands for int32. */
const NO_MASK: i32 = 0
const BOOLS: i32 = 1
const FLOATS: i32 = 3

/** What attends to what, and how: src/ops/wasm/attention.ts writes it, in this order. */
@unmanaged
export class Scores {
  heads: i32
  groups: i32
  queries: i32
  keys: i32
  width: i32
  depth: i32
  q: usize
  k: usize
  v: usize
  /** Its elements are bool, int32 or float32, and its strides in elements; one is 0 where one element serves all. */
  mask: usize
  maskKind: i32
  maskBatchStride: i32
  maskHeadStride: i32
  maskQueryStride: i32
  maskKeyStride: i32
  /** The key of dropout; words below `dropped` drop their element, 0 drops none. */
  hi: i32
  lo: i32
  dropped: i32
  keptFactor: f32
  scale: f32
  cap: f32

  /** The group of keys that a head reads, both counted through the whole batch. */
  groupOf(head: i32): i32 {
    return (head / this.heads) * this.groups + ((head % this.heads) * this.groups) / this.heads
  }

  queryAt(head: i32, query: i32): usize {
    return this.q + ((head as usize) * (this.queries as usize) + (query as usize)) * bytes(this.width)
  }

  keysAt(group: i32): usize {
    return this.k + (group as usize) * (this.keys as usize) * bytes(this.width)
  }

  valuesAt(group: i32): usize {
    return this.v + (group as usize) * (this.keys as usize) * bytes(this.depth)
  }

  /**
   * The softmax of the scores of `count` queries of a head, from the number `query` on, a row of keys for each; all 0 where
   * the mask hides every key. Where there is a cap, `bends` becomes the derivative of each score by the product; 0 for none.
   */
  chances(head: i32, query: i32, count: i32, to: usize, bends: usize, exp: Exp, tanh: Tanh, scratch: usize): void {
    const step = bytes(this.width)
    const rowStep = bytes(this.keys)
    const from = this.queryAt(head, query)
    const keys = this.keysAt(this.groupOf(head))
    multiply(count, this.keys, this.width, from, step, 4, keys, 4, step, to, rowStep, false, scratch)
    for (let i = 0; i < count; i++) {
      this.softmax(head, query + i, to, bends, exp, tanh)
      to += rowStep
      if (bends) bends += rowStep
    }
  }

  /** A row of products becomes that of chances, as above. */
  softmax(head: i32, query: i32, row: usize, bends: usize, exp: Exp, tanh: Tanh): void {
    const highest = this.finishScores(row, this.maskAt(head, query), bends, tanh)
    // From a row with nothing to see, -infinity, nothing is subtracted: its powers are 0, or NaN where a score was.
    const total = exponentials(exp, row, row, this.keys, highest == -Infinity ? 0 : highest)
    if (total != 0) multiplyRowBy(row, this.keys, 1 / total)
  }

  /** Dropout of `count` rows of weights. */
  drop(random: Threefry, head: i32, query: i32, count: i32, from: usize, to: usize, scratch: usize): void {
    const first = (head * this.queries + query) * this.keys
    drop(random, count * this.keys, from, to, first, this.dropped, this.keptFactor, scratch)
  }

  private maskAt(head: i32, query: i32): usize {
    if (this.maskKind == NO_MASK) return 0
    const batch = head / this.heads
    const at = batch * this.maskBatchStride + (head % this.heads) * this.maskHeadStride + query * this.maskQueryStride
    return this.mask + (this.maskKind == BOOLS ? (at as usize) : bytes(at))
  }

  /** Scales, caps and masks a row of products; gives the highest score. */
  private finishScores(row: usize, mask: usize, bends: usize, tanh: Tanh): f32 {
    const keys = this.keys
    const rest = keys & 3
    let highest = f32x4.splat(-Infinity)
    let i = 0
    for (; i + 4 <= keys; i += 4) {
      const at = bytes(i)
      let score = this.score(v128.load(row + at), bends ? bends + at : 0, 4, tanh)
      if (mask) score = v128.bitselect(f32x4.splat(-Infinity), score, this.hidden(mask, i, 4))
      v128.store(row + at, score)
      highest = f32x4.pmax(highest, score)
    }
    if (rest) {
      const at = bytes(i)
      let score = this.score(loadPart(row + at, rest), bends ? bends + at : 0, rest, tanh)
      if (mask) score = v128.bitselect(f32x4.splat(-Infinity), score, this.hidden(mask, i, rest))
      storePart(row + at, score, rest)
      highest = f32x4.pmax(highest, v128.bitselect(score, highest, firstLanes(rest)))
    }
    return largestOf(highest)
  }

  private score(product: v128, bends: usize, lanes: i32, tanh: Tanh): v128 {
    const scaled = f32x4.mul(product, f32x4.splat(this.scale))
    if (this.cap == 0) return scaled
    const caps = f32x4.splat(this.cap)
    const share = tanh.of(f32x4.div(scaled, caps))
    if (bends) {
      const bend = f32x4.mul(f32x4.sub(f32x4.splat(1), f32x4.mul(share, share)), f32x4.splat(this.scale))
      if (lanes == 4) v128.store(bends, bend)
      else storePart(bends, bend, lanes)
    }
    return f32x4.mul(share, caps)
  }

  /** Which of the keys from i on the mask hides; as many lanes as there are. */
  private hidden(mask: usize, i: i32, lanes: i32): v128 {
    const zero = i32x4.splat(0)
    if (this.maskKeyStride == 0) {
      const alike = this.maskKind == BOOLS ? i32x4.splat(load<u8>(mask)) : v128.load32_splat(mask)
      return this.maskKind == FLOATS ? f32x4.eq(alike, zero) : i32x4.eq(alike, zero)
    }
    if (this.maskKind == BOOLS) return i32x4.eq(fourBytes(mask + (i as usize), lanes), zero)
    const some = lanes == 4 ? v128.load(mask + bytes(i)) : loadPart(mask + bytes(i), lanes)
    return this.maskKind == FLOATS ? f32x4.eq(some, zero) : i32x4.eq(some, zero)
  }
}

function fourBytes(from: usize, lanes: i32): v128 {
  if (lanes == 4) return i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(v128.load32_zero(from)))
  let bits: u32 = load<u8>(from)
  if (lanes > 1) bits |= (load<u8>(from, 1) as u32) << 8
  if (lanes > 2) bits |= (load<u8>(from, 2) as u32) << 16
  return i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(i32x4.splat(bits)))
}
