import { afterAll, describe, expect, test } from 'vitest'
import {
  boft,
  context,
  count,
  define,
  freeze,
  get,
  hra,
  isParam,
  key,
  layer,
  linear,
  mapLeaves,
  materialize,
  oft,
  pipe,
  project,
  projectT,
  withValue,
} from '../../src/index.ts'
import type { AnyKind, Tensor, Weight } from '../../src/index.ts'
import { add, engine, matmul, normal, read, scope, tensor, toArray, transpose } from '../../src/ops/index.ts'
import { cayley, identity } from '../../src/weight/rotation.ts'
import { sameTensor } from '../../src/ops/index.ts'

const Net = define('Net', { fc: linear('in', 'out', { bias: false }) }, (n, x, ctx) => layer(n.fc, x, ctx))
const net = (inputs: number, outputs = inputs) => Net.init({ in: inputs, out: outputs }, key(0))

const far = (a: Tensor, b: Tensor): number => {
  const [x, y] = [read(a), read(b)]
  return Math.max(...x.map((v, i) => Math.abs(v - y[i]!)))
}

/** The model with every leaf of this name drawn from N(0, spread²). */
const drawn = <M>(model: M, name: string, spread: number): M =>
  mapLeaves(model, (leaf) =>
    isParam(leaf) && leaf.label.endsWith(`.${name}`)
      ? withValue(leaf, normal(key(leaf.label), leaf.value.shape, 0, spread))
      : leaf,
  ) as M

const weightOf = (model: unknown): Weight => get(model as never, 'fc.weight' as never) as Weight

/** R itself: what the inputs 1 0 0 …, 0 1 0 … become. */
const rotationOf = (model: unknown, inputs: number): Tensor => {
  const one = identity(inputs)
  return project(one, { ...(weightOf(model) as object), base: { _tag: 'One' } } as never, context({ kinds: { One } }))
}

/** A weight that is the identity, and that refuses to be made dense. */
const One: AnyKind = {
  tag: 'One',
  role: 'weight',
  fields: {},
  ops: {
    project: (x: Tensor) => x,
    projectT: (x: Tensor) => x,
    lookup: () => expect.unreachable(),
    shape: () => expect.unreachable(),
    materialize: () => expect.unreachable('a base in few bits would have been made dense'),
  },
}

const rotations = [
  ['oft', drawn(oft({ at: 'fc', blockSize: 4 })(net(12)), 'v', 1), 12],
  ['oft in one block of 32', drawn(oft({ at: 'fc' })(net(32)), 'v', 0.5), 32],
  ['boft', drawn(boft({ at: 'fc', factors: 3 })(net(16)), 'r', 1), 16],
  ['hra', drawn(hra({ at: 'fc', rank: 6 })(net(8)), 'u', 1), 8],
  ['hra, orthogonal', hra({ at: 'fc', rank: 3, orthogonalise: true })(net(8)), 8],
] as const

afterAll(() => engine({ prefer: 'js', quiet: true }))

describe.each(rotations)('%s', (_, model, inputs) => {
  test.each(['js', 'wasm'] as const)('RᵀR = I, on %s', async (name) => {
    await engine({ prefer: name, quiet: true })
    const off = scope(() => {
      const r = rotationOf(model, inputs)
      expect(far(r, identity(inputs))).toBeGreaterThan(0.1)
      return tensor([far(matmul(r, r, { transposeA: true }), identity(inputs))])
    })
    expect(read(off)[0]).toBeLessThan(1e-5)
  })

  test('forward and backward ask nothing of the base but to be multiplied with', () => {
    const weight = { ...(weightOf(model) as object), base: { _tag: 'One' } } as never
    const x = normal(key(1), [2, 3, inputs], 0, 1)
    const ctx = context({ kinds: { One } })
    const there = project(x, weight, ctx)
    // What one way turns, the other way turns back; the scales of a fresh BOFT are ones.
    expect(far(projectT(there, weight, ctx), x)).toBeLessThan(1e-5)
  })
})

describe('the Cayley map', () => {
  // PEFT's flag exchanges R and Rᵀ; the series says which of the two is meant.
  test('is what its series comes to, and not the transpose of that', () => {
    const q = tensor([
      [
        [0, 0.02, -0.01],
        [-0.02, 0, 0.03],
        [0.01, -0.03, 0],
      ],
    ])
    const twice = add(q, q)
    const squared = matmul(q, q)
    const series = add(add(identity(3), twice), add(squared, squared))
    expect(far(cayley(q), series)).toBeLessThan(1e-4)
    expect(far(transpose(cayley(q), [0, 2, 1]), series)).toBeGreaterThan(0.1)
  })

  test('turns by twice the arc tangent', () => {
    const [[[cosine, sine] = []] = []] = toArray(
      cayley(
        tensor([
          [
            [0, 1],
            [-1, 0],
          ],
        ]),
      ),
    ) as number[][][]
    expect(cosine).toBeCloseTo(0, 6)
    expect(sine).toBeCloseTo(1, 6)
  })

  test('stays orthogonal far from zero', () => {
    const q = tensor([
      [
        [0, 50, -1e4],
        [-50, 0, 3],
        [1e4, -3, 0],
      ],
    ])
    const r = cayley(q)
    expect(far(matmul(r, r, { transposeA: true }), identity(3))).toBeLessThan(1e-5)
  })
})

describe('oft', () => {
  test('has in/b · b(b − 1)/2 parameters a weight', () => {
    const added = (inputs: number, blockSize: number) =>
      count(pipe(net(inputs), freeze, oft({ at: 'fc', blockSize }))).trainable
    expect([added(12, 4), added(12, 3), added(12, 12), added(64, 32)]).toEqual([18, 12, 66, 992])
  })

  test('rotates the inputs of a block, and no others', () => {
    const r = toArray(rotationOf(drawn(oft({ at: 'fc', blockSize: 2 })(net(6)), 'v', 1), 6)) as number[][]
    const shown = r.map((row) => row.map((x) => (x === 0 ? '.' : 'x')).join(''))
    expect(shown).toEqual(['xx....', 'xx....', '..xx..', '..xx..', '....xx', '....xx'])
  })
})

describe('boft', () => {
  const shown = (model: unknown, inputs: number) =>
    (toArray(rotationOf(model, inputs)) as number[][]).map((row) => row.map((x) => (x === 0 ? '.' : 'x')).join(''))

  test('has factors · in · b + out parameters a weight', () => {
    const added = (blockSize: number, factors: number) =>
      count(pipe(net(16, 5), freeze, boft({ at: 'fc', blockSize, factors }))).trainable
    expect([added(4, 1), added(4, 3), added(8, 2)]).toEqual([69, 197, 261])
  })

  test('each factor doubles how far inputs are mixed, until all are', () => {
    const with_ = (factors: number) => shown(drawn(boft({ at: 'fc', blockSize: 2, factors })(net(8)), 'r', 1), 8)
    expect(with_(1)).toEqual([
      'xx......',
      'xx......',
      '..xx....',
      '..xx....',
      '....xx..',
      '....xx..',
      '......xx',
      '......xx',
    ])
    expect(with_(2)[0]).toBe('xxxx....')
    expect(with_(2)[7]).toBe('....xxxx')
    expect(with_(3)).toEqual(Array.from({ length: 8 }, () => 'xxxxxxxx'))
  })

  // r is stored whole, as PEFT stores and counts it, though only its skew part turns anything.
  test('what is symmetric in a block of r does nothing', () => {
    const model = drawn(boft({ at: 'fc', blockSize: 2, factors: 1 })(net(4)), 'r', 1)
    const shifted = mapLeaves(model, (leaf) =>
      isParam(leaf) && leaf.label.endsWith('.r')
        ? withValue(
            leaf,
            add(
              leaf.value,
              tensor([
                [3, 2],
                [2, 5],
                [1, 4],
                [4, 8],
              ]),
            ),
          )
        : leaf,
    )
    expect(far(rotationOf(model, 4), rotationOf(shifted, 4))).toBeLessThan(1e-6)
  })
})

describe('hra', () => {
  test('has rank · in parameters a weight', () => {
    const added = (rank: number, orthogonalise: boolean) =>
      count(pipe(net(6), freeze, hra({ at: 'fc', rank, orthogonalise }))).trainable
    expect([added(2, false), added(4, true), added(5, true)]).toEqual([12, 24, 30])
  })

  test('begins with directions in equal pairs, and orthogonal ones apart', () => {
    const columns = (model: unknown) =>
      toArray(transpose((weightOf(model) as never as { u: { value: Tensor } }).u.value)) as number[][]
    const [a, b, c, d] = columns(hra({ at: 'fc', rank: 4 })(net(6)))
    expect(a).toEqual(b)
    expect(c).toEqual(d)
    expect(a).not.toEqual(c)
    const [e, f] = columns(hra({ at: 'fc', rank: 4, orthogonalise: true })(net(6)))
    expect(e).not.toEqual(f)
  })

  test('orthogonal reflections turn back whatever lies in their span, and leave the rest', () => {
    const model = hra({ at: 'fc', rank: 6, orthogonalise: true })(net(6))
    const minus = tensor((toArray(identity(6)) as number[][]).map((row) => row.map((x) => -x)))
    expect(far(rotationOf(model, 6), minus)).toBeLessThan(1e-4)
  })

  test('orthogonal directions that are one and the same are an error, not a direction made of rounding', () => {
    const model = hra({ at: 'fc', rank: 2, orthogonalise: true })(net(4))
    const same = mapLeaves(model, (leaf) =>
      isParam(leaf) && leaf.label.endsWith('.u')
        ? withValue(
            leaf,
            tensor([
              [1, 1],
              [0, 0],
              [0, 0],
              [0, 0],
            ]),
          )
        : leaf,
    )
    expect(() => rotationOf(same, 4)).toThrow(/Singular/)
  })
})

test('a fresh rotation is the identity to the last bit', () => {
  for (const fresh of [oft({ at: 'fc', blockSize: 4 })(net(8)), boft({ at: 'fc', factors: 2 })(net(8))])
    expect(sameTensor(materialize(weightOf(fresh), context()), materialize(weightOf(net(8)), context()))).toBe(true)
})
