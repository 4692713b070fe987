import { describe, expect, test } from 'vitest'
import { define, fourierft, key, layer, linear, merge, param } from '../../src/index.ts'
import { read, zeros } from '../../src/ops/index.ts'
import { brief, refused, tinySllm } from '../support.ts'

const base = tinySllm()

describe('fourierft', () => {
  const positions = (model: {
    readonly fc: { readonly weight: { readonly positions: { readonly value: never } } }
  }) => [...read(model.fc.weight.positions.value)]
  const One = define('One', { fc: linear('in', 'out') }, (n, x, ctx) => layer(n.fc, x, ctx))

  test('all positions are different, and as many as there are elements is the most', () => {
    const one = One.init({ in: 7, out: 5 }, key(0))
    const at = positions(fourierft({ at: 'fc', frequencies: 35, key: key(2) })(one) as never)
    expect(new Set(Array.from({ length: 35 }, (_, k) => at[k]! * 5 + at[35 + k]!)).size).toBe(35)
    expect(brief(refused(one, fourierft.unchecked({ at: 'fc', frequencies: 36 })))).toEqual(['BadDimension fc.weight'])
    expect(brief(refused(one, fourierft.unchecked({ at: 'fc' })))).toEqual(['BadDimension fc.weight'])
  })

  test('every position is as likely as any other', () => {
    const hits = new Map<number, number>()
    for (let seed = 0; seed < 600; seed += 1) {
      const at = positions(
        fourierft({ at: 'fc', frequencies: 3, key: key(seed) })(One.init({ in: 3, out: 4 }, key(0))) as never,
      )
      for (let k = 0; k < 3; k += 1) hits.set(at[k]! * 4 + at[3 + k]!, (hits.get(at[k]! * 4 + at[3 + k]!) ?? 0) + 1)
    }
    // 600·3/12 = 150 of each, give or take four deviations of 10.6.
    expect([...hits.values()].every((n) => Math.abs(n - 150) < 43)).toBe(true)
    expect(hits.size).toBe(12)
  })

  test('weights of one shape have theirs at the same positions, others not', () => {
    const tuned = fourierft({ at: '**', frequencies: 6 })(base)
    const { mha } = tuned.transformer_blocks[0]!
    expect([...read(mha.Wq.weight.positions.value)]).toEqual([...read(mha.Wv.weight.positions.value)])
    expect([...read(mha.Wq.weight.positions.value)]).not.toEqual([...read(tuned.out_head.weight.positions.value)])
  })

  test('is exact on a side of thousands, where angles of float32 would be noise', () => {
    const long = define('Long', { fc: linear('in', 'out', { bias: false }) }, (n, x, ctx) => layer(n.fc, x, ctx))
    const rows = 50_257
    const model = fourierft({ at: 'fc', frequencies: 2, scale: rows * 2, key: key(4) })(
      long.init({ in: rows, out: 2 }, key(0)),
    )
    const [u0, u1, v0, v1] = [...read(model.fc.weight.positions.value)]
    const [c0, c1] = [...read(model.fc.weight.spectrum.value)]
    const found = read(merge(model).fc.weight.value)
    const start = read(model.fc.weight.base.value)
    const wave = (u: number, v: number, i: number, j: number): number =>
      Math.cos(2 * Math.PI * (Number((BigInt(u) * BigInt(i)) % BigInt(rows)) / rows + (v * j) / 2))
    let worst = 0
    for (let at = 0; at < found.length; at += 101) {
      const [i, j] = [Math.floor(at / 2), at % 2]
      const want = start[at]! + c0! * wave(u0!, v0!, i, j) + c1! * wave(u1!, v1!, i, j)
      worst = Math.max(worst, Math.abs(found[at]! - want))
    }
    expect(worst).toBeLessThan(3e-6)
  })

  test('a side that no int32 angle covers is refused', () => {
    const Wide = { fc: { _tag: 'Linear', weight: param('matrix', 'w', zeros([65_536, 1])), bias: null } }
    expect(brief(refused(Wide, fourierft.unchecked({ at: '**', frequencies: 2 })))).toEqual(['BadDimension fc.weight'])
  })
})
