import type { Tokenizer as Library } from '@huggingface/tokenizers'
import { join } from 'node:path'
import * as t from 'io-ts'
import { EspalierError } from '../tree/error.ts'
import { didYouMean } from '../tree/nearest.ts'
import { isRecord } from './codec.ts'
import { readBytes, withFile } from './files.ts'
import { longestHeader } from './header.ts'
import { decode as decodeJson, io, issue, reject } from './issues.ts'
import type { Io } from './issues.ts'
import { decodeUtf8, parseJson } from './json.ts'

/** Texts to token ids and back. */
export interface Tokenizer {
  /** The ids of a text; with what the tokenizer puts around a sentence only when `special` is true. */
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
    if (size > longestHeader) reject('TooLarge', path, `at most ${longestHeader} bytes of JSON`, `${size}`, 'No tokenizer is as large as that.')
    return parseJson(decodeUtf8(await readBytes(file, 0, size, path), path), path)
  })

const isAbsent = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT'

const readConfig = (path: string): Promise<object> =>
  readJson(path).then(
    (json) => (isRecord(json) ? json : reject('BadJson', path, 'an object', 'something else', 'See the tokenizer\'s own files.')),
    (error: unknown) => (isAbsent(error) ? {} : Promise.reject(error)),
  )

const importLibrary = (): Promise<typeof import('@huggingface/tokenizers')> =>
  import('@huggingface/tokenizers').catch((error: unknown) =>
    reject('MissingPeer', '@huggingface/tokenizers', 'an installed package', String((error as Error).message), 'Run "npm install @huggingface/tokenizers".'),
  )

const make = (library: Library): Tokenizer => {
  const vocabulary = library.get_vocab(true)
  const size = [...vocabulary.values()].reduce((most, id) => Math.max(most, id + 1), 0)
  const known = new Set(vocabulary.values())
  return {
    size,
    encode: (text, { special = false } = {}) => Int32Array.from(library.encode(text, { add_special_tokens: special }).ids),
    decode: (ids, { special = false } = {}) => {
      const all = Array.from(ids, Number)
      const wrong = all.findIndex((id) => !known.has(id))
      if (wrong >= 0)
        throw new EspalierError([issue('UnknownId', `ids[${wrong}]`, `an id of this tokenizer, below ${size}`, String(all[wrong]), 'Do the model and the tokenizer belong together?')])
      return library.decode(all, { skip_special_tokens: !special })
    },
    id: (token) => {
      const id = vocabulary.get(token)
      if (id !== undefined) return id
      throw new EspalierError([issue('UnknownToken', '', 'a token of this tokenizer', JSON.stringify(token), didYouMean(token, vocabulary.keys()))])
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
 * writeFileSync('tokenizer.json', JSON.stringify({ model, pre_tokenizer: { type: 'Whitespace' }, added_tokens: [] }))
 * const tokenizer = await orThrow(loadTokenizer('.'))
 * tokenizer.encode('good bad ugly') // => new Int32Array([1, 2, 0])
 * tokenizer.id('bad') // => 2
 * ```
 */
export const loadTokenizer = (folder: string): Io<Tokenizer> =>
  io(folder, async () => {
    const path = join(folder, 'tokenizer.json')
    const json = await readJson(path)
    decodeJson(TokenizerFile, json, path)
    const config = await readConfig(join(folder, 'tokenizer_config.json'))
    const { Tokenizer: Library } = await importLibrary()
    try {
      return make(new Library(json as object, config))
    } catch (error) {
      return reject('BadTokenizer', path, 'a tokenizer that @huggingface/tokenizers can use', String((error as Error).message), 'Does the file come from a newer release of tokenizers?')
    }
  })
