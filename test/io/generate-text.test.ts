import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { generate, key } from '../../src/index.ts'
import type { Model } from '../../src/index.ts'
import { generateText, loadGeneration, loadPretrained, loadTokenizer, orThrow, streamText } from '../../src/io/index.ts'
import type { GeneratedText, Prompt, TextOptions, Tokenizer } from '../../src/io/index.ts'
import { messageOf } from '../../src/cli/errors.ts'
import { memory, tensor } from '../../src/ops/index.ts'
import { fixture } from './fixtures.ts'

let model: Model
let tokenizer: Tokenizer
beforeAll(async () => {
  model = (await orThrow(loadPretrained(fixture('models/gpt2-text')))).model
  tokenizer = await orThrow(loadTokenizer(fixture('models/gpt2-text')))
})

/** The pieces of each text, joined, and the wholes. */
const streamed = async (prompts: readonly Prompt[], options: TextOptions) => {
  const joined = prompts.map(() => '')
  const ended: GeneratedText[] = []
  for await (const piece of streamText(model, tokenizer, prompts, options)) {
    expect(ended[piece.index]).toBeUndefined()
    joined[piece.index] += piece.text
    if (piece.ended !== undefined) ended[piece.index] = piece.ended
  }
  return { joined, ended }
}

const drawn = { maxNewTokens: 20, temperature: 1.5, key: key(3) }

describe('text generation', () => {
  test('goes on with the tokens that the ids alone give, whatever the padding', async () => {
    const prompts = ['Once upon a time', 'The', '']
    const texts = await orThrow(generateText(model, tokenizer, prompts, { maxNewTokens: 12 }))
    prompts.forEach((prompt, i) => {
      const given = prompt === '' ? [1] : [...tokenizer.encode(prompt, { special: true })]
      const [ids = []] = generate(model, tensor([given], undefined, 'int32'), { maxNewTokens: 12, eos: 1 })
      expect(texts[i]?.ids).toEqual(ids)
      expect(texts[i]?.text).toBe(tokenizer.decode(ids))
    })
  })

  test.each(Array.from({ length: 6 }, (_, seed) => seed))('pieces joined are the text: seed %i', async (seed) => {
    const { joined, ended } = await streamed(['Once', 'Hello there', 'x'], { ...drawn, key: key(seed) })
    expect(joined).toEqual(ended.map(({ text }) => text))
    expect(ended.map(({ ids }) => tokenizer.decode(ids))).toEqual(joined)
    expect(joined.join('').length).toBeGreaterThan(20)
  })

  test('a stop string ends a text where it begins, and no other text', async () => {
    const options = { ...drawn, eos: [] }
    const [whole, other] = (await streamed(['Once', 'x'], options)).ended
    const stop = whole?.text.slice(5, 7) ?? ''
    const { joined, ended } = await streamed(['Once', 'x'], { ...options, stop: [stop] })
    expect(joined[0]).toBe(whole?.text.slice(0, whole.text.indexOf(stop)))
    expect(ended[0]).toMatchObject({ end: 'stop', stop, text: joined[0] })
    expect(ended[0]?.ids.length).toBeLessThan(whole?.ids.length ?? 0)
    expect(other?.text.includes(stop)).toBe(false)
    expect(ended[1]).toEqual(other)
  })

  test('a token of eos ends a text', async () => {
    const [whole] = (await streamed(['Once'], { ...drawn, eos: [] })).ended
    const last = whole?.ids[4] ?? 0
    const [cut] = (await streamed(['Once'], { ...drawn, eos: [last] })).ended
    expect(cut?.end).toBe('eos')
    expect(cut?.ids).toEqual(whole?.ids.slice(0, (whole.ids.indexOf(last) ?? 0) + 1))
  })

  test('where the model has no room for more, the text is at its end', async () => {
    const [text] = (await streamed(['Once'], { maxNewTokens: 100, eos: [] })).ended
    const room = 40 - tokenizer.encode('Once').length
    expect(text).toMatchObject({ end: 'context' })
    // The last token needs no place of its own: nothing is read of it.
    expect(text?.ids).toHaveLength(room + 1)
  })

  test('the longer prompt of a batch ends with the context, the shorter goes on', async () => {
    const options = { maxNewTokens: 37, eos: [] }
    const { joined, ended } = await streamed(['Once upon a time', 'x'], options)
    const [long, short] = [await streamed(['Once upon a time'], options), await streamed(['x'], options)]
    expect(ended).toEqual([...long.ended, ...short.ended])
    expect(ended.map(({ end }) => end)).toEqual(['context', 'length'])
    expect(joined).toEqual(ended.map(({ text }) => text))
  })

  test('a chat is rendered, with the beginning of an answer', async () => {
    const messages = [{ role: 'user', content: 'Hi' }]
    const [text] = (await streamed([messages], { maxNewTokens: 2 })).ended
    expect(text?.prompt).toBe('<|user|>Hi<|endoftext|><|assistant|>')
    const [ids] = generate(model, tensor([[...tokenizer.encode(text?.prompt ?? '')]], undefined, 'int32'), {
      maxNewTokens: 2,
    })
    expect(text?.ids).toEqual(ids)
  })

  test('nothing is left in memory, even when nobody reads on', async () => {
    const before = memory().tensors
    await orThrow(generateText(model, tokenizer, ['Once', 'x'], { maxNewTokens: 3 }))
    for await (const piece of streamText(model, tokenizer, ['Once', 'x'], { maxNewTokens: 9 }))
      if (piece.index >= 0) break
    await generateText(model, tokenizer, ['Once', 'x'], { maxNewTokens: 3, stop: [''] })()
    expect(memory().tensors).toBe(before)
  })

  test.each([
    ['no prompts', [], { maxNewTokens: 2 }, /EmptyBatch/],
    ['no tokens', ['a'], { maxNewTokens: 0 }, /BadOption at maxNewTokens/],
    ['an empty stop', ['a'], { maxNewTokens: 2, stop: ['x', ''] }, /EmptyStop at stops\[1\]/],
    ['a prompt longer than the context', ['a b c d e f'.repeat(20)], { maxNewTokens: 2 }, /ContextOverflow/],
  ])('says what is wrong: %s', async (_, prompts, options, message) => {
    const result = await generateText(model, tokenizer, prompts, options)()
    expect(result._tag === 'Left' ? result.left.map((i) => `${i._tag} at ${i.path}`).join() : '').toMatch(message)
  })
})

describe('what files say of generation', () => {
  const said = async (config: object, sampling: boolean): Promise<unknown> => {
    const folder = await mkdtemp(join(tmpdir(), 'espalier-generation-'))
    await writeFile(join(folder, 'generation_config.json'), JSON.stringify(config))
    return orThrow(loadGeneration(folder, { sampling })).catch(messageOf)
  }

  test.each([
    [{ eos_token_id: 3 }, true, { eos: [3] }],
    [{ eos_token_id: [3, 4], do_sample: true, top_p: 0.5 }, false, { eos: [3, 4] }],
    [{ do_sample: true }, true, { temperature: 1, topK: 50 }],
    [{ do_sample: true, top_k: 0, temperature: 0.2 }, true, { temperature: 0.2 }],
    [{ temperature: 0.2, repetition_penalty: 1.2 }, true, { repetitionPenalty: 1.2 }],
    [{ num_beams: 4 }, false, {}],
  ])('%j', async (config, sampling, expected) => {
    expect(await said(config, sampling)).toEqual(expected)
  })

  test('a file without it leaves the configuration of the model', async () => {
    expect(await orThrow(loadGeneration(fixture('models/bert')))).toEqual({ pad: 0 })
  })

  test.each([
    [{ eos_token_id: 'x' }, false, /#eos_token_id: expected a token id or a list of them, found "x"/],
    [{ eos_token_id: -1 }, false, /#eos_token_id/],
    [{ num_beams: 4 }, true, /UnsupportedConfig at .*#num_beams/],
    [{ do_sample: true, top_p: 2 }, true, /#top_p/],
  ])('%j is refused', async (config, sampling, message) => {
    expect(await said(config, sampling)).toMatch(message)
  })
})
