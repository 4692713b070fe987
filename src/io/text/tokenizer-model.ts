import { didYouMean } from '../../tree/nearest.ts'
import { isRecord } from '../codec.ts'
import { describe, inFile, reject } from '../issues.ts'
import { unsupported } from './tokenizer-parts.ts'
import type { Part } from './tokenizer-parts.ts'

/** A token that stands outside the model of a tokenizer, as tokenizer.json lists it. */
export interface Added {
  readonly id: number
  readonly content: string
  readonly special: boolean
}

/** Every token with its id, both ways. */
export interface Vocabulary {
  readonly idOf: ReadonlyMap<string, number>
  readonly tokenOf: ReadonlyMap<number, string>
  /** The greatest id plus one. */
  readonly size: number
}

const greatest = 2 ** 31 - 2

const isId = (id: unknown): id is number => Number.isInteger(id) && Number(id) >= 0 && Number(id) <= greatest

const wrong = (path: string, expected: string, found: unknown): never =>
  reject('BadTokenizer', path, expected, describe(found), 'The file is damaged.')

const kindOf = (model: Part): unknown => {
  // Files of early releases name no kind; the reference then takes the first that fits, in this order.
  if (model['type'] !== undefined) return model['type']
  if ('merges' in model) return 'BPE'
  if (Array.isArray(model['vocab'])) return 'Unigram'
  return 'max_input_chars_per_word' in model ? 'WordPiece' : 'WordLevel'
}

const entriesOf = (vocab: unknown, path: string): readonly (readonly [string, number])[] => {
  if (!isRecord(vocab)) return wrong(path, 'an object of ids', vocab)
  return Object.entries(vocab).map(([token, id]) => [
    token,
    isId(id) ? id : wrong(`${path}.${token}`, `a whole number from 0 to ${greatest}`, id),
  ])
}

const isPiece = (piece: unknown): piece is readonly [string, number] =>
  Array.isArray(piece) && typeof piece[0] === 'string' && Number.isFinite(piece[1])

const isMerge = (merge: unknown): boolean =>
  typeof merge === 'string' ||
  (Array.isArray(merge) && merge.length === 2 && merge.every((part) => typeof part === 'string'))

const textOr = (value: unknown, path: string): string | undefined =>
  value === null || value === undefined || typeof value === 'string'
    ? (value ?? undefined)
    : wrong(path, 'a text', value)

/** The model of a tokenizer.json with what it leaves out put in, and its tokens. Errors: `BadTokenizer`, `UnsupportedTokenizer`. */
export const modelOf = (
  model: Part,
  file: string,
): { readonly model: Part; readonly tokens: readonly (readonly [string, number])[]; readonly unknown?: string } => {
  const at = (field: string): string => inFile(file, `model.${field}`)
  const type = kindOf(model)
  const named = textOr(model['unk_token'], at('unk_token'))
  const unknown = named === undefined ? {} : { unknown: named }
  switch (type) {
    case 'BPE': {
      const { merges, dropout, continuing_subword_prefix: prefix } = model
      if (!Array.isArray(merges) || !merges.every(isMerge)) return wrong(at('merges'), 'a list of pairs', merges)
      if (typeof dropout === 'number' && dropout > 0) unsupported(at('dropout'), 'no dropout', String(dropout))
      if (textOr(prefix, at('continuing_subword_prefix')))
        unsupported(at('continuing_subword_prefix'), 'no prefix of what continues a word', JSON.stringify(prefix))
      return { model: { ...model, type }, tokens: entriesOf(model['vocab'], at('vocab')), ...unknown }
    }
    case 'WordPiece':
      return {
        model: { continuing_subword_prefix: '##', max_input_chars_per_word: 100, unk_token: '[UNK]', ...model, type },
        tokens: entriesOf(model['vocab'], at('vocab')),
        unknown: named ?? '[UNK]',
      }
    case 'WordLevel':
      // Only this much: by other fields the library would take it for another kind.
      return { model: { type, vocab: model['vocab'] }, tokens: entriesOf(model['vocab'], at('vocab')), ...unknown }
    case 'Unigram': {
      const { vocab, unk_id: id } = model
      if (!Array.isArray(vocab) || vocab.length === 0 || !vocab.every(isPiece))
        return wrong(at('vocab'), 'a list of pieces with scores', vocab)
      const tokens = vocab.map(([token], i): readonly [string, number] => [token, i])
      if (id === null || id === undefined) return { model: { ...model, type }, tokens }
      const piece = isId(id) ? vocab[id]?.[0] : undefined
      return { model: { ...model, type }, tokens, unknown: piece ?? wrong(at('unk_id'), 'an id of a piece', id) }
    }
    default:
      return reject(
        'BadTokenizer',
        at('type'),
        'BPE, WordPiece, WordLevel or Unigram',
        String(type),
        'Does the file come from a newer release of tokenizers?',
      )
  }
}

/** The tokens outside the model. Errors: `BadTokenizer`, `UnsupportedTokenizer`. */
export const addedIn = (list: unknown, file: string): readonly Added[] => {
  if (list === undefined || list === null) return []
  if (!Array.isArray(list)) return wrong(inFile(file, 'added_tokens'), 'a list', list)
  return list.map((added: unknown, i) => {
    const path = inFile(file, `added_tokens[${i}]`)
    if (!isRecord(added) || !isId(added['id']) || typeof added['content'] !== 'string')
      return wrong(path, 'an id and a content', added)
    if (added['single_word'] === true) unsupported(`${path}.single_word`, 'false', 'true')
    return { ...added, id: added['id'], content: added['content'], special: added['special'] === true }
  })
}

export const vocabularyOf = (tokens: readonly (readonly [string, number])[], added: readonly Added[]): Vocabulary => {
  const all = [...tokens, ...added.map(({ content, id }): readonly [string, number] => [content, id])]
  return {
    idOf: new Map(all),
    tokenOf: new Map(all.map(([token, id]) => [id, token])),
    size: all.reduce((most, [, id]) => Math.max(most, id + 1), 0),
  }
}

/** The id of a token. Throws `UnknownToken` with the nearest. */
export const idIn = ({ idOf }: Vocabulary, token: string): number =>
  idOf.get(token) ??
  reject('UnknownToken', '', 'a token of this tokenizer', JSON.stringify(token), didYouMean(token, idOf.keys()))
