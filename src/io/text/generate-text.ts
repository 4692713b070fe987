import type { Model, Tokens } from '../../kind/index.ts'
import { generateTokens, isOverflow } from '../../model/generate.ts'
import type { GenerateOptions } from '../../model/generate.ts'
import { release } from '../../ops/index.ts'
import { tableOf } from './batch.ts'
import { EspalierError } from '../../tree/error.ts'
import { renderChat } from './chat.ts'
import type { ChatMessage, ChatOptions } from './chat.ts'
import { io, orThrow, reject } from '../issues.ts'
import type { Io } from '../issues.ts'
import { stopAt } from './stream.ts'
import type { StopFilter, TextStream } from './stream.ts'
import type { Tokenizer } from './tokenizer.ts'

/** A text to go on from, or a conversation that the chat template of the tokenizer makes a text of. */
export type Prompt = string | readonly ChatMessage[]

/** How texts are continued: `GenerateOptions`, and what is of text. */
export interface TextOptions extends GenerateOptions {
  /** Texts at the first of which a continuation ends; it is no part of it. */
  readonly stop?: readonly string[]
  /** Whether the tokens around a text that the tokenizer knows are put in; `true` if left out. A rendered chat has its own. */
  readonly special?: boolean
  /** What fills up shorter prompts of a batch, on the left; it is never seen. */
  readonly pad?: number
  /** For the chat template; `addGenerationPrompt` is true unless it says otherwise. */
  readonly chat?: ChatOptions
}

/** Why a text is at its end: a token that ends texts, a stop string, as many tokens as were asked for, the longest text of the model. */
export type End = 'eos' | 'stop' | 'length' | 'context'

/** How one prompt was continued. */
export interface GeneratedText {
  /** What was continued, a conversation as its template renders it. */
  readonly prompt: string
  /** What follows it, without special tokens and what comes after a stop string. */
  readonly text: string
  /** Every token that was chosen, those that end the text included. */
  readonly ids: readonly number[]
  readonly end: End
  /** The stop string that was met, where one was. */
  readonly stop?: string
}

/** A part of a continuation, as soon as it is certain. */
export interface TextPiece {
  /** Which prompt it belongs to. */
  readonly index: number
  /** What comes next of its text; perhaps none. */
  readonly text: string
  /** The whole, with the last piece of each text. */
  readonly ended?: GeneratedText
}

/** One text on its way. */
interface Writing {
  readonly prompt: string
  readonly text: string
  readonly ids: readonly number[]
  readonly stream: TextStream
  readonly stops: StopFilter
  readonly ended?: GeneratedText
}

const rowOf = (tokenizer: Tokenizer, text: string, special: boolean, index: number): readonly number[] => {
  const ids = [...tokenizer.encode(text, { special })]
  const first = tokenizer.special.bos
  if (ids.length > 0) return ids
  return first === undefined
    ? reject(
        'EmptyPrompt',
        `prompts[${index}]`,
        'at least one token',
        'none',
        'The tokenizer has no token to begin with.',
      )
    : [first.id]
}

/** Texts that are ids already, filled up on the left. */
const leftPadded = (rows: readonly (readonly number[])[], pad: number): Tokens => {
  const width = rows.reduce((most, { length }) => Math.max(most, length), 0)
  const isRagged = rows.some(({ length }) => length < width)
  const seen = rows.map((row) => row.map(() => 1))
  return { ids: tableOf(rows, width, 'left', pad), ...(isRagged ? { mask: tableOf(seen, width, 'left', 0) } : {}) }
}

/** What a token adds. A vocabulary may have more rows than the tokenizer has tokens: such a row is no text. */
const pushed = (stream: TextStream, id: number): ReturnType<TextStream['push']> => {
  try {
    return stream.push(id)
  } catch (error) {
    if (error instanceof EspalierError && error.issues[0]?._tag === 'UnknownId') return { text: '', next: stream }
    throw error
  }
}

const close = (writing: Writing, end: End, more: string, stop?: string): Writing => {
  const { prompt, ids } = writing
  const text = writing.text + more
  return { ...writing, text, ended: { prompt, text, ids, end, ...(stop === undefined ? {} : { stop }) } }
}

/** A text that got no more tokens: what was held back comes, of which a stop string may yet be found. */
const finished = (writing: Writing, end: End): Writing => {
  const last = writing.stops.push(writing.stream.finish())
  if (last.stopped !== undefined) return close(writing, 'stop', last.text, last.stopped)
  return close(writing, end, last.text + last.next.finish())
}

const written = (writing: Writing, id: number, ends: ReadonlySet<number>, isLast: boolean): Writing => {
  const { text: piece, next: stream } = pushed(writing.stream, id)
  const { text, stopped, next: stops } = writing.stops.push(piece)
  const longer = { ...writing, ids: [...writing.ids, id], stream, stops }
  if (stopped !== undefined) return close(longer, 'stop', text, stopped)
  const on = { ...longer, text: writing.text + text }
  if (ends.has(id)) return finished(on, 'eos')
  return isLast ? finished(on, 'length') : on
}

/** The steps of a generation, which ends where the model can hold no more; `true` at the end if that is why. */
function* untilFull(
  ...[model, tokens, options]: Parameters<typeof generateTokens>
): Generator<readonly (number | null)[], boolean, void> {
  let steps = 0
  try {
    for (const step of generateTokens(model, tokens, options)) {
      steps++
      yield step
    }
  } catch (error) {
    if (steps === 0 || !isOverflow(error)) throw error
    return true
  }
  return false
}

/**
 * Continues texts and conversations piece by piece: each piece of text as soon as it is certain, the whole with the last of each.
 *
 * The pieces of a prompt joined are the text that `generateText` gives. Prompts of different lengths are filled up on the left, an
 * empty one begins with the token that texts begin with. A text ends with a token of `eos`, the tokenizer's own unless told
 * otherwise, with a stop string, after `maxNewTokens`, or where the model has no room for more
 * of it, while the others go on.
 *
 * @throws EspalierError those of `generateTokens` and `renderChat`, `EmptyPrompt`, `EmptyBatch`, `EmptyStop`.
 * @example
 * ```ts
 * import { gpt2, key } from 'espalier'
 * import { loadTokenizer, orThrow, streamText } from 'espalier/io'
 * import { writeFileSync } from 'node:fs'
 *
 * const words = { type: 'WordLevel', vocab: { '<unk>': 0, good: 1, bad: 2, food: 3 }, unk_token: '<unk>' }
 * const parts = { normalizer: null, pre_tokenizer: { type: 'Whitespace' }, post_processor: null, decoder: null }
 * writeFileSync('tokenizer.json', JSON.stringify({ ...parts, model: words, added_tokens: [] }))
 * const tokenizer = await orThrow(loadTokenizer('.'))
 * const model = gpt2.init({ vocab_size: 4, n_positions: 16, n_embd: 8, n_layer: 1, n_head: 2 }, key(0))
 * let text = ''
 * let whole = ''
 * for await (const piece of streamText(model, tokenizer, 'good food', { maxNewTokens: 4 })) {
 *   text += piece.text
 *   whole = piece.ended?.text ?? ''
 * }
 * text === whole // => true
 * ```
 */
export async function* streamText(
  model: Model,
  tokenizer: Tokenizer,
  prompts: string | readonly Prompt[],
  options: TextOptions,
): AsyncGenerator<TextPiece, void, void> {
  const { stop = [], special = true, pad, chat, ...rest } = options
  const { eos = tokenizer.special.eos?.id ?? [], maxNewTokens } = rest
  const ends = new Set([eos].flat())
  const stops = stopAt(stop)
  const all = typeof prompts === 'string' ? [prompts] : prompts
  if (all.length === 0) reject('EmptyBatch', 'prompts', 'at least one prompt', 'none', 'There is nothing to continue.')
  const given = await Promise.all(
    all.map(async (prompt) =>
      typeof prompt === 'string'
        ? { text: prompt, special }
        : {
            text: await orThrow(renderChat(tokenizer, prompt, { addGenerationPrompt: true, ...chat })),
            special: false,
          },
    ),
  )
  const rows = given.map((one, i) => rowOf(tokenizer, one.text, one.special, i))
  const tokens = leftPadded(rows, pad ?? tokenizer.special.pad?.id ?? [...ends][0] ?? 0)
  let texts = given.map(({ text }): Writing => ({
    prompt: text,
    text: '',
    ids: [],
    stream: tokenizer.stream(),
    stops,
  }))
  const steps = untilFull(model, tokens, { ...rest, eos })
  try {
    for (let count = 1; ; count++) {
      const { value: step, done } = steps.next()
      const before = texts
      texts = texts.map((writing, i) => {
        if (writing.ended !== undefined) return writing
        if (typeof step === 'boolean' || step === undefined) return finished(writing, step ? 'context' : 'length')
        const id = step[i]
        // It gets no more tokens, and none of its own ended it.
        if (id === null || id === undefined) return finished(writing, 'context')
        return written(writing, id, ends, count === maxNewTokens)
      })
      for (const [index, { text, ended }] of texts.entries()) {
        if (before[index]?.ended !== undefined) continue
        const more = text.slice(before[index]?.text.length)
        if (more !== '' || ended !== undefined) yield { index, text: more, ...(ended === undefined ? {} : { ended }) }
      }
      if (done === true || texts.every(({ ended }) => ended !== undefined)) return
    }
  } finally {
    steps.return(false)
    release(tokens, { keep: [model] })
  }
}

/**
 * Continues texts and conversations: what follows each prompt, its tokens, and why it is at its end.
 *
 * Errors: those of `streamText`, which gives the same piece by piece.
 *
 * @example
 * ```ts
 * import { gpt2, key } from 'espalier'
 * import { generateText, loadTokenizer, orThrow } from 'espalier/io'
 * import { writeFileSync } from 'node:fs'
 *
 * const words = { type: 'WordLevel', vocab: { '<unk>': 0, good: 1, bad: 2, food: 3 }, unk_token: '<unk>' }
 * const parts = { normalizer: null, pre_tokenizer: { type: 'Whitespace' }, post_processor: null, decoder: null }
 * writeFileSync('tokenizer.json', JSON.stringify({ ...parts, model: words, added_tokens: [] }))
 * const tokenizer = await orThrow(loadTokenizer('.'))
 * const model = gpt2.init({ vocab_size: 4, n_positions: 16, n_embd: 8, n_layer: 1, n_head: 2 }, key(0))
 * const texts = await orThrow(generateText(model, tokenizer, ['good food', 'bad'], { maxNewTokens: 4 }))
 * texts.map(({ ids, end }) => [ids.length, end]) // => [[4, 'length'], [4, 'length']]
 * ```
 */
export const generateText = (
  model: Model,
  tokenizer: Tokenizer,
  prompts: string | readonly Prompt[],
  options: TextOptions,
): Io<readonly GeneratedText[]> =>
  io('prompts', async () => {
    const texts: GeneratedText[] = []
    for await (const { index, ended } of streamText(model, tokenizer, prompts, options))
      if (ended !== undefined) texts[index] = ended
    return texts
  })
