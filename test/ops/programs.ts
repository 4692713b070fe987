import { fc } from '@fast-check/vitest'
import type { Tensor } from '../../src/ops/index.ts'
import { add, mul, scope, sub, sum, tanh, tensor } from '../../src/ops/index.ts'

/** One step of a small program on vectors: an operation on earlier values, by number. */
export interface Step {
  readonly name: 'add' | 'sub' | 'mul' | 'tanh' | 'scale' | 'constant'
  readonly left: number
  readonly right: number
  /** Computed inside a scope of its own, so that tapes must save what they need from it. */
  readonly scoped: boolean
}

export interface Program {
  readonly variables: readonly (readonly number[])[]
  readonly steps: readonly Step[]
}

const step: fc.Arbitrary<Step> = fc.record({
  name: fc.constantFrom('add', 'sub', 'mul', 'tanh', 'scale', 'constant'),
  left: fc.nat(30),
  right: fc.nat(30),
  scoped: fc.boolean(),
})

const number = fc.integer({ min: -16, max: 16 }).map((k) => k / 16)

export const program: fc.Arbitrary<Program> = fc.record({
  variables: fc.array(fc.array(number, { minLength: 3, maxLength: 3 }), { minLength: 1, maxLength: 3 }),
  steps: fc.array(step, { minLength: 1, maxLength: 8 }),
})

/** A vector of 3 that never depends on a variable. */
const constant = (seed: number): readonly number[] => [0.5 - (seed % 3) / 4, 0.25, (seed % 5) / 8]

const pick = <T>(values: readonly T[], at: number): T => values[at % values.length]!

const compute = ({ name, left, right, scoped }: Step, values: readonly Tensor[]): Tensor => {
  const a = pick(values, left)
  const b = pick(values, right)
  const run = (): Tensor => {
    if (name === 'add') return add(a, b)
    if (name === 'sub') return sub(a, b)
    if (name === 'mul') return mul(a, b)
    if (name === 'tanh') return tanh(a)
    // The sum of b is broadcast over a: the gradient has to be summed back.
    return name === 'scale' ? mul(tanh(sum(b)), a) : tensor(constant(left))
  }
  return scoped ? scope(run) : run()
}

/** The program as our ops: the sum of the last value. */
export const runOps = ({ steps }: Program, variables: readonly Tensor[]): Tensor => {
  const values = [...variables]
  for (const s of steps) values.push(compute(s, values))
  return sum(values.at(-1)!)
}

/** The same program in doubles, without any of our code. */
export const runDoubles = ({ steps }: Program, variables: readonly (readonly number[])[]): number => {
  const values = [...variables]
  for (const { name, left, right } of steps) {
    const a = pick(values, left)
    const b = pick(values, right)
    const total = Math.tanh(b.reduce((x, y) => x + y, 0))
    const element: Record<Step['name'], (i: number) => number> = {
      add: (i) => a[i]! + b[i]!,
      sub: (i) => a[i]! - b[i]!,
      mul: (i) => a[i]! * b[i]!,
      tanh: (i) => Math.tanh(a[i]!),
      scale: (i) => total * a[i]!,
      constant: (i) => constant(left)[i]!,
    }
    values.push(a.map((_, i) => element[name](i)))
  }
  return values.at(-1)!.reduce((x, y) => x + y, 0)
}

/** Which variables the last value depends on, by the text of the program alone. */
export const reached = ({ variables, steps }: Program): readonly boolean[] => {
  const values: (readonly number[])[] = variables.map((_, i) => [i])
  for (const { name, left, right } of steps) {
    const [a, b] = [pick(values, left), pick(values, right)]
    values.push(name === 'constant' ? [] : name === 'tanh' ? a : [...a, ...b])
  }
  return variables.map((_, i) => values.at(-1)!.includes(i))
}

/** Central differences of a function of several vectors. */
export const differences = (
  f: (variables: readonly (readonly number[])[]) => number,
  at: readonly (readonly number[])[],
  h: number,
): readonly (readonly number[])[] => {
  const moved = (v: number, i: number, by: number): readonly (readonly number[])[] =>
    at.map((x, w) => x.map((e, j) => (w === v && i === j ? e + by : e)))
  return at.map((x, v) => x.map((_, i) => (f(moved(v, i, h)) - f(moved(v, i, -h))) / (2 * h)))
}
