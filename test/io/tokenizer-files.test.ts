import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as fc from 'fast-check'
import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, test } from 'vitest'
import { loadTokenizer, orThrow } from '../../src/io/index.ts'
import type { BatchOptions } from '../../src/io/index.ts'
import { toArray } from '../../src/ops/index.ts'
import { EspalierError } from '../../src/tree/index.ts'
import { inFolder } from './trees.ts'

const fixtures = fileURLToPath(new URL('../fixtures/text', import.meta.url))
const read = (name: string, file = 'tokenizer.json') => readFileSync(join(fixtures, name, file), 'utf8')

const tagOf = (f: () => unknown): unknown => {
  try {
    return f()
  } catch (error) {
    return error instanceof EspalierError ? `${error.issues[0]?._tag} ${error.issues[0]?.path}` : error
  }
}

const words = { type: 'WordLevel', vocab: { a: 0, b: 1, '[PAD]': 2, '</s>': 3 } }
const split = { type: 'WhitespaceSplit' }

/** What comes of loading a folder with these files: the tags and places of what is wrong, or the tokenizer. */
const loaded = (json: object, config?: object, others: Readonly<Record<string, string>> = {}) =>
  inFolder(async (folder) => {
    writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify({ pre_tokenizer: split, model: words, ...json }))
    if (config !== undefined) writeFileSync(join(folder, 'tokenizer_config.json'), JSON.stringify(config))
    for (const [name, text] of Object.entries(others)) writeFileSync(join(folder, name), text)
    const result = await loadTokenizer(folder)()
    if (E.isRight(result)) return result.right
    return result.left.map(({ _tag, path }) => `${_tag} ${path.split('#')[1] ?? ''}`).join()
  })

describe('special tokens', () => {
  test('are what the files name, each with its id', async () => {
    const { special, maxLength } = await orThrow(loadTokenizer(join(fixtures, 'bert')))
    const named = { pad: 0, unk: 1, cls: 2, sep: 3, mask: 4 }
    expect(special).toEqual(
      Object.fromEntries(Object.entries(named).map(([role, id]) => [role, { token: `[${role.toUpperCase()}]`, id }])),
    )
    expect(maxLength).toBe(32)
    const roberta = await orThrow(loadTokenizer(join(fixtures, 'roberta')))
    expect(roberta.maxLength).toBeUndefined()
    expect(roberta.special.mask).toEqual({ token: '<mask>', id: roberta.id('<mask>') })
  })

  test('come from special_tokens_map.json where the configuration says nothing, and from the caller before both', () =>
    inFolder(async (folder) => {
      writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify({ pre_tokenizer: split, model: words }))
      writeFileSync(join(folder, 'tokenizer_config.json'), '{"eos_token":{"content":"</s>"},"bos_token":null}')
      writeFileSync(join(folder, 'special_tokens_map.json'), '{"pad_token":"[PAD]","eos_token":"a","bos_token":"a"}')
      const { special, decode } = await orThrow(loadTokenizer(folder))
      expect(special).toEqual({ eos: { token: '</s>', id: 3 }, pad: { token: '[PAD]', id: 2 } })
      expect(decode([0, 3, 1, 2])).toBe('a b')
      const chosen = await orThrow(loadTokenizer(folder, { pad: '</s>' }))
      expect(chosen.special.pad).toEqual({ token: '</s>', id: 3 })
      const missing = await loadTokenizer(folder, { pad: '<x>' })()
      expect(E.isLeft(missing) && missing.left[0]).toMatchObject({ _tag: 'UnknownToken', path: 'choice.pad' })
    }))

  test('are special though tokenizer.json lists them as ordinary', async () => {
    const tokenizer = await loaded(
      { added_tokens: [{ id: 3, content: '</s>', special: false }] },
      { eos_token: '</s>' },
    )
    if (typeof tokenizer === 'string') throw new Error(tokenizer)
    expect(tokenizer.decode([0, 3])).toBe('a')
    expect(tokenizer.decode([0, 3], { special: true })).toBe('a </s>')
  })

  test('are found where only the configuration lists them', async () => {
    const decoder = { 4: { content: '<|new|>', special: true }, 5: { content: ' c' } }
    const tokenizer = await loaded({}, { added_tokens_decoder: decoder })
    if (typeof tokenizer === 'string') throw new Error(tokenizer)
    expect(tokenizer.size).toBe(6)
    expect(Array.from(tokenizer.encode('a<|new|>b c'))).toEqual([0, 4, 1, 5])
    expect(tokenizer.decode([0, 4, 1])).toBe('a b')
  })
})

describe('a batch', () => {
  test.each<readonly [string, readonly string[], BatchOptions, string]>([
    ['no texts', [], {}, 'EmptyBatch texts'],
    ['fewer second texts', ['a', 'b'], { pairs: ['a'] }, 'WrongSize pairs'],
    ['no length to cut to', ['a'], { truncate: true }, 'NoLength truncate'],
    ['no room for text', ['a'], { truncate: 0 }, 'BadLength truncate'],
    ['half a token', ['a'], { to: 1.5 }, 'BadLength to'],
    ['a row that is too long', ['a a a'], { to: 2 }, 'TooLong to'],
    ['rows that differ', ['a', 'a b'], { pad: 'none' }, 'RaggedData texts'],
    ['no token for padding', ['a', 'a b'], {}, 'NoPadToken special.pad'],
  ])('with %s is an error', async (_, texts, options, expected) => {
    const tokenizer = await loaded({})
    if (typeof tokenizer === 'string') throw new Error(tokenizer)
    expect(tagOf(() => tokenizer.batch(texts, options))).toBe(expected)
  })

  test('needs no token for padding where nothing is padded', async () => {
    const tokenizer = await loaded({}, { truncation_side: 'left', model_max_length: 2 })
    if (typeof tokenizer === 'string') throw new Error(tokenizer)
    const { ids, mask } = tokenizer.batch(['a b b', 'a b'], { truncate: true, pad: 'none' })
    expect([toArray(ids), toArray(mask)]).toEqual([
      [
        [1, 1],
        [0, 1],
      ],
      [
        [1, 1],
        [1, 1],
      ],
    ])
  })

  test('keeps the tokens around the text, and says when there is no room for them', async () => {
    const tokenizer = await orThrow(loadTokenizer(join(fixtures, 'bert')))
    expect(toArray(tokenizer.batch(['hello'], { truncate: 2 }).ids)).toEqual([[2, 3]])
    expect(tagOf(() => tokenizer.batch(['hello'], { truncate: 1 }))).toBe('BadLength truncate')
  })
})

describe('what cannot be given faithfully is refused by name', () => {
  const bpe = { type: 'BPE', vocab: { a: 0 }, merges: [] }
  test.each<readonly [string, object, string]>([
    ['a normalizer', { normalizer: { type: 'ByteLevel' } }, 'UnsupportedTokenizer normalizer'],
    ['a pre-tokenizer', { pre_tokenizer: { type: 'UnicodeScripts' } }, 'UnsupportedTokenizer pre_tokenizer'],
    [
      'one of several',
      { pre_tokenizer: { type: 'Sequence', pretokenizers: [split, { type: 'X' }] } },
      'UnsupportedTokenizer pre_tokenizer.pretokenizers[1]',
    ],
    ['a decoder', { decoder: { type: 'CTC' } }, 'UnsupportedTokenizer decoder'],
    ['a post-processor', { post_processor: { type: 'X' } }, 'UnsupportedTokenizer post_processor.type'],
    ['dropout', { model: { ...bpe, dropout: 0.1 } }, 'UnsupportedTokenizer model.dropout'],
    [
      'a prefix within words',
      { model: { ...bpe, continuing_subword_prefix: '##' } },
      'UnsupportedTokenizer model.continuing_subword_prefix',
    ],
    [
      'whole words only',
      { added_tokens: [{ id: 0, content: 'a', single_word: true }] },
      'UnsupportedTokenizer added_tokens[0].single_word',
    ],
    [
      'groups in what is removed',
      { pre_tokenizer: { type: 'Split', pattern: { Regex: '(a)' }, behavior: 'Removed' } },
      'UnsupportedTokenizer pre_tokenizer',
    ],
    [
      'pieces of no length',
      { pre_tokenizer: { type: 'FixedLength', length: 0 } },
      'UnsupportedTokenizer pre_tokenizer.length',
    ],
  ])('%s', async (_, json, expected) => {
    expect(await loaded(json)).toBe(expected)
  })
})

const mapped = (charsmap: unknown) => ({ normalizer: { type: 'Precompiled', precompiled_charsmap: charsmap } })
const place = 'BadTokenizer normalizer.precompiled_charsmap'

describe('a damaged file is an error', () => {
  test.each<readonly [string, object, object | undefined, string]>([
    ['an id that is no number', { model: { ...words, vocab: { a: '0' } } }, undefined, 'BadTokenizer model.vocab.a'],
    [
      'an id beyond 32 bits',
      { added_tokens: [{ id: 4294967295, content: 'x' }] },
      undefined,
      'BadTokenizer added_tokens[0]',
    ],
    ['a vocabulary that is a list', { model: { ...words, vocab: [] } }, undefined, 'BadTokenizer model.vocab'],
    [
      'merges that are none',
      { model: { type: 'BPE', vocab: {}, merges: [1] } },
      undefined,
      'BadTokenizer model.merges',
    ],
    ['scores that are none', { model: { type: 'Unigram', vocab: [['a']] } }, undefined, 'BadTokenizer model.vocab'],
    [
      'an unknown beyond the end',
      { model: { type: 'Unigram', vocab: [['a', 0]], unk_id: 1 } },
      undefined,
      'BadTokenizer model.unk_id',
    ],
    [
      'a template without tokens',
      { post_processor: { type: 'TemplateProcessing', single: [1], pair: [] } },
      undefined,
      'BadTokenizer post_processor.single[0]',
    ],
    [
      'a pattern that is broken',
      { normalizer: { type: 'Replace', pattern: { Regex: '(' }, content: '' } },
      undefined,
      'BadTokenizer ',
    ],
    ['a map of characters cut off', mapped(Buffer.alloc(6, 8).toString('base64')), undefined, place],
    ['a map of characters that is none', mapped(3), undefined, place],
    ['a side that there is not', {}, { padding_side: 'top' }, 'BadJson padding_side'],
    ['a length that is none', {}, { model_max_length: -1 }, 'BadJson model_max_length'],
    ['a token that is none', {}, { pad_token: 3 }, 'BadJson pad_token'],
    ['a token of another vocabulary', {}, { pad_token: '<x>' }, 'UnknownToken pad_token'],
    ['templates that are none', {}, { chat_template: [{ name: 'default' }] }, 'BadJson chat_template[0]'],
  ])('%s', async (_, json, config, expected) => {
    expect(await loaded(json, config)).toBe(expected)
  })

  test('nesting without end, and a key twice', () =>
    inFolder(async (folder) => {
      for (const text of ['{"model":'.repeat(100_000), '{"model":{},"model":{}}', '['.repeat(600) + ']'.repeat(600)]) {
        writeFileSync(join(folder, 'tokenizer.json'), text)
        const result = await loadTokenizer(folder)()
        expect(E.isLeft(result) && result.left.map((issue) => issue._tag)).toEqual(['BadJson'])
      }
    }))

  test('wherever it is cut or changed, nothing but issues comes of it', () =>
    inFolder(async (folder) => {
      const names = ['bert', 'llama2', 't5', 'llama3']
      const places = fc.record({ name: fc.constantFrom(...names), at: fc.double({ min: 0, max: 1, noNaN: true }) })
      await fc.assert(
        fc.asyncProperty(
          places,
          fc.constantFrom('', '{}', '[]', 'null', '-1', '"x"', '1e99'),
          async ({ name, at }, value) => {
            const text = read(name)
            copyFileSync(join(fixtures, name, 'tokenizer_config.json'), join(folder, 'tokenizer_config.json'))
            // After a colon stands a value: this puts another before what was there, or cuts the file off.
            const colon = text.indexOf(':', Math.floor(at * Math.min(text.length, 2500))) + 1
            const rest = text.slice(colon).replace(/^("(?:[^"\\]|\\.)*"|[\w.-]+|\{\}|\[\])/, '')
            writeFileSync(
              join(folder, 'tokenizer.json'),
              value === '' ? text.slice(0, colon) : text.slice(0, colon) + value + rest,
            )
            const result = await loadTokenizer(folder)()
            const tags = E.isLeft(result)
              ? result.left.map(({ _tag }) => _tag)
              : [tagOf(() => Array.from(result.right.encode('Hello <s> é', { special: true })))]
            for (const tag of tags) expect(tag).not.toBeInstanceOf(Error)
            expect(tags).not.toContain('Unexpected')
          },
        ),
        { numRuns: 150 },
      )
    }))

  test('a map of characters of any bytes leaves text of some kind', async () => {
    const bytes = fc.uint8Array({ minLength: 16, maxLength: 400 }).map((all) => {
      const size = 4 * Math.floor((all.length - 4) / 8)
      new DataView(all.buffer).setUint32(0, size, true)
      return Buffer.from(all).toString('base64')
    })
    await fc.assert(
      fc.asyncProperty(bytes, fc.string({ unit: 'grapheme' }), async (map, text) => {
        const tokenizer = await loaded({ ...mapped(map), model: { ...words, unk_token: 'a' } })
        expect(typeof tokenizer !== 'string' && tokenizer.encode(text)).toBeInstanceOf(Int32Array)
      }),
      { numRuns: 50 },
    )
  })

  test('the name of a prototype is a token like another', async () => {
    const vocab = '{"__proto__":0,"constructor":1,"toString":2}'
    const tokenizer = await inFolder(async (folder) => {
      writeFileSync(
        join(folder, 'tokenizer.json'),
        `{"pre_tokenizer":{"type":"WhitespaceSplit"},"model":{"type":"WordLevel","vocab":${vocab}}}`,
      )
      return orThrow(loadTokenizer(folder))
    })
    expect(Array.from(tokenizer.encode('constructor __proto__ toString'))).toEqual([1, 0, 2])
    expect(tokenizer.decode([0, 2])).toBe('__proto__ toString')
    expect(tagOf(() => tokenizer.id('valueOf'))).toBe('UnknownToken ')
  })
})
