import { join } from 'node:path'
import * as t from 'io-ts'
import { didYouMean } from '../tree/nearest.ts'
import { isRecord } from './codec.ts'
import { readBytes, withFile } from './files.ts'
import { longestHeader } from './header.ts'
import { decode as decodeJson, io, messageOf, reject } from './issues.ts'
import type { Io } from './issues.ts'
import { decodeUtf8, parseJson } from './json.ts'

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
}

const TokenizerFile = t.type({ model: t.UnknownRecord }, 'a tokenizer')

const readJson = (path: string): Promise<unknown> =>
  withFile(path, async (file, size) => {
    if (size > longestHeader)
      reject('TooLarge', path, `at most ${longestHeader} bytes of JSON`, `${size}`, 'No tokenizer is as large as that.')
    return parseJson(decodeUtf8(await readBytes(file, 0, size, path), path), path)
  })

const isAbsent = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'ENOENT'

const readConfig = (path: string): Promise<object> =>
  readJson(path).then(
    (json) =>
      isRecord(json) ? json : reject('BadJson', path, 'an object', 'something else', "See the tokenizer's own files."),
    (error: unknown) => (isAbsent(error) ? {} : Promise.reject(error)),
  )

/** What is used of the library, whose own declarations Node's resolution cannot follow. */
interface Library {
  readonly encode: (
    text: string,
    options: { readonly add_special_tokens: boolean },
  ) => { readonly ids: readonly (number | undefined)[]; readonly tokens: readonly string[] }
  readonly decode: (ids: readonly number[], options: { readonly skip_special_tokens: boolean }) => string
  readonly get_vocab: (added: boolean) => ReadonlyMap<string, number>
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

const unknownToken = (token: string, vocabulary: ReadonlyMap<string, number>): never =>
  reject('UnknownToken', '', 'a token of this tokenizer', JSON.stringify(token), didYouMean(token, vocabulary.keys()))

const make = (library: Library, unknownName: unknown): Tokenizer => {
  const vocabulary = library.get_vocab(true)
  // For some kinds of vocabulary the library leaves a hole where the reference puts the id of the unknown.
  const unknownId = typeof unknownName === 'string' ? vocabulary.get(unknownName) : undefined
  const size = [...vocabulary.values()].reduce((most, id) => Math.max(most, id + 1), 0)
  const known = new Set(vocabulary.values())
  return {
    size,
    encode: (text, { special = false } = {}) => {
      const { ids, tokens } = library.encode(text, { add_special_tokens: special })
      return Int32Array.from(ids, (id, i) => id ?? unknownId ?? unknownToken(tokens[i] ?? '', vocabulary))
    },
    decode: (ids, { special = false } = {}) => {
      const all = Array.from(ids, Number)
      const wrong = all.findIndex((id) => !known.has(id))
      if (wrong >= 0)
        reject(
          'UnknownId',
          `ids[${wrong}]`,
          `an id of this tokenizer, below ${size}`,
          String(all[wrong]),
          'Do the model and the tokenizer belong together?',
        )
      return library.decode(all, { skip_special_tokens: !special })
    },
    id: (token) => {
      const id = vocabulary.get(token)
      return id ?? unknownToken(token, vocabulary)
    },
  }
}

/**
 * Loads a tokenizer from a folder with `tokenizer.json` and perhaps `tokenizer_config.json`, as they lie on the Hugging Face Hub.
 *
 * Needs the package @huggingface/tokenizers. Errors: `MissingPeer`, `FileSystem`, `BadJson`, `BadTokenizer`.
 *
 * @example
 * ```ts
 * import { loadTokenizer, orThrow } from 'espalier/io'
 * import { writeFileSync } from 'node:fs'
 *
 * const model = { type: 'WordLevel', vocab: { '<unk>': 0, good: 1, bad: 2 }, unk_token: '<unk>' }
 * const parts = { normalizer: null, pre_tokenizer: { type: 'Whitespace' }, post_processor: null, decoder: null }
 * writeFileSync('tokenizer.json', JSON.stringify({ ...parts, model, added_tokens: [] }))
 * const tokenizer = await orThrow(loadTokenizer('.'))
 * tokenizer.encode('good bad ugly') // => new Int32Array([1, 2, 0])
 * tokenizer.id('bad') // => 2
 * ```
 */
export const loadTokenizer = (folder: string): Io<Tokenizer> =>
  io(folder, async () => {
    const path = join(folder, 'tokenizer.json')
    const json = await readJson(path)
    const { model } = decodeJson(TokenizerFile, json, path)
    const config = await readConfig(join(folder, 'tokenizer_config.json'))
    const Library = await importLibrary()
    try {
      return make(new Library(json, config), model['unk_token'])
    } catch (error) {
      return reject(
        'BadTokenizer',
        path,
        'a tokenizer that @huggingface/tokenizers can use',
        messageOf(error),
        'Does the file come from a newer release of tokenizers?',
      )
    }
  })
