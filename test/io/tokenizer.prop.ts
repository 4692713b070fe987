import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { loadTokenizer, orThrow, stopAt } from '../../src/io/index.ts'
import type { StopFilter, TextStream } from '../../src/io/index.ts'
import { toArray } from '../../src/ops/index.ts'
import { inFolder } from './trees.ts'

const fixtures = fileURLToPath(new URL('../fixtures/text', import.meta.url))
const names = readdirSync(fixtures, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)

const load = (name: string) => orThrow(loadTokenizer(join(fixtures, name)))

const streamed = (stream: TextStream, ids: readonly number[]): readonly string[] => {
  const { pieces, next } = ids.reduce<{ readonly pieces: readonly string[]; readonly next: TextStream }>(
    (so, id) => {
      const { text, next: after } = so.next.push(id)
      return { pieces: [...so.pieces, text], next: after }
    },
    { pieces: [], next: stream },
  )
  return [...pieces, next.finish()]
}

const someText = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc
    .array(fc.constantFrom('hello', ' ', 'world', '日本', '😀', "don't", ' .', " ' ", '<s>', '\n', '▁', 'é'), {
      maxLength: 60,
    })
    .map((parts) => parts.join('')),
)

describe('a stream of tokens', () => {
  test.each(names)('gives with %s what decoding all at once gives', async (name) => {
    const tokenizer = await load(name)
    const anyIds = fc.array(fc.nat(tokenizer.size - 1), { maxLength: 120 })
    const ids = fc.oneof(
      anyIds,
      someText.map((text) => Array.from(tokenizer.encode(text))),
    )
    fc.assert(
      fc.property(ids, fc.boolean(), (some, special) => {
        const pieces = streamed(tokenizer.stream({ special }), some)
        expect(pieces.join('')).toBe(tokenizer.decode(some, { special }))
      }),
      { numRuns: 150 },
    )
  })

  test('holds with a clean-up of spaces too', () =>
    inFolder(async (folder) => {
      const words = ['do', " n't", ' ', "'", ' .', ' s', "'s", "'ve", 'ten', '  ', ',', ' seventeen', '!', 'x', "n't"]
      const vocab = Object.fromEntries(words.map((word, i) => [word, i]))
      const parts = { added_tokens: [], decoder: { type: 'Fuse' }, model: { type: 'WordLevel', vocab } }
      writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(parts))
      writeFileSync(join(folder, 'tokenizer_config.json'), '{"clean_up_tokenization_spaces":true}')
      const tokenizer = await orThrow(loadTokenizer(folder))
      expect(tokenizer.decode([0, 1, 4])).toBe("don't.")
      fc.assert(
        fc.property(fc.array(fc.nat(words.length - 1), { maxLength: 100 }), (ids) => {
          expect(streamed(tokenizer.stream(), ids).join('')).toBe(tokenizer.decode(ids))
        }),
        { numRuns: 2000 },
      )
    }))

  test('shows whole characters as soon as they are whole, and leaves what it came from as it was', async () => {
    const tokenizer = await load('gpt2')
    const ids = Array.from(tokenizer.encode('a😀b'))
    expect(ids.length).toBeGreaterThan(4)
    const pieces = streamed(tokenizer.stream(), ids)
    expect(pieces.filter((piece) => piece !== '')).toEqual(['a', '😀', 'b'])
    const start = tokenizer.stream()
    expect([start.push(ids[0]!).text, start.push(ids[0]!).text]).toEqual(['a', 'a'])
  })
})

const filtered = (filter: StopFilter, pieces: readonly string[]) => {
  let state = filter
  const shown: string[] = []
  let stopped: string | undefined
  for (const piece of pieces) {
    const step = state.push(piece)
    shown.push(step.text)
    stopped = step.stopped
    state = step.next
  }
  return { shown, stopped, rest: state.finish() }
}

/** Letter by letter: the stop that is complete first ends the text where it begins. */
const cutAt = (text: string, stops: readonly string[]) => {
  for (let end = 1; end <= text.length; end += 1) {
    const done = stops.filter((stop) => text.slice(0, end).endsWith(stop))
    const length = Math.max(0, ...done.map((stop) => stop.length))
    if (length > 0) return text.slice(0, end - length)
  }
  return undefined
}

const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 4 })

describe('stop strings', () => {
  test('end a text where the first begins, however it is cut', () => {
    fc.assert(
      fc.property(fc.array(letters, { maxLength: 12 }), fc.array(letters, { maxLength: 3 }), (pieces, stops) => {
        const { shown, stopped, rest } = filtered(stopAt(stops), pieces)
        const whole = pieces.join('')
        const cut = cutAt(whole, stops)
        expect(stopped !== undefined).toBe(cut !== undefined)
        expect(shown.join('') + rest).toBe(cut ?? whole)
        expect(whole.startsWith((cut ?? '') + (stopped ?? ''))).toBe(true)
      }),
      { numRuns: 3000 },
    )
  })

  test('hold back no more than what may become one', () => {
    fc.assert(
      fc.property(fc.array(letters, { maxLength: 8 }), fc.array(letters, { maxLength: 3 }), (pieces, stops) => {
        const { stopped, rest } = filtered(stopAt(stops), pieces)
        expect(stopped !== undefined || rest === '' || stops.some((stop) => stop.startsWith(rest))).toBe(true)
      }),
    )
  })

  test('an empty one is an error', () => {
    expect(() => stopAt(['a', ''])).toThrow(/EmptyStop at stops\[1\]/)
  })
})

describe('a batch', () => {
  test('has in each row what the text alone has, cut and padded at the sides asked for', async () => {
    const tokenizer = await load('t5')
    const options = fc.record({
      pad: fc.constantFrom('left' as const, 'right' as const),
      truncate: fc.integer({ min: 1, max: 12 }),
      special: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(someText, { minLength: 1, maxLength: 4 }), options, (texts, { pad, truncate, special }) => {
        const { ids, mask } = tokenizer.batch(texts, { pad, truncate, special })
        const rows = toArray(ids) as number[][]
        const masks = toArray(mask) as number[][]
        for (const [i, text] of texts.entries()) {
          const plain = Array.from(tokenizer.encode(text)).slice(0, truncate - (special ? 1 : 0))
          const wanted = special ? [...plain, tokenizer.special.eos!.id] : plain
          expect(rows[i]!.filter((_, k) => masks[i]![k] === 1)).toEqual(wanted)
          const kept =
            pad === 'right' ? masks[i]!.slice(0, wanted.length) : masks[i]!.slice(masks[i]!.length - wanted.length)
          expect(kept.every((one) => one === 1)).toBe(true)
          expect(rows[i]!.filter((_, k) => masks[i]![k] === 0).every((id) => id === tokenizer.special.pad!.id)).toBe(
            true,
          )
        }
      }),
      { numRuns: 60 },
    )
  })
})
