import { bytes } from './lanes'
import { exponentials, highestOf, multiplyRowBy, sumOfExponentials } from './rows'
import { Scores } from './scores'
import { expAt, logAt, logOf, tanhAt } from './tables'

/** The softmax of `count` rows of x from the number `first` on, under the mask of `scores`. */
export function softmax(first: i32, count: i32, scores: usize, x: usize, out: usize, scratch: usize): void {
  const s = changetype<Scores>(scores)
  const exp = expAt(scratch)
  const tanh = tanhAt(scratch)
  const step = bytes(s.keys)
  for (let row = first; row < first + count; row++) {
    const from = x + (row as usize) * step
    const to = out + (row as usize) * step
    if (s.mask) {
      memory.copy(to, from, step)
      s.softmax(row / s.queries, row % s.queries, to, 0, exp, tanh)
    } else {
      multiplyRowBy(to, s.keys, 1 / exponentials(exp, from, to, s.keys, highestOf(from, s.keys)))
    }
  }
}

/** log Σ eˣ - x[label] of each row; 0 where the label is the ignored one. */
export function crossEntropyRows(
  rows: i32,
  classes: i32,
  logits: usize,
  labels: usize,
  ignored: i32,
  out: usize,
  scratch: usize,
): void {
  const exp = expAt(scratch)
  const log = logAt(scratch)
  for (let row = 0; row < rows; row++) {
    const label = load<i32>(labels + bytes(row))
    let loss: f32 = 0
    if (label != ignored) {
      const highest = highestOf(logits, classes)
      const total = sumOfExponentials(exp, logits, classes, highest)
      loss = highest - load<f32>(logits + bytes(label)) + logOf(log, total)
    }
    store<f32>(out + bytes(row), loss)
    logits += bytes(classes)
  }
}

/** (softmax - one-hot) · dy of each row; the one-hot is never there. */
export function crossEntropySlope(
  rows: i32,
  classes: i32,
  logits: usize,
  labels: usize,
  dy: usize,
  ignored: i32,
  out: usize,
  scratch: usize,
): void {
  const exp = expAt(scratch)
  for (let row = 0; row < rows; row++) {
    const label = load<i32>(labels + bytes(row))
    if (label == ignored) {
      memory.fill(out, 0, bytes(classes))
    } else {
      const weight = load<f32>(dy + bytes(row))
      const total = exponentials(exp, logits, out, classes, highestOf(logits, classes))
      multiplyRowBy(out, classes, weight / total)
      const at = out + bytes(label)
      store<f32>(at, load<f32>(at) - weight)
    }
    logits += bytes(classes)
    out += bytes(classes)
  }
}
