import * as tf from '@tensorflow/tfjs'
import { allOps } from '../../../src/ops/defs/all.ts'
import type { Array_, Attrs, Op } from '../../../src/ops/op.ts'
import { read, release } from '../../../src/ops/index.ts'
import { fromData } from '../../../src/ops/tf.ts'

/** A tensor as plain data: whole numbers in an Int32Array, yes and no in a Uint8Array. */
export const array = (data: Array_['data'], shape: readonly number[] = [data.length]): Array_ => ({ shape, data })

const dtypeOf = ({ data }: Array_) =>
  data instanceof Float32Array ? 'float32' : data instanceof Int32Array ? 'int32' : 'bool'

const named = (name: string): Op => {
  const op = allOps.find((each) => each.name === name)
  if (op?.wasm === undefined) throw new Error(`${name} has no kernel of its own`)
  return op as unknown as Op
}

/** What the kernel of an op gives, in memory that was full of NaN, and what its reference gives. */
export const twins = (name: string, inputs: readonly Array_[], attrs: Attrs = {}) => {
  const op = named(name)
  const specs = inputs.map((input) => ({ shape: input.shape, dtype: dtypeOf(input) }) as const)
  const output = op.infer(specs, attrs)
  const nan = new Float32Array(output.shape.reduce((product, length) => product * length, 1)).fill(NaN)
  const tensors = inputs.map((input) => fromData(input.data, input.shape, dtypeOf(input)))
  tf.dispose(Array.from({ length: 3 }, () => tf.tensor(nan)))
  const result = op.wasm!(tensors, attrs, output)
  const found = read(result).slice()
  release([tensors, result], { keep: [] })
  return { found, expected: op.reference(inputs, attrs, output) }
}

/** The largest error, absolute below 1 and relative above; Infinity where one of the two is NaN or infinite and the other not. */
export const worst = ({ found, expected }: ReturnType<typeof twins>): number => {
  if (found.length !== expected.length) return Infinity
  let largest = 0
  for (let i = 0; i < found.length; i++) {
    const [x, y] = [found[i]!, expected[i]!]
    if (Object.is(x, y) || x === y) continue
    const error = Math.abs(x - y) / Math.max(1, Math.abs(y))
    largest = Math.max(largest, Number.isFinite(error) ? error : Infinity)
  }
  return largest
}

/** Numbers that only a seed decides, about normally distributed. */
export const noise = (seed: number, length: number, spread = 1): Float32Array => {
  let state = Math.imul(seed, 0x9e3779b1) | 0
  const uniform = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    return (state >>> 8) / 2 ** 24
  }
  return Float32Array.from({ length }, () => spread * (uniform() + uniform() + uniform() + uniform() - 2) * 1.7)
}
