import { describe, expect, test } from 'vitest'
import { attempt, key } from '../../src/index.ts'
import { engine, matmul, normal, read, scope, solve, tensor, toArray } from '../../src/ops/index.ts'

describe('solve', () => {
  test('exchanges rows where a pivot is zero or small', () => {
    expect(
      toArray(
        solve(
          tensor([
            [0, 1],
            [1, 0],
          ]),
          tensor([
            [2, 3],
            [4, 5],
          ]),
        ),
      ),
    ).toEqual([
      [4, 5],
      [2, 3],
    ])
    // Without an exchange 1e-20 would be divided by, and the answer lost.
    const tiny = tensor([
      [1e-20, 1],
      [1, 1],
    ])
    expect(toArray(solve(tiny, tensor([[1], [2]])))).toEqual([[1], [1]])
  })

  test('says which matrix has no inverse', () => {
    const batch = tensor([
      [
        [1, 0],
        [0, 1],
      ],
      [
        [1, 2],
        [2, 4],
      ],
    ])
    const result = attempt(() => solve(batch, batch))
    expect(result).toMatchObject({
      left: [{ _tag: 'Singular', path: 'solve', found: expect.stringMatching(/^number 1 of 2 whose column 1/) }],
    })
    expect(attempt(() => solve(tensor([[0]]), tensor([[1]])))._tag).toBe('Left')
  })

  test('refuses shapes that do not fit, and integers', () => {
    const wrong: readonly (readonly [number[], number[]])[] = [
      [
        [2, 3],
        [2, 1],
      ],
      [
        [2, 2],
        [3, 1],
      ],
      [[2, 2], [2]],
      [
        [2, 2, 2],
        [2, 1],
      ],
      [
        [2, 2, 2],
        [3, 2, 1],
      ],
    ]
    for (const [a, b] of wrong) {
      const tried = attempt(() => solve(normal(key(0), a, 0, 1), normal(key(1), b, 0, 1)))
      expect(tried, `${a.join()} and ${b.join()}`).toMatchObject({ left: [{ _tag: 'ShapeMismatch' }] })
    }
    expect(attempt(() => solve(tensor([[1]], undefined, 'int32'), tensor([[1]])))._tag).toBe('Left')
  })

  test.each(['js', 'wasm'] as const)('puts every number back where it came from, on %s', async (name) => {
    await engine({ prefer: name, quiet: true })
    scope(() => {
      const a = normal(key(2), [24, 32, 32], 0, 1)
      const b = normal(key(3), [24, 32, 7], 0, 1)
      const [back, want] = [read(matmul(a, solve(a, b))), read(b)]
      expect(Math.max(...back.map((x, i) => Math.abs(x - want[i]!)))).toBeLessThan(2e-3)
      return null
    })
    await engine({ prefer: 'js', quiet: true })
  })
})
