import { describe, expect, test } from 'vitest'
import { count, detach, freeze, key, leaves, lora, nest, param, pipe, prefix, prompt, sllm } from '../../src/index.ts'
import type { PromptOptions } from '../../src/index.ts'
import { ones, slice, tensor, zeros } from '../../src/ops/index.ts'
import { brief, data, idsOf, issuesOf, loud, messageOf, numbers, refused, tensorsLeftBy, tinySllm } from '../support.ts'

const base = tinySllm()
const rows = (options: PromptOptions): readonly number[] =>
  data(prompt(options)(base).embedding_block.token_embdgs.prompt.value)
const table = data(base.embedding_block.token_embdgs.weight.value)
const rowOf = (id: number): readonly number[] => table.slice(id * 6, id * 6 + 6)

test('adds one table of length × d_model beside the token embedding, and nothing else', () => {
  expect(tensorsLeftBy(() => prompt({ length: 3 })(base))).toBe(1)
  expect(tensorsLeftBy(() => prompt({ length: 3, init: 'random' })(base))).toBe(1)
  expect(tensorsLeftBy(() => prompt({ init: { ids: [1, 2] } })(base))).toBe(1)
  const prompted = prompt({ length: 3 })(freeze(base))
  expect(count(prompted).trainable).toBe(18)
  expect(prompted.embedding_block.token_embdgs.prompt.label).toBe('embedding_block.token_embdgs.prompt')
  expect(prompted.transformer_blocks).toStrictEqual(freeze(base).transformer_blocks)
  expect(detach(prompted)).toStrictEqual(freeze(base))
})

describe('begins', () => {
  test('from rows of the vocabulary, by default', () => {
    const drawn = rows({ length: 4, key: key(1) })
    for (let i = 0; i < 4; i++)
      expect(Array.from({ length: 11 }, (_, id) => rowOf(id).join())).toContain(drawn.slice(i * 6, i * 6 + 6).join())
    expect(rows({ length: 4, key: key(1) })).toEqual(drawn)
    expect(rows({ length: 4, key: key(2) })).not.toEqual(drawn)
    expect(rows({ length: 4, init: 'vocabulary', key: key(1) })).toEqual(drawn)
  })

  test('from the ids of a text, repeated or trimmed to the length', () => {
    expect(rows({ init: { ids: [7, 0] } })).toEqual([...rowOf(7), ...rowOf(0)])
    expect(rows({ length: 3, init: { ids: [7, 0] } })).toEqual([...rowOf(7), ...rowOf(0), ...rowOf(7)])
    expect(rows({ length: 1, init: { ids: Int32Array.of(7, 0) } })).toEqual(rowOf(7))
  })

  test('from a text, by its tokenizer', () => {
    const tokenizer = { encode: (text: string) => Array.from(text).map((c) => c.charCodeAt(0) - 97) }
    expect(rows({ init: { text: 'bad', tokenizer } })).toEqual([...rowOf(1), ...rowOf(0), ...rowOf(3)])
  })

  test('at random, with the spread of fresh embeddings', () => {
    const wide = data(
      prompt({ length: 400, init: 'random' })(
        sllm.init({ ...sllm.config.seed, vocab_size: 3, d_model: 16, context_window: 401 }, key(0)),
      ).embedding_block.token_embdgs.prompt.value,
    )
    expect(Math.sqrt(wide.reduce((s, v) => s + v * v, 0) / wide.length)).toBeCloseTo(0.02, 3)
  })

  test('from the embedding as it is, adapted or not, under the labels it has', () => {
    const nested = prompt({ length: 2, key: key(1) })(nest('student', base))
    expect(nested.embedding_block.token_embdgs.prompt.label).toBe('student.embedding_block.token_embdgs.prompt')
  })
})

describe('what runs after it', () => {
  const prompted = loud(prompt({ length: 3 })(base), (l) => l.endsWith('prompt'))
  const ids = idsOf([
    [1, 2],
    [3, 4],
  ])

  test('logits get as many rows, in front; each sequence has the same ones', () => {
    expect(sllm.apply(prompted, ids).shape).toEqual([2, 5, 11])
    const hidden = sllm.hidden(prompted, ids, {}).hidden
    expect(data(slice(hidden, [0, 0, 0], [1, 3, 6]))).toEqual(data(slice(hidden, [1, 0, 0], [1, 3, 6])))
  })

  test('a prompt of the rows of tokens is those tokens', () => {
    const written = prompt({ init: { ids: [5, 6, 7] } })(base)
    expect(numbers(() => sllm.apply(written, ids))).toEqual(
      numbers(() =>
        sllm.apply(
          base,
          idsOf([
            [5, 6, 7, 1, 2],
            [5, 6, 7, 3, 4],
          ]),
        ),
      ),
    )
  })

  test('the mask grows by ones', () => {
    const mask = tensor([
      [1, 0],
      [1, 1],
    ])
    expect(data(sllm.hidden(prompted, { ids, mask }).mask!)).toEqual([1, 1, 1, 1, 0, 1, 1, 1, 1, 1])
    expect(sllm.hidden(prompted, ids).mask).toBeUndefined()
    expect(sllm.hidden(prompted, { ids, mask: ones([2, 2], 'int32') }).mask!.dtype).toBe('int32')
  })

  test('the context window counts it', () => {
    expect(sllm.apply(prompted, zeros([1, 6], 'int32')).shape).toEqual([1, 9, 11])
    expect(issuesOf(() => sllm.apply(prompted, zeros([1, 7], 'int32')))[0]).toMatchObject({
      _tag: 'ContextOverflow',
      found: '10, soft prompts and prefixes included',
    })
  })
})

describe('is refused, the model untouched and no tensor left over', () => {
  const step = (options: object) => prompt({ length: 2, ...options } as never) as (m: never) => unknown

  test.each([0, -1, 1.5, Number.NaN, Infinity, 2 ** 40, '3', null])('length %j', (length) => {
    expect(brief(refused(base, step({ length })))).toEqual(['BadDimension prompt.length'])
  })

  test('no length and no text', () => {
    expect(brief(refused(base, step({ length: undefined })))).toEqual(['BadDimension prompt.length'])
  })

  test('ids that the vocabulary does not have, or none', () => {
    for (const ids of [[11], [-1], [1.5], [Number.NaN], []])
      expect(brief(refused(base, step({ init: { ids } })))).toEqual(['BadOption prompt.init'])
    expect(messageOf(() => step({ init: { ids: [3, 11] } })(base as never))).toMatchInlineSnapshot(`
      "BadOption at prompt.init: expected token ids from 0 to 10, found 11.
        Use the tokenizer of this model."
    `)
  })

  test('one that leaves no room for a token of text', () => {
    expect(brief(refused(base, step({ length: 9 })))).toEqual(['ContextOverflow prompt.length'])
    expect(
      brief(refused(base, step({ init: { ids: Array.from({ length: 12 }, () => 1) }, length: undefined }))),
    ).toEqual(['ContextOverflow prompt.length'])
    expect(sllm.apply(prompt({ length: 8 })(base), zeros([1, 1], 'int32')).shape).toEqual([1, 9, 11])
    const two = { query: nest('query', base), answer: nest('answer', prefix({ length: 4 })(base)) }
    expect(brief(refused(two, step({ length: 5 })))).toEqual(['ContextOverflow prompt.length'])
    expect(prompt({ at: 'query', length: 8 })(two).query.embedding_block.token_embdgs.prompt.value.shape[0]).toBe(8)
    expect(messageOf(() => prompt({ at: 'answer', length: 5 })(two))).toMatchInlineSnapshot(`
      "ContextOverflow at prompt.length: expected room for a token of text in a context window of 9, found 5 virtual tokens after 4 that are there already.
        Make it shorter; soft prompts and prefixes share the context window with the text."
    `)
  })

  test('a second one, by whatever name the place is reached', () => {
    const prompted = prompt({ length: 2 })(base)
    for (const at of ['**', 'embedding_block', '**.token_embdgs', { kind: 'Embedding' }, { kind: 'Prompted' }])
      expect(brief(refused(prompted, step({ at })))).toEqual(['AlreadyAdapted embedding_block.token_embdgs'])
  })

  test('where no token embedding is', () => {
    expect(messageOf(() => step({ at: 'embedding_block.position_embdgs' })(base as never))).toMatchInlineSnapshot(`
      "NotATarget at embedding_block.position_embdgs: expected a token embedding, found Positions.
        Did you mean "embedding_block.token_embdgs"?"
    `)
    expect(messageOf(() => step({})({ w: param('matrix', 'w', zeros([1, 1])) } as never))).toMatchInlineSnapshot(`
      "NotATarget at the root: expected a token embedding, found a container.
        This model does not have a token embedding."
    `)
  })
})

test('of a prompt and an adapter, the prompt alone comes off', () => {
  const tuned = pipe(base, prompt({ length: 2 }), lora({ at: '**.ln_1', rank: 1 }))
  expect(leaves(tuned).filter((l) => l.label.endsWith('prompt'))).toHaveLength(1)
  expect(detach.only({ at: 'embedding_block' })(tuned).embedding_block).toStrictEqual(base.embedding_block)
})
