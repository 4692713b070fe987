import { join } from 'node:path'
import * as t from 'io-ts'
import { EspalierError } from '../../tree/error.ts'
import { batchOf } from './batch.ts'
import type { Batch, BatchOptions } from './batch.ts'
import { cleanUp, decoderOf, isByteToken } from './detokenize.ts'
import { fill, frameOf } from './frame.ts'
import type { Frame } from './frame.ts'
import { decode as decodeJson, inFile, io, messageOf, reject } from '../issues.ts'
import type { Io } from '../issues.ts'
import { streamOf } from './stream.ts'
import type { TextStream } from './stream.ts'
import { readConfig, readTokenizerJson } from './tokenizer-files.ts'
import type { NamedToken, SpecialTokens, TokenizerConfig } from './tokenizer-files.ts'
import { addedIn, idIn, modelOf, vocabularyOf } from './tokenizer-model.ts'
import type { Added, Vocabulary } from './tokenizer-model.ts'
import { normalizer, preTokenizer } from './tokenizer-parts.ts'

/** Texts to token ids and back. */
export interface Tokenizer {
  /** The ids of a text; with what the tokenizer puts around a sentence only when `special` is true. Throws `UnknownToken`. */
  readonly encode: (text: string, options?: { readonly special?: boolean }) => Int32Array
  /** The text of ids; special tokens are left out unless `special` is true. Throws `UnknownId`. */
  readonly decode: (ids: Iterable<number>, options?: { readonly special?: boolean }) => string
  /** The id of one token. Throws `UnknownToken` with the nearest. */
  readonly id: (token: string) => number
  /** Rows that an embedding of these ids needs: the greatest id plus one. */
  readonly size: number
  /** The tokens that have a meaning to the model, each with its id. */
  readonly special: SpecialTokens
  /** The most tokens that the model takes, where the files name a limit. */
  readonly maxLength?: number
  /** Texts as one batch for a model. Throws `EmptyBatch`, `WrongSize`, `BadLength`, `NoLength`, `NoPadToken`, `RaggedData`, `TooLong`. */
  readonly batch: (texts: readonly string[], options?: BatchOptions) => Batch
  /** The text of ids as they come, one by one: together what `decode` gives for all. */
  readonly stream: (options?: { readonly special?: boolean }) => TextStream
  /** The chat templates by name, `default` the one of most; `renderChat` takes the tokenizer itself. */
  readonly chat: Readonly<Record<string, string>>
}

/** Tokens to use for a purpose instead of those that the files name. */
export type TokenChoice = { readonly [R in keyof SpecialTokens]: string }

const TokenizerFile = t.type({ model: t.UnknownRecord }, 'a tokenizer')

/** What is used of the library, whose own declarations Node's resolution cannot follow. */
interface Library {
  readonly encode: (
    text: string,
    options: { readonly add_special_tokens: boolean },
  ) => { readonly ids: readonly (number | undefined)[]; readonly tokens: readonly string[] }
}

type MakeLibrary = new (json: unknown, config: object) => Library

const importLibrary = async (): Promise<MakeLibrary> => {
  try {
    return ((await import('@huggingface/tokenizers')) as { readonly Tokenizer: MakeLibrary }).Tokenizer
  } catch (error) {
    const hint = 'Run "npm install @huggingface/tokenizers".'
    return reject('MissingPeer', '@huggingface/tokenizers', 'an installed package', messageOf(error), hint)
  }
}

/** Runs what reads a file that may be wrong in ways that only show in use. */
const trusting = <A>(path: string, run: () => A): A => {
  try {
    return run()
  } catch (error) {
    if (error instanceof EspalierError) throw error
    return reject(
      'BadTokenizer',
      path,
      'a tokenizer that @huggingface/tokenizers can use',
      messageOf(error),
      'Does the file come from a newer release of tokenizers?',
    )
  }
}

/** A tokenizer.json once understood. */
interface Parts {
  readonly path: string
  readonly library: Library
  readonly vocabulary: Vocabulary
  readonly unknown: string | undefined
  /** Whether what has no token becomes the tokens of its bytes; the library does this for BPE alone. */
  readonly bytes: boolean
  readonly hidden: ReadonlySet<number>
  readonly frame: Frame
  readonly decode: (tokens: readonly string[]) => string
  readonly isOpen: (token: string) => boolean
  readonly cleans: boolean
}

const bytesOf = (text: string, { idOf }: Vocabulary): readonly number[] | undefined => {
  const ids = Array.from(new TextEncoder().encode(text), (byte) =>
    idOf.get(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`),
  )
  return ids.every((id) => id !== undefined) ? ids : undefined
}

const encodeWith = ({ path, library, vocabulary, unknown, bytes }: Parts, text: string): readonly number[] => {
  const { ids, tokens } = trusting(path, () => library.encode(text, { add_special_tokens: false }))
  return ids.flatMap((id, i) => {
    const token = tokens[i] ?? ''
    const isKnown = vocabulary.idOf.has(token)
    const spelled = bytes && !isKnown ? bytesOf(token, vocabulary) : undefined
    // For some kinds of vocabulary the library leaves a hole where the reference puts the id of the unknown.
    return spelled ?? [isKnown && id !== undefined ? id : idIn(vocabulary, unknown ?? token)]
  })
}

const tokensOf = ({ vocabulary, hidden }: Parts, ids: readonly number[], special: boolean): readonly string[] =>
  ids.flatMap((id, i) => {
    const token =
      vocabulary.tokenOf.get(id) ??
      reject(
        'UnknownId',
        `ids[${i}]`,
        `an id of this tokenizer, below ${vocabulary.size}`,
        String(id),
        'Do the model and the tokenizer belong together?',
      )
    return !special && hidden.has(id) ? [] : [token]
  })

const make = (parts: Parts, config: TokenizerConfig, special: SpecialTokens): Tokenizer => {
  const { vocabulary, frame, cleans } = parts
  const encode = (text: string): readonly number[] => encodeWith(parts, text)
  const raw = (ids: readonly number[], kept: boolean): string => parts.decode(tokensOf(parts, ids, kept))
  const clean = cleans ? cleanUp : (text: string) => text
  const { maxLength, paddingSide, truncationSide } = config
  const limit = maxLength === undefined ? {} : { maxLength }
  return {
    size: vocabulary.size,
    special,
    ...limit,
    chat: config.chat,
    encode: (text, options = {}) =>
      Int32Array.from(fill(options.special === true ? frame.single : frame.bare.single, [encode(text)]).ids),
    decode: (ids, options = {}) => clean(raw(Array.from(ids, Number), options.special === true)),
    id: (token) => idIn(vocabulary, token),
    batch: (texts, options) =>
      batchOf({ encode, frame, special, ...limit, paddingSide, truncationSide }, texts, options),
    stream: (options = {}) =>
      streamOf(
        {
          decode: (ids) => raw(ids, options.special === true),
          clean,
          isOpen: (id) => parts.isOpen(vocabulary.tokenOf.get(id) ?? ''),
        },
        cleans,
      ),
  }
}

/** The special tokens are added tokens too, whether or not tokenizer.json lists them as such. */
const withNamed = (added: readonly Added[], named: readonly NamedToken[], base: Vocabulary): readonly Added[] => {
  const names = new Set(named.map(({ content }) => content))
  const listed = new Set(added.map(({ content }) => content))
  const missing = named.filter(({ content }, i) => {
    const isFirst = named.findIndex((other) => other.content === content) === i
    return isFirst && !listed.has(content) && base.idOf.has(content)
  })
  return [
    ...added.map((one) => (names.has(one.content) ? { ...one, special: true } : one)),
    ...missing.map(({ content, found }) => ({ ...found, content, id: base.idOf.get(content)!, special: true })),
  ]
}

const specialOf = (named: readonly NamedToken[], vocabulary: Vocabulary): SpecialTokens =>
  Object.fromEntries(
    named.map(({ role, content, path }) => {
      const id = vocabulary.idOf.get(content)
      return id === undefined
        ? reject('UnknownToken', path, 'a token of this tokenizer', JSON.stringify(content), 'The files do not agree.')
        : [role, { token: content, id }]
    }),
  )

const isFallback = (decoder: unknown): boolean => JSON.stringify(decoder ?? null).includes('"ByteFallback"')

/**
 * Loads a tokenizer from a folder with `tokenizer.json` and what lies beside it on the Hugging Face Hub: `tokenizer_config.json`,
 * `special_tokens_map.json`, chat templates.
 *
 * Ids and texts are those of the reference in Rust; where a file asks for what cannot be given faithfully it is refused.
 * `choice` names special tokens instead of those of the files, `{ pad: '</s>' }` for a model that has none for padding.
 * Needs the package @huggingface/tokenizers. Errors: `MissingPeer`, `FileSystem`, `TooLarge`, `BadJson`, `BadTokenizer`,
 * `UnsupportedTokenizer`, `UnknownToken`.
 *
 * @example
 * ```ts
 * import { loadTokenizer, orThrow } from 'espalier/io'
 * import { writeFileSync } from 'node:fs'
 *
 * const model = { type: 'WordLevel', vocab: { '<unk>': 0, good: 1, bad: 2 }, unk_token: '<unk>' }
 * const parts = { normalizer: null, pre_tokenizer: { type: 'Whitespace' }, post_processor: null, decoder: null }
 * writeFileSync('tokenizer.json', JSON.stringify({ ...parts, model, added_tokens: [] }))
 * const tokenizer = await orThrow(loadTokenizer('.', { pad: '<unk>' }))
 * tokenizer.encode('good bad ugly') // => new Int32Array([1, 2, 0])
 * tokenizer.id('bad') // => 2
 * tokenizer.special.pad // => { token: '<unk>', id: 0 }
 * ```
 */
export const loadTokenizer = (folder: string, choice: TokenChoice = {}): Io<Tokenizer> =>
  io(folder, async () => {
    const path = join(folder, 'tokenizer.json')
    const json = await readTokenizerJson(path)
    const file: Readonly<Record<string, unknown>> & t.TypeOf<typeof TokenizerFile> = decodeJson(
      TokenizerFile,
      json,
      path,
    )
    const config = await readConfig(folder)
    const { model, tokens, unknown } = modelOf(file.model, path)
    const chosen = Object.entries(choice).map(([role, content]): NamedToken => ({
      role: role as NamedToken['role'],
      content,
      found: {},
      path: `choice.${role}`,
    }))
    const named = [...config.named.filter(({ role }) => choice[role] === undefined), ...chosen]
    const listed = addedIn(file['added_tokens'], path)
    const ids = new Set(listed.map(({ id }) => id))
    const more = addedIn(config.added, join(folder, 'tokenizer_config.json')).filter(({ id }) => !ids.has(id))
    const base = vocabularyOf(tokens, [...listed, ...more])
    const added = withNamed([...listed, ...more], named, base)
    const vocabulary = vocabularyOf(tokens, added)
    const Library = await importLibrary()
    const understood = {
      model,
      added_tokens: added,
      normalizer: normalizer(file['normalizer'], inFile(path, 'normalizer')),
      pre_tokenizer: preTokenizer(file['pre_tokenizer'], inFile(path, 'pre_tokenizer')),
      post_processor: null,
      decoder: null,
    }
    const decode = decoderOf(file['decoder'], inFile(path, 'decoder'))
    const parts: Parts = {
      path,
      library: trusting(path, () => new Library(understood, {})),
      vocabulary,
      unknown,
      bytes: model['type'] === 'Unigram' && model['byte_fallback'] === true,
      hidden: new Set(added.filter((one) => one.special).map(({ id }) => id)),
      frame: frameOf(file['post_processor'], inFile(path, 'post_processor')),
      decode: (pieces) => decode(pieces).join(''),
      isOpen: isFallback(file['decoder']) ? isByteToken : () => false,
      // Transformers leaves this to other kinds than BPE, whose texts it would damage.
      cleans: config.cleans && model['type'] !== 'BPE',
    }
    return make(parts, config, specialOf(named, vocabulary))
  })
