import { charsMap } from './charsmap.ts'
import { isRecord } from '../codec.ts'
import { describe, reject } from '../issues.ts'

/*
 * Where @huggingface/tokenizers 0.2 gives other ids than the reference in Rust, the parts of a tokenizer.json are put in
 * terms of those parts that the library gets right; what cannot be put so is refused by name.
 */

/** A part of a tokenizer.json: its `type`, and what that takes. */
export type Part = Readonly<Record<string, unknown>>

type Rewrite = (part: Part, path: string) => Part

/** Refuses a part that would give wrong ids. */
export const unsupported = (path: string, expected: string, found: string): never =>
  reject(
    'UnsupportedTokenizer',
    path,
    expected,
    found,
    'Its ids would differ from those that the model was trained on.',
  )

const partsIn = (part: Part, field: string, path: string): readonly unknown[] => {
  const list = part[field]
  return Array.isArray(list) ? list : unsupported(`${path}.${field}`, 'a list of parts', typeof list)
}

/** Rewrites a part by its type, and those of a `Sequence` one by one. */
const rewriter = (rewrites: Readonly<Record<string, Rewrite>>, list: string) => {
  const rewrite = (part: unknown, path: string): Part | null => {
    if (part === null || part === undefined) return null
    if (!isRecord(part)) return unsupported(path, 'an object', typeof part)
    const type = String(part['type'])
    if (type === 'Sequence')
      return { type, [list]: partsIn(part, list, path).map((one, i) => rewrite(one, `${path}.${list}[${i}]`)) }
    const known = Object.hasOwn(rewrites, type) ? rewrites[type] : undefined
    return known?.(part, path) ?? unsupported(path, `one of ${Object.keys(rewrites).join(', ')}`, type)
  }
  return rewrite
}

const anything = '[\\s\\S]'
const punctuation = '\\p{P}!-\\/:-@\\[-`{-~'
// What Rust's own regular expressions take for a letter of a word: more than those of the patterns in the files do.
const letter = '\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{200C}\\x{200D}'
const gpt2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&')

const patternOf = (part: Part, path: string): string => {
  const pattern = isRecord(part['pattern']) ? part['pattern'] : {}
  const { Regex, String: text } = pattern as { readonly Regex?: unknown; readonly String?: unknown }
  if (typeof Regex === 'string' && Regex !== '') return `(?:${Regex})`
  if (typeof text === 'string' && text !== '') return escaped(text)
  return unsupported(`${path}.pattern`, 'a Regex or a String', JSON.stringify(pattern).slice(0, 80))
}

/** The pieces that match, and nothing else. */
const matches = (regex: string): Part => ({
  type: 'Split',
  pattern: { Regex: regex },
  behavior: 'Removed',
  invert: true,
})

const isolated = (regex: string): Part => ({
  type: 'Split',
  pattern: { Regex: regex },
  behavior: 'Isolated',
  invert: false,
})

const splitBy = (regex: string, behavior: unknown, invert: boolean, path: string): Part => {
  const gap = `(?:(?!${regex})${anything})+`
  const withPrevious = `${anything}*?${regex}|${anything}+`
  const withNext = `${regex}(?:(?!${regex})${anything})*|${gap}`
  switch (behavior) {
    case 'Isolated':
      return isolated(regex)
    case 'Removed':
      if (invert) return matches(regex)
      // The library splits by JavaScript's own split, which hands out groups as pieces too.
      if (/(?<!\\)\((?!\?)/.test(regex)) return unsupported(path, 'a pattern without groups', regex)
      return { type: 'Split', pattern: { Regex: regex }, behavior, invert: false }
    case 'MergedWithPrevious':
      return matches(invert ? withNext : withPrevious)
    case 'MergedWithNext':
      return matches(invert ? withPrevious : withNext)
    case 'Contiguous':
      return matches(`(?:${regex})+|${gap}`)
    default:
      return unsupported(`${path}.behavior`, 'a behaviour of Split', String(behavior))
  }
}

const both = (list: string, ...parts: readonly Part[]): Part => ({ type: 'Sequence', [list]: parts })
const steps = (...parts: readonly Part[]): Part => both('pretokenizers', ...parts)

const flag = (value: unknown, otherwise: boolean): boolean => (typeof value === 'boolean' ? value : otherwise)

const textIn = (value: unknown): string => (typeof value === 'string' ? value : '')

/** How a `Metaspace` puts its mark before a text; older files say it by `add_prefix_space`. */
export const prependScheme = (part: Part): unknown =>
  part['prepend_scheme'] ?? (part['add_prefix_space'] === false ? 'never' : 'always')

/** What stands for a space. */
export const spaceMark = (part: Part): string =>
  typeof part['replacement'] === 'string' ? part['replacement'] : '\u2581'

const replace = (regex: string, content: string): Part => ({
  type: 'Replace',
  pattern: { Regex: regex },
  // The library hands this to JavaScript's replaceAll, to which "$" is an instruction.
  content: content.replaceAll('$', '$$$$'),
})

/** The pre-tokenizer of a tokenizer.json in parts that the library gets right. Errors: `UnsupportedTokenizer`. */
export const preTokenizer = rewriter(
  {
    Whitespace: () => matches(`[${letter}]+|[^${letter}\\s]+`),
    WhitespaceSplit: () => matches('\\S+'),
    BertPreTokenizer: () => matches(`[^\\s${punctuation}]+|[${punctuation}]`),
    Digits: (part) => isolated(flag(part['individual_digits'], false) ? '\\p{N}' : '\\p{N}+'),
    Punctuation: (part, path) => splitBy(`[${punctuation}]`, part['behavior'] ?? 'Isolated', false, path),
    Split: (part, path) => splitBy(patternOf(part, path), part['behavior'], flag(part['invert'], false), path),
    CharDelimiterSplit: (part, path) =>
      splitBy(patternOf({ pattern: { String: part['delimiter'] } }, path), 'Removed', false, path),
    FixedLength: (part, path) => {
      const length = part['length'] ?? 5
      return Number.isSafeInteger(length) && Number(length) > 0
        ? matches(`${anything}{1,${Number(length)}}`)
        : unsupported(`${path}.length`, 'a whole number > 0', describe(length))
    },
    ByteLevel: (part) =>
      steps(
        ...(flag(part['add_prefix_space'], true) ? [replace('\\A(?=[^ ])', ' ')] : []),
        ...(flag(part['use_regex'], true) ? [matches(gpt2)] : []),
        { type: 'ByteLevel', add_prefix_space: false, use_regex: false },
      ),
    Metaspace: (part, path) => {
      const mark = spaceMark(part)
      const marked = { type: 'Metaspace', replacement: mark, prepend_scheme: prependScheme(part) }
      return flag(part['split'], true) ? steps(marked, splitBy(escaped(mark), 'MergedWithNext', false, path)) : marked
    },
  },
  'pretokenizers',
)

const chain = (...parts: readonly (Part | false)[]): Part =>
  both('normalizers', ...parts.filter((part) => part !== false))

// Rust lowers letter by letter: a sigma at the end of a word is like any other.
const lowercase = chain(replace('\u03a3', '\u03c3'), { type: 'Lowercase' })
const han = [
  ['4E00', '9FFF'],
  ['3400', '4DBF'],
  ['20000', '2A6DF'],
  ['2A700', '2B73F'],
  ['2B740', '2B81F'],
  ['2B920', '2CEAF'],
  ['F900', 'FAFF'],
  ['2F800', '2FA1F'],
]
  .map(([from, to]) => `\\x{${from}}-\\x{${to}}`)
  .join('')

const spaced: Part = { type: 'Replace', pattern: { Regex: `[${han}]` }, content: ' $& ' }

const same: Rewrite = ({ type }) => ({ type })

/** The normalizer of a tokenizer.json in parts that the library gets right. Errors: `UnsupportedTokenizer`. */
export const normalizer = rewriter(
  {
    NFC: same,
    NFD: same,
    NFKC: same,
    NFKD: same,
    BertNormalizer: (part) => {
      const lower = flag(part['lowercase'], true)
      const clean = flag(part['clean_text'], true)
      return chain(
        clean && replace('[\\x00\\x{FFFD}]|(?![\\t\\n\\r])[\\p{Cc}\\p{Cf}\\p{Co}\\p{Cs}]', ''),
        clean && replace('\\s', ' '),
        flag(part['handle_chinese_chars'], true) && spaced,
        flag(part['strip_accents'], lower) && chain({ type: 'NFD' }, replace('\\p{Mn}', '')),
        lower && lowercase,
      )
    },
    Lowercase: () => lowercase,
    StripAccents: () => replace('\\p{M}', ''),
    Strip: (part) =>
      chain(
        flag(part['strip_left'], true) && replace('\\A\\s+', ''),
        flag(part['strip_right'], true) && replace('\\s+\\z', ''),
      ),
    Replace: (part, path) => replace(patternOf(part, path), textIn(part['content'])),
    Precompiled: (part, path) => ({
      type: 'Replace',
      pattern: { Regex: `${anything}+` },
      // JavaScript's replaceAll, to which the library hands this, takes a function as well.
      content: charsMap(part['precompiled_charsmap'], `${path}.precompiled_charsmap`),
    }),
    Prepend: (part) => replace(`\\A(?=${anything})`, textIn(part['prepend'])),
    Nmt: () =>
      chain(
        replace('[\\x01-\\x08\\x0B\\x0E-\\x1F\\x7F\\x{8F}\\x{9F}]', ''),
        replace('[\\t\\n\\x0C\\r\\x{1680}\\x{200B}-\\x{200F}\\x{2028}\\x{2029}\\x{2581}\\x{FEFF}\\x{FFFD}]', ' '),
      ),
  },
  'normalizers',
)
