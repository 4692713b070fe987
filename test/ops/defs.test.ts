import { afterAll, describe, expect, it } from 'vitest'
import { EspalierError } from '../../src/tree/error.ts'
import { key } from '../../src/tree/key.ts'
import type { EngineName, Tensor } from '../../src/ops/index.ts'
import * as ops from '../../src/ops/index.ts'
import { distance } from './op-laws.ts'

const { engine, gradients, item, read, tensor, toArray } = ops

const has = (prefer: EngineName): Promise<boolean> =>
  engine({ prefer, quiet: true }).then(
    () => true,
    () => false,
  )
const engines: readonly EngineName[] = (await has('native')) ? ['js', 'wasm', 'native'] : ['js', 'wasm']

afterAll(() => engine({ prefer: 'js', quiet: true }))

const ints = (...values: readonly number[]): Tensor => tensor(values, [values.length], 'int32')

const issueOf = (f: () => unknown): EspalierError['issues'][number] => {
  try {
    f()
  } catch (error) {
    if (error instanceof EspalierError) return error.issues[0]!
    throw error
  }
  throw new Error('nothing was thrown')
}

const special = [NaN, Infinity, -Infinity, 0, -0, 1, -1, 1e-30, -1e30, 3e38, 88.5, -104]

describe.each(engines)('on %s', (name) => {
  const use = (): Promise<unknown> => engine({ prefer: name, quiet: true })

  it.each([
    ['add', ops.add, (x: number, y: number) => x + y],
    ['sub', ops.sub, (x: number, y: number) => x - y],
    ['mul', ops.mul, (x: number, y: number) => x * y],
    ['div', ops.div, (x: number, y: number) => x / y],
    ['minimum', ops.minimum, Math.min],
    ['maximum', ops.maximum, Math.max],
    ['equal', ops.equal, (x: number, y: number) => +(x === y)],
    ['less', ops.less, (x: number, y: number) => +(x < y)],
    ['greater', ops.greater, (x: number, y: number) => +(x > y)],
  ])('%s follows IEEE on NaN, infinities and both zeros', async (opName, op, f) => {
    await use()
    const pairs = special.flatMap((x) => special.map((y) => [Math.fround(x), Math.fround(y)] as const))
    const found = read(op(tensor(pairs.map(([x]) => x)), tensor(pairs.map(([, y]) => y))))
    pairs.forEach(([x, y], i) => {
      const expected = Math.fround(f(x, y))
      // Engines may flush what is below the smallest normal float to 0; min and max may pick either zero.
      const close = Math.abs(found[i]! - expected) < 1.2e-38
      const signMatters = expected === 0 && opName !== 'minimum' && opName !== 'maximum'
      const same = Object.is(found[i], expected) || (close && !signMatters)
      expect(`${x} ${y} ${same ? 'same' : show(found[i]!)}`).toBe(`${x} ${y} ${same ? 'same' : show(expected)}`)
    })
  })

  it.each([
    ['neg', ops.neg, (x: number) => -x],
    ['abs', ops.abs, Math.abs],
    ['exp', ops.exp, Math.exp],
    ['expm1', ops.expm1, Math.expm1],
    ['log', ops.log, Math.log],
    ['sqrt', ops.sqrt, Math.sqrt],
    ['rsqrt', ops.rsqrt, (x: number) => 1 / Math.sqrt(x)],
    ['square', ops.square, (x: number) => x * x],
    ['tanh', ops.tanh, Math.tanh],
    ['sigmoid', ops.sigmoid, (x: number) => 1 / (1 + Math.exp(-x))],
    ['relu', ops.relu, (x: number) => Math.max(x, 0)],
    ['softplus', ops.softplus, (x: number) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))],
  ])('%s follows IEEE on NaN, infinities and both zeros', async (_, op, f) => {
    await use()
    const found = read(op(tensor(special)))
    special.forEach((value, i) => {
      const x = Math.fround(value)
      const expected = Math.fround(f(x))
      const close = Math.abs(found[i]! - expected) <= 2e-6 * Math.abs(expected) + 1e-38
      expect(`${show(x)}: ${close ? 'close' : show(found[i]!)}`).toBe(`${show(x)}: ${close ? 'close' : show(expected)}`)
    })
  })

  it('multiplies a matrix and then its reshape, which tfjs answers from a stale cache', async () => {
    await use()
    const w = tensor(
      Array.from({ length: 24 }, (_, i) => i),
      [6, 4],
    )
    const ones = (n: number): Tensor => ops.ones([1, n])
    expect(toArray(ops.matmul(ones(6), w))).toEqual([[60, 66, 72, 78]])
    expect(toArray(ops.matmul(ones(4), ops.reshape(w, [4, 6])))).toEqual([[36, 40, 44, 48, 52, 56]])
    expect(toArray(ops.matmul(ones(6), w))).toEqual([[60, 66, 72, 78]])
  })

  it('sums the gradient of a right factor that serves a whole batch', async () => {
    await use()
    const a = tensor(
      Array.from({ length: 24 }, (_, i) => i),
      [2, 3, 4],
    )
    const b = ops.ones([4, 5])
    const { grads } = gradients(() => ops.sum(ops.matmul(a, b)), [a, b])
    expect(grads[0]!.shape).toEqual([2, 3, 4])
    expect(toArray(grads[1]!)).toEqual([60, 66, 72, 78].map((total) => [total, total, total, total, total]))
  })

  it('adds up the rows in the gradient of an embedding', async () => {
    await use()
    const table = ops.ones([3, 2])
    const ids = ints(2, 0, 2)
    const { grads } = gradients(() => ops.sum(ops.gather(table, ids)), [table])
    expect(toArray(grads[0]!)).toEqual([
      [1, 1],
      [0, 0],
      [2, 2],
    ])
  })

  it('differentiates a choice that was made by the value itself', async () => {
    await use()
    const x = tensor([-1, 2, NaN])
    const { grads } = gradients(() => ops.sum(ops.where(ops.greater(x, 0), ops.mul(x, 3), 0)), [x])
    expect(toArray(grads[0]!)).toEqual([0, 3, 0])
  })

  it('keeps int32 and wraps it', async () => {
    await use()
    const big = ints(65537, 2 ** 31 - 1, -3)
    const [product, total] = [ops.mul(big, big), ops.add(big, 1)]
    expect([product.dtype, total.dtype]).toEqual(['int32', 'int32'])
    expect(toArray(product)).toEqual([131073, 1, 9])
    expect(toArray(total)).toEqual([65538, -(2 ** 31), -2])
    expect(ops.add(big, 0.5).dtype).toBe('float32')
    expect(ops.div(big, 2).dtype).toBe('float32')
  })

  it('converts to bool by "is not zero", to int32 by cutting off', async () => {
    await use()
    expect(toArray(ops.cast(tensor([0.5, 0, -0, NaN]), 'bool'))).toEqual([1, 0, 0, 1])
    expect(toArray(ops.cast(tensor([1.9, -1.9]), 'int32'))).toEqual([1, -1])
    expect(toArray(ops.where(tensor([0.5, 0]), 1, 0))).toEqual([1, 0])
  })

  it('takes empty tensors', async () => {
    await use()
    const none = ops.zeros([0, 3])
    expect(toArray(ops.sum(none, { axes: 0 }))).toEqual([0, 0, 0])
    expect(toArray(ops.matmul(ops.zeros([2, 0]), none))).toEqual([
      [0, 0, 0],
      [0, 0, 0],
    ])
    expect(ops.softmax(none).shape).toEqual([0, 3])
    expect(ops.layerNorm(none, ops.ones([3]), null).shape).toEqual([0, 3])
    expect(ops.gather(ops.ones([4, 2]), ops.zeros([0], 'int32')).shape).toEqual([0, 2])
    expect(toArray(ops.concat([none, tensor([[1, 2, 3]])]))).toEqual([[1, 2, 3]])
    expect(toArray(ops.scatterAdd(ops.zeros([0], 'int32'), none, 2))).toEqual([
      [0, 0, 0],
      [0, 0, 0],
    ])
    expect(item(ops.crossEntropy(none, ops.zeros([0], 'int32')))).toBe(0)
    const { grads } = gradients(() => ops.sum(ops.mul(none, ops.ones([3]))), [none])
    expect(grads[0]!.shape).toEqual([0, 3])
  })

  it('gives what a mask hides exactly 0, whatever stands there', async () => {
    await use()
    const x = tensor([
      [1, NaN, 1, Infinity],
      [-1e4, 1e4, -3e38, 0],
    ])
    const mask = tensor([
      [1, 0, 1, 0],
      [0, 0, 0, 0],
    ])
    expect(toArray(ops.softmax(x, { mask }))).toEqual([
      [0.5, 0, 0.5, 0],
      [0, 0, 0, 0],
    ])
    expect(toArray(ops.softmax(tensor([-1e4, 1e4, 1e4])))).toEqual([0, 0.5, 0.5])
    const { grads } = gradients(() => ops.sum(ops.square(ops.softmax(x, { mask }))), [x])
    expect(read(grads[0]!).slice(4)).toEqual(new Float32Array(4))
  })

  it('has a stable cross-entropy', async () => {
    await use()
    const logits = tensor([
      [1e4, -1e4, 0],
      [0, 1e4, 1e4],
    ])
    const { value, grads } = gradients(() => ops.crossEntropy(logits, ints(1, 2)), [logits])
    expect(item(value)).toBeCloseTo((2e4 + Math.LN2) / 2, 2)
    expect(distance(read(grads[0]!), [0.5, -0.5, 0, 0, 0.25, -0.25])).toBeLessThan(1e-6)
  })

  it('has cross-entropy 0 with a zero gradient when every row is ignored', async () => {
    await use()
    const logits = tensor([[1, NaN, 3]])
    const { value, grads } = gradients(() => ops.crossEntropy(logits, ints(-100)), [logits])
    expect(item(value)).toBe(0)
    expect(toArray(grads[0]!)).toEqual([[0, 0, 0]])
  })

  it('weighs and ignores rows', async () => {
    await use()
    const logits = tensor([
      [0, 0],
      [0, 100],
      [5, 5],
    ])
    const losses = ops.crossEntropy(logits, ints(1, 0, 7), { ignore: 7, weights: tensor([3, 1, 9]) })
    expect(item(losses)).toBeCloseTo((3 * Math.LN2 + 100) / 4, 5)
  })

  it('normalises rows that lie far from 0', async () => {
    await use()
    const row = tensor([[10000, 10001, 10002, 10003]])
    const spread = 1 / Math.sqrt(1.25)
    const expected = [-1.5, -0.5, 0.5, 1.5].map((x) => x * spread)
    expect(distance(read(ops.layerNorm(row, null, null, 0)), expected)).toBeLessThan(1e-5)
    expect(toArray(ops.layerNorm(tensor([[3, 3]]), tensor([2, 2]), tensor([1, -1])))).toEqual([[1, -1]])
  })

  it('refuses ids and labels that are out of range', async () => {
    await use()
    expect(issueOf(() => ops.gather(ops.ones([3, 2]), ints(0, 3)))).toMatchObject({
      _tag: 'OutOfRange',
      path: 'gather',
      found: '3 at position 1',
    })
    expect(issueOf(() => ops.gather(ops.ones([3, 2]), ints(-1)))._tag).toBe('OutOfRange')
    expect(issueOf(() => ops.scatterAdd(ints(3), ops.ones([1, 2]), 3))._tag).toBe('OutOfRange')
    expect(issueOf(() => ops.takeRows(ops.ones([1, 2]), ints(2)))._tag).toBe('OutOfRange')
    expect(issueOf(() => ops.crossEntropy(ops.ones([1, 2]), ints(2)))._tag).toBe('OutOfRange')
  })

  it('reduces over axes that lie apart', async () => {
    await use()
    const x = tensor(
      Array.from({ length: 24 }, (_, i) => i * i),
      [2, 3, 4],
    )
    const at = (j: number, k: number, l: number): number => (j * 12 + k * 4 + l) ** 2
    const apart = [0, 1, 2].map((k) => [0, 1].flatMap((j) => [0, 1, 2, 3].map((l) => at(j, k, l))))
    const total = apart.map((all) => all.reduce((a, b) => a + b))
    expect(toArray(ops.sum(x, { axes: [0, 2] }))).toEqual(total)
    expect(toArray(ops.mean(x, { axes: [-1, 0], keepDims: true }))).toEqual([total.map((sum) => [sum / 8])])
    expect(toArray(ops.max(x, { axes: [0, 2] }))).toEqual(apart.map((all) => Math.max(...all)))
    expect(toArray(ops.sum(x, { axes: 1 }))).toEqual(
      [0, 1].map((j) => [0, 1, 2, 3].map((l) => at(j, 0, l) + at(j, 1, l) + at(j, 2, l))),
    )
  })

  it('shares the gradient of a maximum among ties, and gives that of a pair to the first', async () => {
    await use()
    const x = tensor([2, 1, 2, 2])
    expect(read(gradients(() => ops.max(x), [x]).grads[0]!)).toEqual(Float32Array.of(1 / 3, 0, 1 / 3, 1 / 3))
    const y = tensor([2, 1, 1, 3])
    for (const f of [ops.maximum, ops.minimum]) {
      const { grads } = gradients(() => ops.sum(f(x, y)), [x, y])
      const [toX, toY] = grads.map((grad) => read(grad!))
      expect([toX![0], toX![1], toY![0], toY![1]]).toEqual([1, 1, 0, 0])
      expect(Array.from(toX!, (v, i) => v + toY![i]!)).toEqual([1, 1, 1, 1])
    }
  })

  it('takes tensors that were made before this engine was chosen', async () => {
    await engine({ prefer: 'js', quiet: true })
    const table = tensor([
      [1, 2],
      [3, 4],
      [5, 7],
    ])
    const ids = ints(2, 0)
    await use()
    expect(toArray(ops.gather(table, ids))).toEqual([
      [5, 7],
      [1, 2],
    ])
    expect(toArray(ops.sum(table, { axes: 0 }))).toEqual([9, 13])
    expect(toArray(table)).toEqual([
      [1, 2],
      [3, 4],
      [5, 7],
    ])
  })

  it('picks the first of equal maxima', async () => {
    await use()
    expect(
      toArray(
        ops.argmax(
          tensor([
            [1, 3, 3],
            [2, 2, 2],
          ]),
        ),
      ),
    ).toEqual([1, 0])
  })

  it('drops what plain JavaScript drops, also in the gradient', async () => {
    await engine({ prefer: 'js', quiet: true })
    const options = { rate: 0.25, key: key(5) }
    const expected = read(ops.dropout(ops.ones([4096]), options))
    await use()
    const x = ops.ones([4096])
    expect(read(ops.dropout(x, options))).toEqual(expected)
    expect(read(gradients(() => ops.sum(ops.dropout(x, options)), [x]).grads[0]!)).toEqual(expected)
    expect([...new Set(expected)].toSorted((a, b) => a - b)).toEqual([0, Math.fround(1 / 0.75)])
    const dropped = expected.filter((v) => v === 0).length / 4096
    expect(Math.abs(dropped - 0.25)).toBeLessThan(0.03)
    const seeded = (...words: readonly number[]): unknown => read(ops.dropout(x, { ...options, seed: ints(...words) }))
    expect(seeded(1, 2)).toEqual(seeded(1, 2))
    expect(seeded(1, 2)).not.toEqual(seeded(2, 1))
    expect(seeded(0, 0)).not.toEqual(expected)
    expect(read(ops.dropout(x, { rate: 0.25, key: key(6) }))).not.toEqual(expected)
  })
})

describe('a mistake says what was expected and what was found', () => {
  const a = ops.ones([2, 3])
  const b = ops.ones([4, 5])
  const whole = ops.ones([2, 3], 'int32')

  it.each<[string, string, string, () => unknown]>([
    ['ShapeMismatch', 'add', '[2, 3] and [4, 5]', () => ops.add(a, b)],
    ['ShapeMismatch', 'matmul', '3 and 4 in float32 [2, 3] times float32 [4, 5]', () => ops.matmul(a, b)],
    ['ShapeMismatch', 'matmul', 'float32 [2]', () => ops.matmul(ops.ones([2]), b)],
    ['ShapeMismatch', 'matmul', '[2, 1, 3]', () => ops.matmul(ops.ones([2, 1, 3]), ops.ones([4, 3, 1]))],
    ['DTypeMismatch', 'matmul', 'int32 [2, 3]', () => ops.matmul(whole, b)],
    ['ShapeMismatch', 'reshape', '[4, 2] for float32 [2, 3]', () => ops.reshape(a, [4, 2])],
    ['ShapeMismatch', 'reshape', '[-1, -1] for float32 [2, 3]', () => ops.reshape(a, [-1, -1])],
    ['ShapeMismatch', 'reshape', '[0, -1]', () => ops.reshape(a, [0, -1])],
    ['ShapeMismatch', 'transpose', 'axes [0, 0]', () => ops.transpose(a, [0, 0])],
    ['ShapeMismatch', 'transpose', '[0]', () => ops.transpose(a, [0])],
    ['ShapeMismatch', 'slice', 'begin [0, 2] with size [2, 2]', () => ops.slice(a, [0, 2], [2, 2])],
    ['ShapeMismatch', 'slice', 'begin [0] with size [2]', () => ops.slice(a, [0], [2])],
    ['ShapeMismatch', 'concat', 'float32 [4, 5]', () => ops.concat([a, b])],
    ['ShapeMismatch', 'concat', 'int32 [2, 3]', () => ops.concat([a, whole])],
    ['ShapeMismatch', 'concat', 'an empty list', () => ops.concat([])],
    ['ShapeMismatch', 'stack', 'an empty list', () => ops.stack([])],
    ['ShapeMismatch', 'split', '2 for float32 [2, 3]', () => ops.split(a, 2, 1)],
    ['ShapeMismatch', 'squeeze', 'axes [0]', () => ops.squeeze(a, 0)],
    ['ShapeMismatch', 'pad', '[[1, 1]]', () => ops.pad(a, [[1, 1]])],
    ['ShapeMismatch', 'broadcastTo', 'float32 [2, 3]', () => ops.broadcastTo(a, [2, 4])],
    ['ShapeMismatch', 'sum', 'axis 2', () => ops.sum(a, { axes: 2 })],
    ['ShapeMismatch', 'sum', 'axes [1, -1]', () => ops.sum(a, { axes: [1, -1] })],
    ['ShapeMismatch', 'max', 'float32 [0]', () => ops.max(ops.zeros([0]))],
    ['ShapeMismatch', 'mean', 'float32 [0]', () => ops.mean(ops.zeros([0]))],
    ['ShapeMismatch', 'argmax', 'axis -1 of a tensor with 0 axes', () => ops.argmax(ops.scalar(1))],
    ['ShapeMismatch', 'softmax', 'bool [2, 2, 3]', () => ops.softmax(a, { mask: ops.ones([2, 2, 3], 'bool') })],
    ['DTypeMismatch', 'softmax', 'int32 [2, 3]', () => ops.softmax(whole)],
    ['ShapeMismatch', 'layerNorm', 'float32 [4, 5]', () => ops.layerNorm(a, b, null)],
    ['ShapeMismatch', 'layerNorm', 'NaN', () => ops.layerNorm(a, null, null, NaN)],
    ['DTypeMismatch', 'gather', 'float32 [2, 3]', () => ops.gather(b, a)],
    ['ShapeMismatch', 'scatterAdd', 'float32 [2, 3]', () => ops.scatterAdd(ints(0), a, 3)],
    ['ShapeMismatch', 'takeRows', 'int32 [1]', () => ops.takeRows(a, ints(0))],
    ['ShapeMismatch', 'crossEntropy', 'float32 [2, 3] and int32 [1]', () => ops.crossEntropy(a, ints(0))],
    ['ShapeMismatch', 'crossEntropy', 'float32 [4, 5]', () => ops.crossEntropy(a, ints(0, 0), { weights: b })],
    ['InvalidRate', 'dropout', '1', () => ops.dropout(a, { rate: 1, key: key(0) })],
    ['DTypeMismatch', 'dropout', 'float32 [2, 3]', () => ops.dropout(a, { rate: 0.5, key: key(0), seed: a })],
    ['NotATensor', 'add', 'two numbers', () => ops.add(1, 2)],
  ])('%s at %s: %s', (tag, path, found, f) => {
    const issue = issueOf(f)
    expect([issue._tag, issue.path]).toEqual([tag, path])
    expect(issue.found).toContain(found)
    expect(issue.hint).not.toBe('')
  })
})

const show = (x: number): string => (Object.is(x, -0) ? '-0' : String(x))
