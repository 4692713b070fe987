import { copyFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, test } from 'vitest'
import { loadTokenizer, orThrow } from '../../src/io/index.ts'
import { EspalierError } from '../../src/tree/index.ts'
import { inFolder } from './trees.ts'

const fixture = fileURLToPath(new URL('../fixtures/tokenizer', import.meta.url))

const tag = (f: () => unknown): unknown => {
  try {
    return f()
  } catch (error) {
    return error instanceof EspalierError && `${error.issues[0]?._tag}: ${error.issues[0]?.hint}`
  }
}

describe('a tokenizer', () => {
  test('goes from text to ids and back', async () => {
    const tokenizer = await orThrow(loadTokenizer(fixture))
    const ids = tokenizer.encode('Low lower, lowest')
    expect(ids).toBeInstanceOf(Int32Array)
    expect(Array.from(ids, (id) => tokenizer.decode([id]))).toEqual(['low', 'low', 'er', ',', 'low', 'est'])
    expect(tokenizer.decode(tokenizer.encode('lowest', { special: true }))).toBe('lowest')
    expect(tokenizer.decode(tokenizer.encode('low', { special: true }), { special: true })).toBe('<s>low</s>')
    expect(tokenizer.size).toBe(18)
  })

  test('says which token or id it does not know', async () => {
    const tokenizer = await orThrow(loadTokenizer(fixture))
    expect(tokenizer.id('low')).toBe(14)
    expect(tokenizer.id('<pad>')).toBe(2)
    expect(tag(() => tokenizer.id('lwo'))).toBe('UnknownToken: Did you mean "lo", "low", "l"?')
    expect(tag(() => tokenizer.id('constructor'))).toMatch(/UnknownToken/)
    expect(tag(() => tokenizer.decode([0, 99]))).toMatch(/UnknownId/)
    expect(tag(() => tokenizer.decode([1.5]))).toMatch(/UnknownId/)
  })

  test('a word without an id is an error, where nothing stands for the unknown', () =>
    inFolder(async (folder) => {
      const model = { type: 'WordLevel', vocab: { good: 0, bad: 1 } }
      const parts = { normalizer: null, pre_tokenizer: { type: 'Whitespace' }, post_processor: null, decoder: null }
      writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify({ ...parts, model, added_tokens: [] }))
      const tokenizer = await orThrow(loadTokenizer(folder))
      expect(tokenizer.encode('good bad')).toEqual(new Int32Array([0, 1]))
      expect(tag(() => tokenizer.encode('good ugly'))).toMatch(/UnknownToken/)
    }))

  test('the configuration may be absent, and must be JSON', () =>
    inFolder(async (folder) => {
      copyFileSync(join(fixture, 'tokenizer.json'), join(folder, 'tokenizer.json'))
      expect((await orThrow(loadTokenizer(folder))).size).toBe(18)
      writeFileSync(join(folder, 'tokenizer_config.json'), '{')
      const result = await loadTokenizer(folder)()
      expect(E.isLeft(result) && result.left[0]?._tag).toBe('BadJson')
    }))

  test.each([
    ['nothing', undefined, 'FileSystem'],
    ['no JSON', 'hello', 'BadJson'],
    ['no tokenizer', '{"model":1}', 'BadJson'],
    ['a model of an unknown kind', '{"model":{"type":"Odd"}}', 'BadTokenizer'],
    ['a model without a vocabulary', '{"model":{"type":"BPE"}}', 'BadTokenizer'],
  ])('%s in the folder is an error', (_, text, expected) =>
    inFolder(async (folder) => {
      if (text !== undefined) writeFileSync(join(folder, 'tokenizer.json'), text)
      const result = await loadTokenizer(folder)()
      expect(E.isLeft(result) && result.left.map((i) => i._tag)).toEqual([expected])
    }),
  )
})
