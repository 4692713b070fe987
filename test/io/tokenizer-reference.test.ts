import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { loadTokenizer, orThrow } from '../../src/io/index.ts'
import type { BatchOptions, Tokenizer } from '../../src/io/index.ts'
import { toArray } from '../../src/ops/index.ts'
import { inFolder } from './trees.ts'

const fixtures = fileURLToPath(new URL('../fixtures/text', import.meta.url))

interface Told {
  readonly size: number
  readonly plain: readonly (readonly number[])[]
  readonly special: readonly (readonly number[])[]
  readonly skipped: readonly string[]
  readonly kept: readonly string[]
  readonly all: string
  readonly batches: readonly {
    readonly options: Readonly<Record<string, unknown>>
    readonly inputs: readonly (readonly string[])[]
    readonly input_ids: readonly (readonly number[])[]
    readonly attention_mask: readonly (readonly number[])[]
    readonly token_type_ids: readonly (readonly number[])[]
  }[]
}

/** What Python's tokenizers and transformers say: test/fixtures/text/make.py. */
const expected = JSON.parse(readFileSync(join(fixtures, 'expected.json'), 'utf8')) as {
  readonly texts: readonly string[]
  readonly pre_tokenizers: Readonly<
    Record<string, { readonly json: unknown; readonly pieces: readonly (readonly string[])[] }>
  >
  readonly normalizers: Readonly<Record<string, { readonly json: unknown; readonly texts: readonly string[] }>>
  readonly tokenizers: Readonly<Record<string, Told>>
}
const { texts } = expected

const words = (parts: object, all: readonly string[]) => {
  const vocab = Object.fromEntries([...new Set(all)].map((word, i) => [word, i]))
  return JSON.stringify({ ...parts, added_tokens: [], model: { type: 'WordLevel', vocab } })
}

const pieceOf = (tokenizer: Tokenizer, text: string) =>
  Array.from(tokenizer.encode(text), (id) => tokenizer.decode([id]))

const optionsOf = (told: Readonly<Record<string, unknown>>): BatchOptions => ({
  ...(told['padding_side'] === undefined ? {} : { pad: told['padding_side'] as 'left' }),
  ...(told['padding'] === 'max_length' ? { to: told['max_length'] as number } : {}),
  ...(told['truncation'] === true ? { truncate: true } : {}),
  ...(told['add_special_tokens'] === false ? { special: false } : {}),
})

describe('a tokenizer agrees with the reference', () => {
  test('there is one of every make', () => {
    const folders = readdirSync(fixtures, { withFileTypes: true }).filter((entry) => entry.isDirectory())
    expect(folders.map(({ name }) => name).toSorted()).toEqual(Object.keys(expected.tokenizers))
  })

  test.each(Object.entries(expected.tokenizers))('%s', async (name, told) => {
    const tokenizer = await orThrow(loadTokenizer(join(fixtures, name)))
    expect(tokenizer.size).toBe(told.size)
    for (const [i, text] of texts.entries()) {
      expect(Array.from(tokenizer.encode(text)), text).toEqual(told.plain[i])
      expect(Array.from(tokenizer.encode(text, { special: true })), text).toEqual(told.special[i])
      expect(tokenizer.decode(told.plain[i]!), text).toBe(told.skipped[i])
      expect(tokenizer.decode(told.plain[i]!, { special: true }), text).toBe(told.kept[i])
    }
    const every = Array.from({ length: told.size }, (_, id) => told.size - 1 - id)
    expect(tokenizer.decode(every, { special: true })).toBe(told.all)
  })

  test.each(Object.entries(expected.tokenizers).filter(([, { batches }]) => batches.length > 0))(
    'batches of %s',
    async (name, { batches }) => {
      const tokenizer = await orThrow(loadTokenizer(join(fixtures, name)))
      for (const { options, inputs, ...told } of batches) {
        const [first = [], pairs] = inputs
        const batch = tokenizer.batch(first, { ...optionsOf(options), ...(pairs && { pairs }) })
        const place = `${JSON.stringify(options)} ${pairs ? 'pairs' : ''}`
        expect(toArray(batch.ids), place).toEqual(told.input_ids)
        expect(toArray(batch.mask), place).toEqual(told.attention_mask)
        expect(toArray(batch.types), place).toEqual(told.token_type_ids)
      }
    },
  )

  test.each(Object.entries(expected.pre_tokenizers))('pre-tokenizer %s', (_, { json, pieces }) =>
    inFolder(async (folder) => {
      writeFileSync(join(folder, 'tokenizer.json'), words({ pre_tokenizer: json }, pieces.flat()))
      const tokenizer = await orThrow(loadTokenizer(folder))
      for (const [i, text] of texts.entries()) expect(pieceOf(tokenizer, text), text).toEqual(pieces[i])
    }),
  )

  test.each(Object.entries(expected.normalizers))('normalizer %s', (_, { json, texts: normal }) =>
    inFolder(async (folder) => {
      writeFileSync(join(folder, 'tokenizer.json'), words({ normalizer: json }, normal))
      const tokenizer = await orThrow(loadTokenizer(folder))
      for (const [i, text] of texts.entries()) expect(pieceOf(tokenizer, text).join(''), text).toBe(normal[i])
    }),
  )
})
