import { fc } from '@fast-check/vitest'
import type { DType, Tensor } from '../../src/ops/index.ts'
import * as ops from '../../src/ops/index.ts'
import { key } from '../../src/tree/key.ts'

/** One tensor as plain data, so that a counterexample prints. */
export interface Input {
  readonly shape: readonly number[]
  readonly dtype: DType
  readonly data: readonly number[]
}

/** A call of an op: its tensors, and everything else as plain data. */
export interface Case {
  readonly inputs: readonly Input[]
  readonly attrs: Readonly<Record<string, unknown>>
}

/** What the laws have to know of an exported function: how to call it, in a region where it is smooth. */
export interface Entry {
  readonly name: string
  readonly cases: fc.Arbitrary<Case>
  readonly call: (inputs: readonly Tensor[], attrs: Case['attrs']) => Tensor | readonly Tensor[]
  /** True for what is a constant to every gradient by design. */
  readonly constant: boolean
}

const entry = <A extends Readonly<Record<string, unknown>>>(
  name: string,
  cases: fc.Arbitrary<{ readonly inputs: readonly Input[]; readonly attrs: A }>,
  call: (inputs: readonly Tensor[], attrs: A) => Tensor | readonly Tensor[],
  { constant = false } = {},
): Entry => ({ name, cases, call: call as Entry['call'], constant })

// Any two elements of a case differ by 3/16 or more, and from 0 by half of that: no kink or tie is within the reach of a
// finite difference.
const grid = Array.from({ length: 72 }, (_, i) => ((2 * i - 71) * 3) / 32)

const sizeOf = (shape: readonly number[]): number => shape.reduce((product, length) => product * length, 1)

/** Tensors of the given shapes whose elements are all different. */
const floats = (
  shapes: readonly (readonly number[])[],
  map: (x: number) => number = (x) => x,
): fc.Arbitrary<readonly Input[]> => {
  const total = shapes.reduce((count, shape) => count + sizeOf(shape), 0)
  return fc.shuffledSubarray(grid, { minLength: total, maxLength: total }).map((values) => {
    let begin = 0
    return shapes.map((shape) => {
      const data = values.slice(begin, (begin += sizeOf(shape))).map(map)
      return { shape, dtype: 'float32', data }
    })
  })
}

const integers = (shape: readonly number[], min: number, max: number, dtype: DType = 'int32'): fc.Arbitrary<Input> =>
  fc
    .array(fc.integer({ min, max }), { minLength: sizeOf(shape), maxLength: sizeOf(shape) })
    .map((data) => ({ shape, dtype, data }))

const dim = fc.integer({ min: 1, max: 3 })
const shapes = (minLength = 0, maxLength = 3): fc.Arbitrary<number[]> => fc.array(dim, { minLength, maxLength })

/** Shapes that broadcast to one another: the first is full, the others lost axes or have 1 in some. */
const broadcasting = (full: readonly number[]): fc.Arbitrary<number[]> =>
  fc
    .tuple(fc.nat(full.length), fc.array(fc.boolean(), { minLength: full.length, maxLength: full.length }))
    .map(([lost, ones]) => full.map((length, axis) => (ones[axis] ? 1 : length)).slice(lost))

const noAttrs = {}
const only = (inputs: fc.Arbitrary<readonly Input[]>) => inputs.map((list) => ({ inputs: list, attrs: noAttrs }))

/** Two broadcasting operands in either order, or one and a number on either side; sometimes of int32. */
const operands = (map?: (x: number) => number) =>
  shapes().chain((full) =>
    broadcasting(full).chain((part) =>
      fc
        .record({
          values: floats([full, part], map),
          whole: fc.constantFrom('neither', 'neither', 'first', 'both'),
          number: fc.constantFrom('none', 'none', 'left', 'right'),
          swap: fc.boolean(),
          scalar: fc.constantFrom(0.75, -1.3125, 3),
        })
        .map(({ values, whole, number, swap, scalar }) => {
          const typed = values.map((input, i): Input =>
            whole === 'both' || (whole === 'first' && i === 0)
              ? { ...input, dtype: 'int32', data: input.data.map((x) => 3 * Math.round(x * 16)) }
              : input,
          )
          const ordered = swap ? typed.toReversed() : typed
          const inputs = number === 'none' ? ordered : ordered.slice(0, 1)
          // Numbers and integers are even multiples of 3/32, the grid holds the odd ones: never nearly a tie.
          return { inputs, attrs: number === 'none' ? {} : { [number]: map === undefined ? scalar : map(scalar) } }
        }),
    ),
  )

type Sides = { readonly left?: number; readonly right?: number }
type Binary = (a: Tensor | number, b: Tensor | number) => Tensor

const onOperands =
  (f: Binary) =>
  ([a, b]: readonly Tensor[], { left, right }: Sides): Tensor =>
    left !== undefined ? f(left, a!) : right !== undefined ? f(a!, right) : f(a!, b!)

const awayFromZero = (x: number): number => Math.sign(x) * (Math.abs(x) + 0.75)
const positive = (x: number): number => Math.abs(x) + 0.75

const binaries: readonly Entry[] = [
  entry('add', operands(), onOperands(ops.add)),
  entry('sub', operands(), onOperands(ops.sub)),
  entry('mul', operands(), onOperands(ops.mul)),
  entry('div', operands(awayFromZero), onOperands(ops.div)),
  entry('minimum', operands(), onOperands(ops.minimum)),
  entry('maximum', operands(), onOperands(ops.maximum)),
]

/** Few different values, so that equal ones meet. */
const ties = shapes().chain((full) =>
  broadcasting(full).chain((part) =>
    fc
      .tuple(
        integers(full, -1, 1, 'float32'),
        fc
          .constantFrom('float32', 'int32', 'bool')
          .chain((dtype) => integers(part, dtype === 'bool' ? 0 : -1, 1, dtype)),
      )
      .map((inputs) => ({ inputs, attrs: {} as Sides })),
  ),
)

const comparisons: readonly Entry[] = [
  entry('equal', ties, onOperands(ops.equal), { constant: true }),
  entry('less', ties, onOperands(ops.less), { constant: true }),
  entry('greater', ties, onOperands(ops.greater), { constant: true }),
  entry(
    'where',
    shapes().chain((full) =>
      fc.tuple(broadcasting(full), broadcasting(full)).chain(([condition, part]) =>
        fc
          .record({
            values: floats([full, part]),
            condition: fc.constantFrom<DType>('bool', 'float32', 'int32').chain((d) => integers(condition, 0, 1, d)),
            number: fc.constantFrom('none', 'none', 'left', 'right', 'both'),
          })
          .map(({ values, condition: seen, number }) => ({
            inputs: [seen, ...values.slice(0, number === 'none' ? 2 : number === 'both' ? 0 : 1)],
            attrs: { number },
          })),
      ),
    ),
    ([condition, a, b], { number }) => {
      if (number === 'both') return ops.where(condition!, 0.5, -2)
      return ops.where(condition!, number === 'left' ? 0.5 : a!, number === 'left' ? a! : number === 'right' ? -2 : b!)
    },
  ),
]

type Unary = (x: Tensor) => Tensor

const oneInput = (map?: (x: number) => number) => shapes().chain((shape) => only(floats([shape], map)))

/** Functions that keep int32 meet it, too. */
const oneOfEither = fc.oneof(
  oneInput(),
  shapes().chain((shape) => integers(shape, -9, 9).map((input) => ({ inputs: [input], attrs: noAttrs }))),
)

const unaries: readonly Entry[] = [
  ...Object.entries<Unary>({ exp: ops.exp, expm1: ops.expm1, sin: ops.sin, cos: ops.cos, erf: ops.erf }),
  ...Object.entries<Unary>({ tanh: ops.tanh, sigmoid: ops.sigmoid, gelu: ops.gelu, geluTanh: ops.geluTanh }),
  ...Object.entries<Unary>({ silu: ops.silu, softplus: ops.softplus, logSoftmax: ops.logSoftmax }),
]
  .map(([name, f]) =>
    entry(name, name === 'logSoftmax' ? shapes(1).chain((shape) => only(floats([shape]))) : oneInput(), ([x]) => f(x!)),
  )
  .concat(
    Object.entries<Unary>({ neg: ops.neg, abs: ops.abs, square: ops.square, relu: ops.relu }).map(([name, f]) =>
      entry(name, oneOfEither, ([x]) => f(x!)),
    ),
    Object.entries<Unary>({ log: ops.log, sqrt: ops.sqrt, rsqrt: ops.rsqrt }).map(([name, f]) =>
      entry(name, oneInput(positive), ([x]) => f(x!)),
    ),
  )

const withAxes = shapes().chain((shape) =>
  fc
    .record({
      inputs: fc.oneof(
        floats([shape]),
        integers(shape, -5, 5).map((input) => [input]),
      ),
      axes: fc.option(fc.subarray(shape.map((_, axis) => axis)), { nil: undefined }),
      negative: fc.boolean(),
      keepDims: fc.boolean(),
    })
    .map(({ inputs, axes, negative, keepDims }) => ({
      inputs,
      attrs: {
        keepDims,
        ...(axes && { axes: axes.map((axis) => (negative ? axis - shape.length : axis)) }),
      },
    })),
)

const rows = shapes(1).chain((shape) => only(floats([shape])))

const reductions: readonly Entry[] = [
  entry('sum', withAxes, ([x], attrs) => ops.sum(x!, attrs)),
  entry('mean', withAxes, ([x], attrs) => ops.mean(x!, attrs)),
  entry('max', withAxes, ([x], attrs) => ops.max(x!, attrs)),
  entry('argmax', rows, ([x]) => ops.argmax(x!), { constant: true }),
]

const matmuls: readonly Entry[] = [
  entry(
    'matmul',
    fc
      .record({
        batch: shapes(0, 1),
        shared: fc.boolean(),
        m: dim,
        k: dim,
        n: dim,
        transposeA: fc.boolean(),
        transposeB: fc.boolean(),
      })
      .chain(({ batch, shared, m, k, n, transposeA, transposeB }) =>
        floats([
          [...batch, ...(transposeA ? [k, m] : [m, k])],
          [...(shared ? [] : batch), ...(transposeB ? [n, k] : [k, n])],
        ]).map((inputs) => ({ inputs, attrs: { transposeA, transposeB } })),
      ),
    ([a, b], attrs) => ops.matmul(a!, b!, attrs),
  ),
]

const anyDtype = (shape: readonly number[]): fc.Arbitrary<readonly Input[]> =>
  fc.oneof(
    { arbitrary: floats([shape]), weight: 4 },
    { arbitrary: integers(shape, -5, 5).map((input) => [input]), weight: 1 },
    { arbitrary: integers(shape, 0, 1, 'bool').map((input) => [input]), weight: 1 },
  )

/** A tensor of any dtype, and plain data drawn to go with its shape. */
const shaped = <A extends Case['attrs']>(
  attrs: (shape: readonly number[]) => fc.Arbitrary<A>,
  minLength = 0,
): fc.Arbitrary<{ readonly inputs: readonly Input[]; readonly attrs: A }> =>
  shapes(minLength).chain((shape) => fc.record({ inputs: anyDtype(shape), attrs: attrs(shape) }))

const axisOf = (shape: readonly number[]): fc.Arbitrary<number> =>
  fc.integer({ min: -shape.length, max: shape.length - 1 })

const orders = (shape: readonly number[]) =>
  fc
    .option(
      fc.shuffledSubarray(
        shape.map((_, i) => i),
        { minLength: shape.length },
      ),
      { nil: undefined },
    )
    .map((order) => ({ order }))

const forms: readonly Entry[] = [
  entry(
    'reshape',
    shaped((shape) =>
      fc.constantFrom([-1], shape.toReversed(), [1, ...shape], [-1, shape[0] ?? 1]).map((to) => ({ to })),
    ),
    ([x], { to }) => ops.reshape(x!, to),
  ),
  entry(
    'transpose',
    fc.oneof(
      { arbitrary: shaped(orders), weight: 3 },
      // Kernels differ from five axes on.
      {
        arbitrary: fc
          .array(fc.integer({ min: 1, max: 2 }), { minLength: 5, maxLength: 5 })
          .chain((shape) => fc.record({ inputs: anyDtype(shape), attrs: orders(shape) })),
        weight: 1,
      },
    ),
    ([x], { order }) => ops.transpose(x!, order),
  ),
  entry(
    'slice',
    shaped((shape) =>
      fc
        .tuple(
          ...shape.map((length) =>
            fc
              .nat(length - 1)
              .chain((begin) =>
                fc
                  .oneof(fc.constant(-1), fc.integer({ min: 1, max: length - begin }))
                  .map((size) => [begin, size] as const),
              ),
          ),
        )
        .map((box) => ({ begin: box.map(([begin]) => begin), size: box.map(([, size]) => size) })),
    ),
    ([x], { begin, size }) => ops.slice(x!, begin, size),
  ),
  entry(
    'pad',
    shaped((shape) => fc.tuple(...shape.map(() => fc.tuple(fc.nat(2), fc.nat(2)))).map((widths) => ({ widths }))),
    ([x], { widths }) => ops.pad(x!, widths),
  ),
  entry(
    'broadcastTo',
    shapes().chain((full) =>
      broadcasting(full).chain((part) => fc.record({ inputs: anyDtype(part), attrs: fc.constant({ full }) })),
    ),
    ([x], { full }) => ops.broadcastTo(x!, full),
  ),
  entry(
    'cast',
    shaped(() => fc.constantFrom<DType>('float32', 'int32', 'bool').map((to) => ({ to }))),
    ([x], { to }) => ops.cast(x!, to),
  ),
  entry(
    'stopGradient',
    shaped(() => fc.constant(noAttrs)),
    ([x]) => ops.stopGradient(x!),
    { constant: true },
  ),
  entry(
    'expandDims',
    shaped((shape) => fc.integer({ min: -shape.length - 1, max: shape.length }).map((axis) => ({ axis }))),
    ([x], { axis }) => ops.expandDims(x!, axis),
  ),
  entry(
    'squeeze',
    shaped((shape) => {
      const ones = shape.flatMap((length, axis) => (length === 1 ? [axis] : []))
      return fc.option(fc.subarray(ones), { nil: undefined }).map((axes) => ({ axes }))
    }),
    ([x], { axes }) => ops.squeeze(x!, axes),
  ),
  entry(
    'split',
    shaped(
      (shape) =>
        axisOf(shape).chain((axis) => {
          const length = shape.at(axis)!
          return fc
            .oneof(
              fc.constant(length),
              fc.constant(1),
              fc
                .integer({ min: 1, max: Math.max(1, length - 1) })
                .map((first) => (first < length ? [first, length - first] : 1)),
            )
            .map((pieces) => ({ axis, pieces }))
        }),
      1,
    ),
    ([x], { axis, pieces }) => ops.split(x!, pieces, axis),
  ),
  entry(
    'concat',
    shapes(1).chain((shape) =>
      fc
        .tuple(axisOf(shape), fc.array(dim, { minLength: 1, maxLength: 2 }))
        .chain(([axis, lengths]) =>
          floats(lengths.map((length) => shape.with(axis, length))).map((inputs) => ({ inputs, attrs: { axis } })),
        ),
    ),
    (list, { axis }) => ops.concat(list, axis),
  ),
  entry(
    'stack',
    shapes(0, 2).chain((shape) =>
      fc
        .tuple(fc.integer({ min: -shape.length - 1, max: shape.length }), dim)
        .chain(([axis, count]) =>
          floats(Array.from({ length: count }, () => shape)).map((inputs) => ({ inputs, attrs: { axis } })),
        ),
    ),
    (list, { axis }) => ops.stack(list, axis),
  ),
]

const lookups: readonly Entry[] = [
  entry(
    'gather',
    fc
      .tuple(shapes(1), shapes(0, 2))
      .chain(([table, at]) =>
        fc
          .tuple(anyDtype(table), integers(at, 0, table[0]! - 1))
          .map(([[x], ids]) => ({ inputs: [x!, ids], attrs: noAttrs })),
      ),
    ([table, ids]) => ops.gather(table!, ids!),
  ),
  entry(
    'scatterAdd',
    fc
      .tuple(dim, shapes(0, 1), shapes(0, 2))
      .chain(([rows, at, row]) =>
        fc
          .tuple(integers(at, 0, rows - 1), floats([[...at, ...row]]))
          .map(([ids, [dy]]) => ({ inputs: [ids, dy!], attrs: { rows } })),
      ),
    ([ids, dy], { rows }) => ops.scatterAdd(ids!, dy!, rows),
  ),
  entry(
    'takeRows',
    shapes(2).chain((shape) =>
      fc
        .tuple(anyDtype(shape), integers([shape[0]!], 0, shape[1]! - 1))
        .map(([[x], ids]) => ({ inputs: [x!, ids], attrs: noAttrs })),
    ),
    ([x, positions]) => ops.takeRows(x!, positions!),
  ),
]

const labelled = fc.record({ rows: dim, classes: dim, weighted: fc.boolean() }).chain(({ rows, classes, weighted }) =>
  fc
    .tuple(
      floats([[rows, classes]]),
      fc.array(fc.constantFrom(-100, ...Array.from({ length: classes }, (_, i) => i)), {
        minLength: rows,
        maxLength: rows,
      }),
      floats(weighted ? [[rows]] : [], positive),
    )
    .map(([logits, labels, weights]) => ({
      inputs: [...logits, { shape: [rows], dtype: 'int32' as const, data: labels }, ...weights],
      attrs: { weighted },
    })),
)

const square = (shape: readonly number[], data: readonly number[], upsideDown: boolean): readonly number[] => {
  const n = shape.at(-1)!
  // Dominated by one number in each row, so that no step of a finite difference comes near a singular matrix.
  return data.map((x, at) => {
    const [i, j] = [Math.floor(at / n) % n, at % n]
    return x / 8 + (j === (upsideDown ? n - 1 - i : i) ? 3 : 0)
  })
}

const systems: readonly Entry[] = [
  entry(
    'solve',
    fc
      .record({ batch: shapes(0, 1), n: dim, m: dim, transposeA: fc.boolean(), upsideDown: fc.boolean() })
      .chain(({ batch, n, m, transposeA, upsideDown }) =>
        floats([
          [...batch, n, n],
          [...batch, n, m],
        ]).map(([a, b]) => ({
          inputs: [{ ...a!, data: square(a!.shape, a!.data, upsideDown) }, b!],
          attrs: { transposeA },
        })),
      ),
    ([a, b], attrs) => ops.solve(a!, b!, attrs),
  ),
]

const networks: readonly Entry[] = [
  entry(
    'softmax',
    shapes(1).chain((shape) =>
      fc
        .tuple(floats([shape]), fc.option(broadcasting(shape).chain((mask) => integers(mask, 0, 1, 'bool'))))
        .map(([x, mask]) => ({ inputs: mask === null ? x : [...x, mask], attrs: noAttrs })),
    ),
    ([x, mask]) => ops.softmax(x!, mask === undefined ? {} : { mask }),
  ),
  entry(
    'layerNorm',
    fc.tuple(shapes(1), fc.boolean(), fc.boolean(), fc.constantFrom(0.5, 1)).chain(([shape, scaled, shifted, eps]) => {
      const row = [shape.at(-1)!]
      return floats([shape, ...(scaled ? [row] : []), ...(shifted ? [row] : [])]).map((inputs) => ({
        inputs,
        attrs: { scaled, shifted, eps },
      }))
    }),
    ([x, ...rest], { scaled, shifted, eps }) =>
      ops.layerNorm(x!, scaled ? rest[0]! : null, shifted ? rest[scaled ? 1 : 0]! : null, eps),
  ),
  entry('crossEntropyRows', labelled, ([logits, labels]) => ops.crossEntropyRows(logits!, labels!)),
  entry('crossEntropy', labelled, ([logits, labels, weights]) =>
    ops.crossEntropy(logits!, labels!, weights === undefined ? {} : { weights }),
  ),
  entry(
    'meanLoss',
    labelled.map(({ inputs: [logits, labels, ...weights], attrs }) => {
      const rows = labels!.shape[0]!
      return {
        inputs: [{ shape: [rows], dtype: 'float32' as const, data: logits!.data.slice(0, rows) }, labels!, ...weights],
        attrs,
      }
    }),
    ([losses, labels, weights]) => ops.meanLoss(losses!, labels!, weights === undefined ? {} : { weights }),
  ),
  entry(
    'dropout',
    shapes(0, 3).chain((shape) =>
      fc
        .record({ rate: fc.constantFrom(0, 0.25, 0.5), name: fc.integer({ min: 0, max: 99 }), seeded: fc.boolean() })
        .chain((attrs) =>
          fc
            .tuple(floats([shape]), integers([2], -(2 ** 31), 2 ** 31 - 1))
            .map(([x, seed]) => ({ inputs: attrs.seeded ? [...x, seed] : x, attrs })),
        ),
    ),
    ([x, seed], { rate, name }) => ops.dropout(x!, { rate, key: key(name), ...(seed && { seed }) }),
  ),
]

// What is packed is a constant to every gradient, so it is no input here. Shapes have odd counts, several blocks, tails.
const packedOf = (scheme: ops.PackedScheme, shape: readonly [number, number], nested = false): ops.PackedMatrix => {
  const size = shape[0] * shape[1]
  const [perWord, blocks] = [scheme === 'nf4' ? 8 : 4, scheme === 'nf4' ? Math.ceil(size / 64) : shape[0]]
  const drawn = (count: number, salt: number): Tensor =>
    ops.tensor(Int32Array.from({ length: Math.ceil(count) }, (_, i) => Math.imul(i + salt, 0x9e3779b1)))
  const scales = (count: number): Tensor =>
    ops.tensor(Float32Array.from({ length: count }, (_, i) => 0.25 + (i % 7) / 8))
  if (scheme === 'bf16' || scheme === 'f16') {
    const codes = new Uint16Array(2 * Math.ceil(size / 2))
    codes.set(
      ops.toHalves(
        Float32Array.from({ length: size }, (_, i) => Math.sin(i + 1) * 2 ** ((i % 40) - 27)),
        scheme,
      ),
    )
    return { scheme, shape, codes: ops.tensor(new Int32Array(codes.buffer)), scales: [] }
  }
  return {
    scheme,
    shape,
    codes: drawn(size / perWord, 1),
    scales: nested
      ? [
          drawn(blocks / 4, 2),
          ops.tensor(Float32Array.from({ length: Math.ceil(blocks / 256) }, () => 0.25)),
          ops.scalar(0.5),
        ]
      : [scales(blocks)],
  }
}

const packed: readonly ops.PackedMatrix[] = [
  packedOf('nf4', [1, 1]),
  packedOf('nf4', [3, 5]),
  packedOf('nf4', [5, 27]),
  packedOf('nf4', [3, 43], true),
  packedOf('nf4', [7, 64], true),
  packedOf('int8', [3, 5]),
  packedOf('int8', [4, 8]),
  packedOf('bf16', [3, 5]),
  packedOf('bf16', [4, 8]),
  packedOf('f16', [5, 3]),
]

const onPacked = fc.nat(packed.length - 1)

const packeds: readonly Entry[] = [
  entry(
    'unpack',
    onPacked.map((which) => ({ inputs: [], attrs: { which } })),
    (_, { which }) => ops.unpack(packed[which]!),
  ),
  entry(
    'matmulPacked',
    fc.tuple(onPacked, shapes(1, 2), fc.boolean()).chain(([which, batch, transpose]) => {
      const [rows, columns] = packed[which]!.shape
      const width = transpose ? columns : rows
      const data = Array.from({ length: sizeOf(batch) * width }, (_, i) => grid[(i * 29) % grid.length]!)
      const x: Input = { shape: [...batch, width], dtype: 'float32', data }
      return fc.constant({ inputs: [x], attrs: { which, transpose } })
    }),
    ([x], { which, transpose }) => ops.matmulPacked(x!, packed[which]!, { transpose }),
  ),
  entry(
    'gatherPacked',
    fc
      .tuple(onPacked, shapes(0, 2), fc.constantFrom<0 | 1>(0, 1))
      .chain(([which, at, axis]) =>
        integers(at, 0, packed[which]!.shape[axis] - 1).map((ids) => ({ inputs: [ids], attrs: { which, axis } })),
      ),
    ([ids], { which, axis }) => ops.gatherPacked(packed[which]!, ids!, axis),
  ),
]

/** Of a key for each head or one of several, with whatever may be there or not; a row of a mask may hide everything. */
const attending = fc
  .record({
    sizes: fc.record({ batch: fc.integer({ min: 1, max: 2 }), groups: fc.integer({ min: 1, max: 2 }), width: dim }),
    shared: fc.integer({ min: 1, max: 2 }),
    length: fc.integer({ min: 1, max: 2 }),
    keys: fc.integer({ min: 1, max: 3 }),
    depth: fc.integer({ min: 1, max: 2 }),
    masked: fc.constantFrom<DType | null>(null, 'bool', 'int32'),
    attrs: fc.record({
      scale: fc.option(fc.constantFrom(0.25, 1), { nil: undefined }),
      cap: fc.constantFrom(0, 2),
      rate: fc.constantFrom(0, 0, 0.25, 0.5),
      name: fc.nat(99),
      seeded: fc.boolean(),
    }),
  })
  .chain(({ sizes: { batch, groups, width }, shared, length, keys, depth, masked, attrs }) => {
    const scores = [batch, groups * shared, length, keys]
    const qkv = [
      [batch, groups * shared, length, width],
      [batch, groups, keys, width],
      [batch, groups, keys, depth],
    ]
    return fc
      .tuple(
        fc.tuple(...qkv.map((shape) => floats([shape], (x) => x / 4))).map((lists) => lists.flat()),
        masked === null
          ? fc.constant([])
          : broadcasting(scores).chain((at) => integers(at, 0, 1, masked).map((m) => [m])),
        attrs.seeded ? integers([2], -(2 ** 31), 2 ** 31 - 1).map((seed) => [seed]) : fc.constant([]),
      )
      .map(([x, mask, seed]) => ({ inputs: [...x, ...mask, ...seed], attrs }))
  })

/** Of a head that learns, whose weight and bias are variables, or of a frozen one, whose are plain data. */
const headed = fc
  .record({
    rows: dim,
    d: dim,
    classes: fc.integer({ min: 1, max: 4 }),
    frozen: fc.boolean(),
    transpose: fc.boolean(),
    biased: fc.boolean(),
    cap: fc.constantFrom(0, 2),
  })
  .chain(({ rows, d, classes, frozen, transpose, biased, cap }) =>
    fc
      .tuple(
        floats([[rows, d], transpose ? [classes, d] : [d, classes], ...(biased ? [[classes]] : [])], (x) => x / 4),
        fc.array(fc.constantFrom(-1, ...Array(classes).keys()), { minLength: rows, maxLength: rows }),
      )
      .map(([[hidden, ...head], labels]) => ({
        inputs: [{ shape: [rows], dtype: 'int32' as const, data: labels }, hidden!, ...(frozen ? [] : head)],
        attrs: { head, frozen, transpose, cap },
      })),
  )

const moments = (squares: (x: number) => number) =>
  shapes().chain((shape) => floats([shape, shape]).map(([a, b]) => [a!, { ...b!, data: b!.data.map(squares) }]))

const fused: readonly Entry[] = [
  entry('attention', attending, ([q, k, v, ...rest], { scale, cap, rate, name, seeded }) => {
    const [seed, mask] = seeded ? rest.toReversed() : [undefined, rest[0]]
    const drop = { rate, key: key(name), ...(seed && { seed }) }
    return ops.attention(q!, k!, v!, { cap, drop, ...(mask && { mask }), ...(scale !== undefined && { scale }) })
  }),
  entry('headLoss', headed, ([labels, hidden, ...learnt], { head, frozen, transpose, cap }) =>
    ops.scope(() => {
      const [weight, bias = null] = frozen ? head.map(({ shape, data }) => ops.tensor(data, shape)) : learnt
      return ops.headLoss(hidden!, weight!, bias, labels!, { ignore: -1, transpose, cap })
    }),
  ),
  entry(
    'softCap',
    fc
      .tuple(shapes(), fc.constantFrom(0.5, 4))
      .chain(([shape, cap]) => floats([shape]).map((inputs) => ({ inputs, attrs: { cap } }))),
    ([x], { cap }) => ops.softCap(x!, cap),
  ),
  entry('blend', only(moments((x) => x)), ([old, now]) => ops.blend(old!, now!, 0.75)),
  entry('blendSquare', only(moments((x) => x)), ([old, now]) => ops.blendSquare(old!, now!, 0.75)),
  entry(
    'adamDirection',
    only(fc.tuple(moments(positive), floats([[], []], positive)).map((lists) => lists.flat())),
    ([mean, square_, scale, floor]) => ops.adamDirection(mean!, square_!, scale!, floor!),
  ),
]

/** Every exported op, once: who adds an op adds its line here, and it gets the whole suite. */
export const opTable: readonly Entry[] = [
  ...binaries,
  ...comparisons,
  ...unaries,
  ...reductions,
  ...matmuls,
  ...forms,
  ...lookups,
  ...systems,
  ...networks,
  ...packeds,
  ...fused,
]
