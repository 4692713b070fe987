import { describe, expect, test } from 'vitest'
import {
  adapterOf,
  attach,
  combineAdapters,
  freeze,
  get,
  key,
  allOnes,
  lora,
  materialize,
  padRank,
  param,
  pipe,
  prompt,
  sllm,
  unfreeze,
  variant,
  vector,
  wear,
} from '../../src/index.ts'
import type { Adapter, Combination, Lora } from '../../src/index.ts'
import { context } from '../../src/nn/index.ts'
import { mul, tensor } from '../../src/ops/index.ts'
import { brief, data, distance, idsOf, issuesOf, loud, tensorsLeftBy, tiny, tinySllm } from '../support.ts'

const base = freeze(tinySllm())
const ids = idsOf([[1, 2, 3]])
const drawn = (model: unknown, own: (label: string) => boolean = (l) => l.endsWith('.b')): Adapter =>
  adapterOf<unknown>(loud(model, own))
const of = (rank: number, at = '**.ln_1'): Adapter =>
  drawn(lora.unchecked({ at, rank, alpha: 3, scaling: 'alpha/sqrt(rank)', key: key(rank) })(base))

const at = 'transformer_blocks.0.mlp.ln_1.weight'
const nodeOf = (adapter: Adapter): Lora => adapter.parts.find(({ path }) => path.join('.') === at)!.node as Lora

/** A LoRA of plain numbers on one weight of 2 × 2, of which the change is given. */
const tinyAdapter = (change: readonly (readonly number[])[]): Adapter => {
  const model = {
    w: param(
      'matrix',
      'w',
      tensor([
        [0, 0],
        [0, 0],
      ]),
    ),
  }
  const worn = lora({ at: 'w', rank: 2 })(freeze(model))
  const set = {
    ...worn.w,
    a: {
      ...worn.w.a,
      value: tensor([
        [1, 0],
        [0, 1],
      ]),
    },
    b: { ...worn.w.b, value: tensor(change) },
  }
  return adapterOf<unknown>({ w: set })
}

/** The change that a combination makes of changes to a weight of 2 × 2. */
const combined = (changes: readonly (readonly [readonly (readonly number[])[], number])[], how: Combination) => {
  const both = combineAdapters(
    changes.map(([change, weight]) => [tinyAdapter(change), weight] as const),
    how,
  )
  const worn = wear(both)(
    freeze({
      w: param(
        'matrix',
        'w',
        tensor([
          [0, 0],
          [0, 0],
        ]),
      ),
    }),
  )
  return data(materialize(worn.w, context()))
}

const close = (found: readonly number[], wanted: readonly number[]): void => {
  expect(found.length).toBe(wanted.length)
  found.forEach((x, i) => expect(x).toBeCloseTo(wanted[i]!, 5))
}

const first = [
  [8, -4],
  [2, 1],
] as const
const second = [
  [-2, -6],
  [4, 0.5],
] as const

describe('by hand, on four numbers', () => {
  test('cat and svd of enough rank are the weighted sum', () => {
    const sum = [0.5 * 8 + 2 * 2, 0.5 * -4 + 2 * 6, 0.5 * 2 - 2 * 4, 0.5 * 1 - 2 * 0.5]
    close(
      combined(
        [
          [first, 0.5],
          [second, -2],
        ],
        { how: 'cat' },
      ),
      sum,
    )
    close(
      combined(
        [
          [first, 0.5],
          [second, -2],
        ],
        { how: 'svd', rank: 2 },
      ),
      sum,
    )
  })

  test('svd of rank 1 keeps the largest singular value', () => {
    // Eigenvectors of a symmetric matrix: 3 along (1, 1), 1 along (1, −1).
    close(
      combined(
        [
          [
            [
              [2, 1],
              [1, 2],
            ],
            1,
          ],
        ],
        { how: 'svd', rank: 1 },
      ),
      [1.5, 1.5, 1.5, 1.5],
    )
  })

  test('pruning keeps the largest of each, and sums', () => {
    close(
      combined(
        [
          [first, 1],
          [second, 1],
        ],
        { how: 'magnitude_prune', rank: 2, density: 0.5 },
      ),
      [8 + 0, -4 - 6, 0 + 4, 0],
    )
  })

  test('TIES trims, votes by mass, and takes the mean of those that agree', () => {
    // Trimmed: (8, −4, 0, 0) and (0, −6, 4, 0).
    close(
      combined(
        [
          [first, 1],
          [second, 1],
        ],
        { how: 'ties', rank: 2, density: 0.5 },
      ),
      [8, -5, 4, 0],
    )
    // Untrimmed: 8 beats −2, and the others agree.
    close(
      combined(
        [
          [first, 1],
          [second, 1],
        ],
        { how: 'ties', rank: 2, density: 1 },
      ),
      [8, -5, 3, 0.75],
    )
    // A weight counts in the vote: −10 beats 8.
    close(
      combined(
        [
          [first, 1],
          [second, 5],
        ],
        { how: 'ties', rank: 2, density: 1 },
      ),
      [-10, -17, 11, 1.75],
    )
  })

  test('the sums of A and of B are not the sum: their cross terms are there', () => {
    const both = combined(
      [
        [first, 1],
        [second, 1],
      ],
      { how: 'linear_factors' },
    )
    // A = 2·I and B = first + second.
    close(both, [12, -20, 12, 3])
  })

  test('DARE drops a share, and the mean over keys is the sum', () => {
    const runs = 400
    const total = [0, 0, 0, 0]
    for (let i = 0; i < runs; i++) {
      const found = combined(
        [
          [first, 1],
          [second, -1],
        ],
        { how: 'dare_linear', rank: 2, density: 0.5, key: key(i) },
      )
      found.forEach((x, j) => (total[j]! += x / runs))
    }
    const sum = [10, 2, -2, 0.5]
    // Five standard errors of the mean: each number is 0 or twice itself.
    const spread = [8.25, 7.2, 4.5, 1.2].map((x) => (5 * x) / Math.sqrt(runs))
    total.forEach((x, i) => expect(Math.abs(x - sum[i]!)).toBeLessThan(spread[i]!))
    const once = combined([[first, 1]], { how: 'dare_linear', rank: 2, density: 0.5, key: key(3) })
    once.forEach((x, i) => expect([0, 2 * first.flat()[i]!].some((y) => Math.abs(x - y) < 1e-5)).toBe(true))
  })
})

describe('combining', () => {
  test('one adapter with weight 1 is that very one; with another weight it is scaled, of any scaling', () => {
    const a = of(3)
    expect(combineAdapters([[a, 1]], { how: 'cat' }).parts.map((p) => p.node)).toEqual(a.parts.map((p) => p.node))
    const worn = wear(combineAdapters([[a, -2]], { how: 'cat' }))(base)
    const weight = get(worn as never, at as never)
    const delta = (w: unknown, times: number) =>
      data(materialize(w as never, context())).map(
        (x, i) => (x - data(base.transformer_blocks[0]!.mlp.ln_1.weight.value)[i]!) * times,
      )
    close(delta(weight, 1), delta(get(wear(a)(base) as never, at as never), -2))
  })

  test('takes adapters on different places, a prompt beside them included', () => {
    const soft = drawn(prompt({ length: 2 })(base), (l) => l.endsWith('prompt'))
    const both = combineAdapters(
      [
        [of(2), 0.5],
        [of(3, 'out_head'), 2],
        [soft, 1],
      ],
      { how: 'cat' },
    )
    expect(both.parts.map(({ path }) => path.join('.'))).toEqual([
      at,
      at.replace('.0.', '.1.'),
      'out_head.weight',
      'embedding_block.token_embdgs',
    ])
    expect(sllm.apply(wear(both)(base), ids).shape).toEqual([1, 5, 11])
  })

  test('two at once is `cat` with weights 1, and what one after the other would be', () => {
    const [a, b] = [of(2), of(3)]
    const both = wear(
      combineAdapters(
        [
          [a, 1],
          [b, 1],
        ],
        { how: 'cat' },
      ),
    )(base)
    const node = nodeOf(a)
    const stacked = { ...nodeOf(b), base: { ...node, base: base.transformer_blocks[0]!.mlp.ln_1.weight } }
    const w = get(both as never, at as never)
    expect(distance(materialize(w, context()), materialize(stacked as never, context()))).toBeLessThan(1e-6)
  })

  test('an adapter of weight 0 is none', () => {
    expect(
      combineAdapters(
        [
          [of(2), 1],
          [of(3, 'out_head'), 0],
        ],
        { how: 'cat' },
      ).parts.length,
    ).toBe(2)
  })

  test('leaves only its own tensors behind, and what it was given alone', () => {
    const [a, b] = [of(2), of(3)]
    expect(
      tensorsLeftBy(() =>
        combineAdapters(
          [
            [a, 1],
            [b, 1],
          ],
          { how: 'ties', rank: 2, density: 0.5 },
        ),
      ),
    ).toBe(4)
    expect(a.parts.every(({ node }) => !(node as Lora).a.value.isDisposed)).toBe(true)
  })

  test('says at once all that is no sum', () => {
    const Scaled = variant('Scaled', {
      fields: { scale: vector('out', allOnes) },
      materialize: (w, ctx) => mul(materialize(w.base, ctx), w.scale.value),
    })
    const scaled = adapterOf<unknown>(attach(Scaled)({ at: '**.ln_1' })(base))
    const head = adapterOf<unknown>(pipe(base, unfreeze.only({ at: 'out_head' })))
    const issues = issuesOf(() =>
      combineAdapters.knowing({ Scaled })(
        [
          [scaled, 1],
          [of(2), 1],
          [head, 0.5],
        ],
        { how: 'cat' },
      ),
    )
    expect(brief(issues)).toEqual([
      `NotAdditive ${at}`,
      `NotAdditive ${at.replace('.0.', '.1.')}`,
      'NotAdditive out_head.weight',
      'NotAdditive out_head.bias',
    ])
    expect(issues[0]!.found).toBe('Scaled')
    expect(issues[2]!.found).toBe('a parameter trained in full')
  })

  test('refuses bad options, ranks that differ, and adapters of other bases', () => {
    const bad = (f: () => unknown) => brief(issuesOf(f))
    expect(bad(() => combineAdapters([[of(2), NaN]], { how: 'cat' }))).toEqual(['BadOption [0]'])
    expect(bad(() => combineAdapters([], { how: 'cat' }))).toEqual(['BadOption '])
    expect(bad(() => combineAdapters([[of(2), 1]], { how: 'svd', rank: 0 }))).toEqual([
      'BadDimension combineAdapters.rank',
    ])
    expect(bad(() => combineAdapters([[of(2), 1]], { how: 'ties', rank: 2, density: 0 }))).toEqual([
      'BadOption combineAdapters.density',
    ])
    expect(bad(() => combineAdapters([[of(2), 1]], { how: 'cats' } as never))).toEqual([
      'BadOption combineAdapters.how',
    ])
    expect(
      bad(() =>
        combineAdapters(
          [
            [of(2), 1],
            [of(3), 1],
          ],
          { how: 'linear_factors' },
        ),
      ),
    ).toEqual([`RankMismatch ${at}`, `RankMismatch ${at.replace('.0.', '.1.')}`])
    const other = adapterOf<unknown>(
      lora({ at: '**.ln_1', rank: 2 })(freeze(sllm.init({ ...tiny, vocab_size: 12 }, key(0)))),
    )
    expect(
      bad(() =>
        combineAdapters(
          [
            [of(2), 1],
            [other, 1],
          ],
          { how: 'cat' },
        ),
      ),
    ).toEqual(['OtherBase [1]'])
  })

  test('refuses numbers that are none', () => {
    const how = { how: 'svd', rank: 2 } as const
    expect(
      brief(
        issuesOf(() =>
          combined(
            [
              [
                [
                  [NaN, 1],
                  [1, 1],
                ],
                1,
              ],
            ],
            how,
          ),
        ),
      ),
    ).toEqual(['NonFinite w'])
    expect(
      brief(
        issuesOf(() =>
          combined(
            [
              [first, 1e39],
              [second, 1],
            ],
            { how: 'cat' },
          ),
        ),
      ),
    ).toEqual(['NonFinite w'])
  })

  test('what cancels out is one column of zeros', () => {
    expect(
      combined(
        [
          [first, 1],
          [first, -1],
        ],
        { how: 'svd', rank: 2 },
      ),
    ).toEqual([0, 0, 0, 0])
  })

  test('a padded rank keeps the outputs, and a lower one is refused at each place', () => {
    const a = of(3)
    const wide = padRank(a, 8)
    expect(nodeOf(wide).a.value.shape).toEqual([6, 8])
    expect(data(sllm.apply(wear(wide)(base), ids))).toEqual(data(sllm.apply(wear(a)(base), ids)))
    expect(brief(issuesOf(() => padRank(a, 2)))).toEqual([
      `BadDimension ${at}`,
      `BadDimension ${at.replace('.0.', '.1.')}`,
    ])
    expect(brief(issuesOf(() => padRank(a, 1.5)))).toEqual(['BadDimension padRank.rank'])
  })
})
