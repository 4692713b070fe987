import { test } from '@fast-check/vitest'
import { expect } from 'vitest'
import type { Tensor } from '../../src/ops/index.ts'
import {
  gradients,
  item,
  memory,
  mul,
  read,
  record,
  release,
  replay,
  scope,
  sum,
  tensor,
  vjp,
} from '../../src/ops/index.ts'
import { differences, program, reached, runDoubles, runOps } from './programs.ts'

const flat = (grads: readonly (Tensor | null)[]): readonly number[] =>
  grads.flatMap((g) => (g === null ? [0, 0, 0] : [...read(g)]))

const expectClose = (found: readonly number[], expected: readonly number[], tolerance: number): void => {
  expect(found.length).toBe(expected.length)
  const scale = Math.max(1, ...expected.map(Math.abs))
  expect(Math.max(0, ...found.map((x, i) => Math.abs(x - expected[i]!))) / scale).toBeLessThan(tolerance)
}

/** Runs a property and frees what it made, so that one run's leak is not hidden by another's. */
const balanced = (f: () => void): void => {
  const before = memory().tensors
  scope(f)
  expect(memory().tensors).toBe(before)
}

test.prop([program])('value and gradients are those of finite differences in doubles', (p) => {
  balanced(() => {
    const xs = p.variables.map((v) => tensor(v))
    const { value, grads } = gradients(() => runOps(p, xs), xs)
    expectClose([item(value)], [runDoubles(p, p.variables)], 1e-5)
    expectClose(flat(grads), differences((v) => runDoubles(p, v), p.variables, 1e-5).flat(), 1e-4)
  })
})

test.prop([program])('a gradient is null exactly where the value does not depend on the variable', (p) => {
  balanced(() => {
    const xs = p.variables.map((v) => tensor(v))
    const { grads } = gradients(() => runOps(p, xs), xs)
    expect(grads.map((g) => g !== null)).toEqual(reached(p))
  })
})

test.prop([program])('afterwards there is the value, one handle a gradient, and nothing else', (p) => {
  balanced(() => {
    const xs = p.variables.map((v) => tensor(v))
    const before = memory().tensors
    const result = gradients(() => runOps(p, xs), xs)
    const handles = [result.value, ...result.grads].filter((t) => t !== null)
    expect(memory().tensors - before).toBe(handles.length)
    expect(new Set([...handles, ...xs]).size).toBe(handles.length + xs.length)
    release(result, { keep: [] })
    expect(memory().tensors).toBe(before)
    expect(xs.every((x) => !x.isDisposed)).toBe(true)
  })
})

const direction = [0.5, -0.25, 1]

test.prop([program])('the gradient of a gradient is that of finite differences in doubles', (p) => {
  balanced(() => {
    const xs = p.variables.map((v) => tensor(v))
    const slope = (): Tensor => {
      const { grads } = gradients(() => runOps(p, xs), xs)
      return sum(mul(grads[0] ?? tensor([0, 0, 0]), tensor(direction)))
    }
    const alongDirection = (v: readonly (readonly number[])[]): number => {
      const g = differences((w) => runDoubles(p, w), v, 1e-3)[0]!
      return g.reduce((total, e, i) => total + e * direction[i]!, 0)
    }
    const { grads } = gradients(slope, xs)
    expectClose(flat(grads), differences(alongDirection, p.variables, 1e-3).flat(), 2e-3)
  })
})

test.prop([program])('the gradient for dy is linear in dy: twice dy gives twice the gradient', (p) => {
  balanced(() => {
    const xs = p.variables.map((v) => tensor(v))
    const f = (): Tensor => mul(runOps(p, xs), xs[0]!)
    const once = flat(vjp(f, xs, tensor(direction)).grads)
    const twice = flat(vjp(f, xs, tensor(direction.map((d) => 2 * d))).grads)
    expect(twice).toEqual(once.map((g) => 2 * g))
  })
})

test.prop([program])('a recorded gradient replays to the same bits, and recording takes no memory', (p) => {
  balanced(() => {
    const xs = p.variables.map((v) => tensor(v))
    const both = (...variables: readonly Tensor[]): readonly Tensor[] => {
      const { value, grads } = gradients(() => runOps(p, variables), variables)
      return [value, ...grads.filter((g) => g !== null)]
    }
    const before = memory()
    const graph = record(both, ...xs)
    expect(memory()).toEqual(before)
    const run = both(...xs).map((t) => [...read(t)])
    expect(replay(graph, xs).map((t) => [...read(t)])).toEqual(run)
  })
})
