import { isRecord } from '../codec.ts'
import { describe, reject } from '../issues.ts'
import { unsupported } from './tokenizer-parts.ts'
import type { Part } from './tokenizer-parts.ts'

/** One place of a framed text: a token of its own, or the text's or the second text's ids. */
export type Slot =
  | { readonly ids: readonly number[]; readonly type: number }
  | { readonly text: 0 | 1; readonly type: number }

/** What a tokenizer puts around one text and around two. */
export interface Frame {
  readonly single: readonly Slot[]
  readonly pair: readonly Slot[]
  /** The same without the tokens of its own. */
  readonly bare: { readonly single: readonly Slot[]; readonly pair: readonly Slot[] }
}

/** Ids with the segment that each belongs to. */
export interface Framed {
  readonly ids: readonly number[]
  readonly types: readonly number[]
}

const isText = (slot: Slot): boolean => 'text' in slot

const first: Slot = { text: 0, type: 0 }
const plain = { single: [first], pair: [first, { text: 1, type: 1 } as Slot] }

const bad = (path: string, found: unknown): never =>
  reject('BadTokenizer', path, 'a template of tokens and texts', describe(found), 'The file is damaged.')

const templateOf = (pieces: unknown, specials: unknown, path: string): readonly Slot[] =>
  (Array.isArray(pieces) ? pieces : bad(path, pieces)).map((piece: unknown, i): Slot => {
    const one = isRecord(piece) ? (piece['SpecialToken'] ?? piece['Sequence']) : undefined
    if (!isRecord(piece) || !isRecord(one) || !Number.isInteger(one['type_id'])) return bad(`${path}[${i}]`, piece)
    const type = Number(one['type_id'])
    if ('Sequence' in piece) return { text: one['id'] === 'B' ? 1 : 0, type }
    const name = String(one['id'])
    const known = isRecord(specials) && Object.hasOwn(specials, name) ? specials[name] : undefined
    const ids = isRecord(known) ? known['ids'] : undefined
    return Array.isArray(ids) && ids.every((id) => Number.isInteger(id)) ? { ids, type } : bad(`${path}[${i}]`, piece)
  })

const tokenIn = (part: Part, name: string, path: string): readonly number[] => {
  const pair = part[name]
  return Array.isArray(pair) && Number.isInteger(pair[1]) ? [pair[1]] : bad(`${path}.${name}`, pair)
}

const framed = (single: readonly Slot[], pair: readonly Slot[], bare: Frame['bare']): Frame => ({ single, pair, bare })

/** What the post-processor of a tokenizer.json does to ids. Errors: `BadTokenizer`, `UnsupportedTokenizer`. */
export const frameOf = (part: unknown, path: string): Frame => {
  if (part === null || part === undefined) return framed(plain.single, plain.pair, plain)
  if (!isRecord(part)) return bad(path, part)
  switch (part['type']) {
    case 'ByteLevel':
      return framed(plain.single, plain.pair, plain)
    case 'TemplateProcessing': {
      const single = templateOf(part['single'], part['special_tokens'], `${path}.single`)
      const pair = templateOf(part['pair'], part['special_tokens'], `${path}.pair`)
      return framed(single, pair, { single: single.filter(isText), pair: pair.filter(isText) })
    }
    case 'BertProcessing':
    case 'RobertaProcessing': {
      const isBert = part['type'] === 'BertProcessing'
      const [cls, sep] = [tokenIn(part, 'cls', path), tokenIn(part, 'sep', path)]
      const type = isBert ? 1 : 0
      const single: readonly Slot[] = [{ ids: cls, type: 0 }, first, { ids: sep, type: 0 }]
      const between: readonly Slot[] = isBert ? [] : [{ ids: sep, type }]
      const pair: readonly Slot[] = [...single, ...between, { text: 1, type }, { ids: sep, type }]
      return framed(single, pair, { single: plain.single, pair: pair.filter(isText) })
    }
    case 'Sequence': {
      const list = Array.isArray(part['processors']) ? (part['processors'] as readonly unknown[]) : []
      const framing = list.filter((one) => !(isRecord(one) && one['type'] === 'ByteLevel'))
      if (framing.length > 1) unsupported(`${path}.processors`, 'one that adds tokens', `${framing.length}`)
      return frameOf(framing[0], path)
    }
    default:
      return unsupported(`${path}.type`, 'a known post-processor', String(part['type']))
  }
}

/** How many tokens of their own some slots have. */
export const ownTokens = (slots: readonly Slot[]): number =>
  slots.reduce((n, slot) => n + ('ids' in slot ? slot.ids.length : 0), 0)

/** Puts texts into their slots. */
export const fill = (slots: readonly Slot[], texts: readonly (readonly number[])[]): Framed => {
  const parts = slots.map((slot) => ({ ids: 'ids' in slot ? slot.ids : (texts[slot.text] ?? []), type: slot.type }))
  return {
    ids: parts.flatMap(({ ids }) => ids),
    types: parts.flatMap(({ ids, type }) => ids.map(() => type)),
  }
}
