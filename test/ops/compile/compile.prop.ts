import { fc, test } from '@fast-check/vitest'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import type { Op, Tensor } from '../../../src/ops/index.ts'
import {
  add,
  apply,
  compile,
  engine,
  gather,
  gradients,
  item,
  memory,
  mul,
  read,
  release,
  scalar,
  scope,
  sum,
  tanh,
  tensor,
} from '../../../src/ops/index.ts'
import { layoutOf, replaceIn } from '../../../src/ops/compile/layout.ts'
import { distance } from '../op-laws.ts'
import { program, runOps } from '../programs.ts'

const hasNative = await engine({ prefer: 'native', quiet: true }).then(
  () => true,
  () => false,
)

beforeAll(() => engine({ prefer: hasNative ? 'native' : 'js', quiet: true }))
afterAll(() => engine({ prefer: 'js', quiet: true }))

/** Trees of plain data and vectors, as models are. */
const tree: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small' },
    fc.array(fc.integer({ min: -4, max: 4 }), { minLength: 2, maxLength: 2 }).map((values) => ({ vector: values })),
    fc.constantFrom(0, -0, 1, NaN, null, undefined, true, 'a', 'b', 2n),
    fc.array(tie('tree'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('x', 'y', 'z'), tie('tree')),
    fc.array(tie('tree'), { maxLength: 2 }).map((list) => new Set(list)),
  ),
}))['tree']

/** The tree with a live tensor in the place of each vector; the same one in the place of equal objects. */
const alive = (plain: unknown): unknown =>
  replaceIn(plain, (x) => ('vector' in x && Array.isArray(x.vector) ? { by: tensor(x.vector as number[]) } : undefined))

describe('layouts', () => {
  test.prop([tree])('tell values apart by everything but the elements of their tensors', (plain) => {
    scope(() => {
      const [one, two] = [alive(plain), alive(plain)]
      const layouts = [layoutOf(one), layoutOf(two)]
      for (const layout of layouts) if (typeof layout === 'string') throw new Error(layout)
      const [a, b] = layouts as Exclude<(typeof layouts)[number], string>[]
      expect(a!.signature).toBe(b!.signature)
      expect(a!.objects.length).toBe(b!.objects.length)
      const other = layoutOf([one, 1])
      expect(typeof other === 'string' ? '' : other.signature).not.toBe(a!.signature)
    })
  })

  test.prop([tree, tree])('differ where plain values differ', (a, b) => {
    const [first, second] = [layoutOf(a), layoutOf(b)]
    if (typeof first === 'string' || typeof second === 'string') throw new Error('no layout')
    expect(first.signature === second.signature).toBe(equalData(a, b))
  })

  test('take functions and instances by identity, and leave out what cannot be told apart', () => {
    const signature = (x: unknown): unknown => {
      const layout = layoutOf(x)
      return typeof layout === 'string' ? layout : layout.signature
    }
    const [f, g] = [() => 1, () => 1]
    expect(signature([f])).toBe(signature([f]))
    expect(signature([f])).not.toBe(signature([g]))
    expect(signature(new Date(0))).not.toBe(signature(new Date(0)))
    expect(signature(new Uint8Array([1, 2]))).not.toBe(signature(new Int8Array([1, 2])))
    expect(signature(Object.assign([1], { k: 1 }))).toContain('fields of its own')
    expect(signature({ of: Symbol('a') })).toContain('a symbol')
    expect(signature({ [Symbol('a')]: 1 })).toContain('named by a symbol')
    expect(signature(new Float32Array(5000))).toContain('5000 numbers')
  })

  test.prop([tree])('replacing nothing gives the same object', (plain) => {
    expect(replaceIn(plain, () => undefined)).toBe(plain)
  })
})

/** Equal as data: kinds of containers, order of keys, -0 and NaN told apart. */
const equalData = (a: unknown, b: unknown): boolean => {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return Object.is(a, b)
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false
  const [x, y] = [a, b].map((value) =>
    value instanceof Set ? [...(value as Set<unknown>)].entries() : Object.entries(value),
  )
  const [left, right] = [[...x!], [...y!]]
  return (
    left.length === right.length &&
    left.every(([key, value], i) => key === right[i]![0] && equalData(value, right[i]![1]))
  )
}

describe.runIf(hasNative)('compile(f) = f on the native engine', () => {
  test.prop([program])('on generated functions and their gradients, called twice', (p) => {
    const f = (variables: readonly Tensor[]) => gradients(() => runOps(p, variables), variables)
    const compiled = compile(f)
    const before = memory().tensors
    const inputs = p.variables.map((values) => tensor(values))
    const numbers = (run: typeof f): readonly (readonly number[])[] =>
      scope(() => {
        const { value, grads } = run(inputs)
        return [value, ...grads].map((t) => (t === null ? [] : [...read(t)]))
      })
    const expected = numbers(f)
    for (const found of [numbers(compiled), numbers(compiled)])
      found.forEach((values, i) => expect(distance(values, expected[i]!)).toBeLessThanOrEqual(1e-4))
    expect(compiled.report()).toEqual({ graphs: 1, direct: [] })
    compiled.free()
    expect(compiled.report().graphs).toBe(0)
    release(inputs, { keep: [] })
    expect(memory().tensors).toBe(before)
  })

  test.prop([tree, fc.array(fc.integer({ min: -3, max: 3 }), { minLength: 1, maxLength: 4 })])(
    'on generated trees: tensors are computed, the rest is the same object',
    (plain, scales) => {
      scope(() => {
        const compiled = compile(scaled)
        const untouched = { deep: [tensor([1])] }
        for (const scale of scales) {
          const given = alive(plain)
          const found = compiled(given, scale, untouched)
          const expected = scaled(given, scale, untouched)
          expect(found.untouched).toBe(untouched)
          expect(shown(found)).toEqual(shown(expected))
          expect(layoutOf(found)).toMatchObject({ signature: (layoutOf(expected) as { signature: string }).signature })
        }
        expect(compiled.report().direct).toEqual([])
        compiled.free()
      })
    },
  )
})

const scaled = <T>(tree: unknown, scale: number, untouched: T) => ({
  tree: replaceIn(tree, (x) => ('dtype' in x ? { by: mul(x as Tensor, scale) } : undefined)),
  untouched,
  scale,
  one: scalar(scale),
})

/** A tree with the elements of its tensors, so that two can be compared. */
const shown = (tree: unknown): unknown =>
  replaceIn(tree, (x) => ('dtype' in x ? { by: [...read(x as Tensor)] } : undefined))

describe.runIf(hasNative)('compiled functions', () => {
  test('run op by op where they read a value back, and say so', () => {
    scope(() => {
      const compiled = compile((x: Tensor) => mul(x, item(sum(x))))
      expect([...read(compiled(tensor([1, 2])))]).toEqual([3, 6])
      expect(compiled.report()).toEqual({ graphs: 0, direct: ['it reads a value back: read'] })
    })
  })

  test('throw what the function throws', () => {
    scope(() => {
      const f = (table: Tensor, ids: Tensor): Tensor => gather(table, ids)
      const compiled = compile(f)
      const [table, good, bad] = [tensor([[1], [2]]), tensor([1], [1], 'int32'), tensor([2], [1], 'int32')]
      expect([...read(compiled(table, good))]).toEqual([2])
      const message = (run: () => unknown): string => {
        try {
          return String(run())
        } catch (error) {
          return String(error)
        }
      }
      expect(message(() => compiled(table, bad))).toBe(message(() => f(table, bad)))
      expect(message(() => compiled(table, bad))).toContain('OutOfRange')
      expect([...read(compiled(table, good))]).toEqual([2])
      compiled.free()
    })
  })

  test('keep few graphs, and none for a signature that comes once too many', () => {
    scope(() => {
      const compiled = compile((x: Tensor, by: number) => mul(x, by), { keep: 2 })
      const call = (by: number): number => item(compiled(scalar(3), by))
      expect([1, 2, 3, 4].map(call)).toEqual([3, 6, 9, 12])
      expect(compiled.report().graphs).toBe(2)
      expect(compiled.report().direct.length).toBe(1)
      expect([4, 4, 1, 2, 1].map(call)).toEqual([12, 12, 3, 6, 3])
      expect(compiled.report().graphs).toBe(2)
      compiled.free()
    })
  })

  test('give those that are used most their place, and make none again and again', () => {
    scope(() => {
      let runs = 0
      const compiled = compile(
        (x: Tensor, by: number) => {
          runs += 1
          return mul(x, by)
        },
        { keep: 4, pure: true },
      )
      const x = scalar(1)
      const call = (by: number): number => item(compiled(x, by))
      for (let round = 0; round < 40; round++) for (let by = 1; by <= 8; by++) expect(call(by)).toBe(by)
      // Half of them run as graphs that were made once; the others ran op by op each time.
      expect(runs).toBeLessThanOrEqual(4 + 40 * 4)
      expect(compiled.report().graphs).toBe(4)
      for (let round = 0; round < 80; round++) call(9)
      const before = runs
      call(9)
      expect(runs).toBe(before)
      expect(compiled.report().graphs).toBe(4)
      compiled.free()
      const none = compile((y: Tensor) => mul(y, 2), { keep: 0 })
      expect([none(x), none(x)].map(item)).toEqual([2, 2])
      expect(none.report().graphs).toBe(0)
    })
  })

  test('refuse what cannot be made anew: promises, and tensors in instances', async () => {
    class Held {
      readonly loss: Tensor
      constructor(loss: Tensor) {
        this.loss = loss
      }
    }
    const held = scope(() => {
      const compiled = compile((x: Tensor) => new Held(sum(x)))
      const [a, b] = [compiled(tensor([1, 2])), compiled(tensor([3, 4]))]
      expect([item(a.loss), item(b.loss)]).toEqual([3, 7])
      return compiled.report()
    })
    expect(held).toEqual({ graphs: 0, direct: ['its result holds tensors in an instance of a class'] })
    const later = compile(async (x: Tensor) => {
      const y = mul(x, x)
      await Promise.resolve()
      return add(y, 1)
    })
    const x = scalar(3)
    expect(item(await later(x))).toBe(10)
    expect(later.report().direct).toEqual(['it returns a promise'])
    const asking = compile((y: Tensor) => ({ y: add(y, 1), now: () => item(y) }))
    expect(asking(x).now()).toBe(3)
    expect(asking.report().direct).toEqual(['its result holds a function that it made'])
    const told = compile((y: Tensor) => y.shape.length)
    expect(told(x)).toBe(0)
    expect(told.report().direct).toEqual(['its result holds no tensor that it computed'])
    const round: { x: Tensor; self?: unknown } = { x }
    round.self = round
    const circle = compile((y: typeof round) => add(y.x, 1))
    expect(item(circle(round))).toBe(4)
    expect(circle.report().direct).toEqual([expect.stringContaining('circles')])
    expect(Object.isFrozen(compile((y: Tensor) => Object.freeze({ y: add(y, 1) }))(x))).toBe(true)
    expect(() => compile(add, { keep: -1 })).toThrow(/InvalidSetting at compile.keep/)
  })

  test('notice a function that is not pure', () => {
    scope(() => {
      const outside = { by: 1, teacher: scalar(10) }
      const [scaled, taught, counted] = [
        compile((x: Tensor) => mul(x, outside.by)),
        compile((x: Tensor) => add(x, outside.teacher)),
        compile((x: Tensor) => ({ y: add(x, 1), call: (outside.by += 1) })),
      ]
      const x = scalar(1)
      expect(item(scaled(x))).toBe(1)
      outside.by = 2
      expect(item(scaled(x))).toBe(2)
      expect(scaled.report()).toEqual({ graphs: 0, direct: [expect.stringContaining('changes from call to call')] })
      expect([1, 2, 3].map(() => item(taught(x)))).toEqual([11, 11, 11])
      outside.teacher = scalar(20)
      expect(item(taught(x))).toBe(21)
      const calls = [1, 2, 3, 4].map(() => counted(x).call)
      expect(new Set(calls.slice(1)).size).toBe(3)
      expect(counted.report().graphs).toBe(0)
      const trusted = compile((y: Tensor) => mul(y, outside.by), { pure: true })
      const before = item(trusted(x))
      outside.by += 1
      expect(item(trusted(x))).toBe(before)
      for (const { free } of [scaled, taught, counted, trusted]) free()
    })
  })

  test('give each gradient a handle of its own', () => {
    scope(() => {
      const [a, b] = [tensor([1, 2]), tensor([3, 4])]
      const compiled = compile((x: Tensor, y: Tensor) => gradients(() => sum(add(x, y)), [x, y]).grads)
      const [first, second] = compiled(a, b)
      release(first, { keep: [] })
      expect([...read(second!)]).toEqual([1, 1])
      compiled.free()
    })
  })

  test('differentiate an op that is composed of nothing', () => {
    scope(() => {
      const same: Op = {
        name: 'same',
        infer: ([x]) => x!,
        reference: ([x]) => x!.data,
        composed: (_, x) => x,
        vjp: ({ dy }) => [dy],
      }
      const slope = (x: Tensor) => gradients(() => sum(mul(apply(same, [x], {}), 3)), [x]).grads[0]!
      const compiled = compile(slope)
      expect([...read(compiled(tensor([1, 2])))]).toEqual([3, 3])
      expect(compiled.report()).toEqual({ graphs: 1, direct: [] })
      const wrong: Op = { ...same, composed: (_, x) => sum(x) }
      const refused = compile((x: Tensor) => apply(wrong, [x], {}))
      expect(() => refused(tensor([1, 2]))).toThrow(/KernelMismatch at same/)
      expect(refused.report().direct).toEqual([expect.stringContaining('KernelMismatch')])
      compiled.free()
    })
  })

  test('use tensors from outside as long as they live, and are differentiated like others', () => {
    scope(() => {
      const outside = { w: tensor([10, 20]) }
      const compiled = compile((x: Tensor) => sum(mul(tanh(x), outside.w)))
      const x = tensor([1, 2])
      const expected = 10 * Math.tanh(1) + 20 * Math.tanh(2)
      expect(item(compiled(x))).toBeCloseTo(expected, 5)
      release(outside.w, { keep: [] })
      outside.w = tensor([1, 1])
      expect(item(compiled(x))).toBeCloseTo(Math.tanh(1) + Math.tanh(2), 5)
      expect(compiled.report().direct).toEqual([])
      const { grads } = gradients(() => compiled(x), [x])
      expect(compiled.report().direct).toEqual([expect.stringContaining('differentiated')])
      expect(item(sum(grads[0]!))).toBeCloseTo(2 - Math.tanh(1) ** 2 - Math.tanh(2) ** 2, 5)
      compiled.free()
    })
  })

  test('give two owners what a function gives twice', () => {
    scope(() => {
      const compiled = compile((x: Tensor) => {
        const y = add(x, 1)
        return { x, twice: [y, y], same: add(x, 1) }
      })
      const x = tensor([1])
      const found = compiled(x)
      expect(found.x).toBe(x)
      expect(found.twice[0]).toBe(found.twice[1])
      release(found.same, { keep: [] })
      expect([...read(found.twice[0]!)]).toEqual([2])
      compiled.free()
    })
  })
})
