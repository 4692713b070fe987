import { describe, expect, test } from 'vitest'
import { applyRecipe, count, get, merge, pipe, prompt, sllm, tokens } from '../../src/index.ts'
import { read } from '../../src/ops/index.ts'
import { brief, data, idsOf, loud, refused, tinySllm } from '../support.ts'

const base = tinySllm()

describe('tokens', () => {
  const rows = (model: unknown): readonly number[] => data(sllm.apply(model as never, idsOf([[3, 9, 3, 0]])))

  test('other tokens keep their rows, bit for bit, and merging gives exactly the rows', () => {
    const tuned = loud(tokens({ ids: [9, 3] })(base), (label) => label.endsWith('.rows'))
    const table = [...read(get(merge(tuned), 'embedding_block.token_embdgs.weight').value)]
    const before = [...read(base.embedding_block.token_embdgs.weight.value)]
    const trained = [...read(tuned.embedding_block.token_embdgs.weight.rows.value)]
    const row = (all: readonly number[], i: number) => all.slice(6 * i, 6 * i + 6)
    expect(row(table, 9)).toEqual(row(trained, 0))
    expect(row(table, 3)).toEqual(row(trained, 1))
    for (const i of [0, 1, 2, 4, 5, 6, 7, 8, 10]) expect(row(table, i)).toEqual(row(before, i))
    expect(rows(merge(tuned))).toEqual(rows(tuned))
  })

  test('goes with a soft prompt, in either order', () => {
    const one = pipe(base, prompt({ length: 2 }), tokens({ ids: [3] }))
    const other = pipe(base, tokens({ ids: [3] }), prompt({ length: 2 }))
    expect(rows(one)).toEqual(rows(other))
    expect(one.embedding_block.token_embdgs.base.weight._tag).toBe('TokenRows')
    expect(other.embedding_block.token_embdgs.base.weight._tag).toBe('TokenRows')
  })

  test.each([
    ['an id beyond the vocabulary', [11], 'BadOption tokens.ids'],
    ['a negative id', [-1], 'BadOption tokens.ids'],
    ['half an id', [0.5], 'BadOption tokens.ids'],
    ['an id twice', [2, 3, 2], 'BadOption tokens.ids'],
    ['no id', [], 'BadOption tokens.ids'],
    ['no list', 3, 'BadOption tokens.ids'],
  ])('refuses %s', (_, ids, expected) => {
    expect(brief(refused(base, tokens({ ids: ids as never }) as never))).toEqual([expected])
  })

  test('refuses a second time, a place without tokens, and a tied table', () => {
    expect(brief(refused(tokens({ ids: [1] })(base), tokens({ ids: [2] }) as never))).toEqual([
      'AlreadyAdapted embedding_block.token_embdgs',
    ])
    expect(brief(refused(base, tokens.unchecked({ at: '**.position_embdgs', ids: [1] })))).toEqual([
      'NotATarget embedding_block.position_embdgs',
    ])
    const { weight } = base.embedding_block.token_embdgs
    expect(brief(refused({ ...base, again: weight }, tokens({ ids: [1] }) as never))).toEqual([
      'TiedWeight embedding_block.token_embdgs.weight',
    ])
  })

  test('of a recipe, with and without a place', () => {
    const of = (options: object) => count(applyRecipe([{ freeze: {} }, { tokens: options }] as never)(base)).trainable
    expect([of({ ids: [1, 2] }), of({ ids: [1], at: '**.token_embdgs' })]).toEqual([12, 6])
  })
})
