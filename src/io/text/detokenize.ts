import { isRecord } from '../codec.ts'
import { prependScheme, spaceMark, unsupported } from './tokenizer-parts.ts'
import type { Part } from './tokenizer-parts.ts'

/** Tokens to the pieces of a text. */
export type Decode = (tokens: readonly string[]) => readonly string[]

type Make = (part: Part, path: string) => Decode

// The printable bytes stand for themselves, the others for the letters from U+0100 on, as GPT-2 has it.
const isPrintable = (byte: number): boolean =>
  (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174

const byteOf: ReadonlyMap<string, number> = new Map(
  [
    ...Array.from({ length: 256 }, (_, byte) => byte)
      .filter(isPrintable)
      .map((byte) => [byte, byte] as const),
    ...Array.from({ length: 256 }, (_, byte) => byte)
      .filter((byte) => !isPrintable(byte))
      .map((byte, i) => [byte, 256 + i] as const),
  ].map(([byte, letter]) => [String.fromCodePoint(letter), byte]),
)

const decodeBytes = (bytes: readonly number[], fatal = false): string =>
  new TextDecoder('utf-8', { ignoreBOM: true, fatal }).decode(Uint8Array.from(bytes))

const bytesOfToken = (token: string): readonly number[] => {
  const bytes = Array.from(token, (letter) => byteOf.get(letter))
  return bytes.every((byte) => byte !== undefined) ? bytes : [...new TextEncoder().encode(token)]
}

const byteToken = /^<0x([0-9A-Fa-f]{2})>$/

/** Whether a token is one byte of a character that has no token. */
export const isByteToken = (token: string): boolean => byteToken.test(token)

/** Bytes that are no text are, all of one run, a replacement character each. */
const textOfRun = (run: readonly number[]): readonly string[] => {
  if (run.length === 0) return []
  try {
    return [decodeBytes(run, true)]
  } catch {
    return run.map(() => '\ufffd')
  }
}

const byteFallback: Decode = (tokens) => {
  const pieces: string[] = []
  let run: number[] = []
  for (const token of tokens) {
    const found = byteToken.exec(token)
    if (found !== null) run.push(Number.parseInt(found[1]!, 16))
    else {
      pieces.push(...textOfRun(run), token)
      run = []
    }
  }
  return [...pieces, ...textOfRun(run)]
}

const cleanups: readonly (readonly [string, string])[] = [
  [' .', '.'],
  [' ?', '?'],
  [' !', '!'],
  [' ,', ','],
  [" ' ", "'"],
  [" n't", "n't"],
  [" 'm", "'m"],
  [" 's", "'s"],
  [" 've", "'ve"],
  [" 're", "'re"],
]

/** Takes out the spaces that English has none of: before a full stop, in "do n't". */
export const cleanUp = (text: string): string => cleanups.reduce((t, [from, to]) => t.replaceAll(from, to), text)

const textOr = (value: unknown, otherwise: string): string => (typeof value === 'string' ? value : otherwise)

const strip = (token: string, content: string, start: number, stop: number): string => {
  const letters = Array.from(token)
  const isContent = (letter: string | undefined): boolean => letter === content
  const firstOther = letters.findIndex((letter) => !isContent(letter))
  const leading = firstOther < 0 ? letters.length : firstOther
  const trailing = letters.length - 1 - letters.findLastIndex((letter) => !isContent(letter))
  return letters.slice(Math.min(leading, start), Math.max(letters.length - Math.min(trailing, stop), 0)).join('')
}

const makers: Readonly<Record<string, Make>> = {
  ByteLevel: () => (tokens) => [decodeBytes(tokens.flatMap(bytesOfToken))],
  ByteFallback: () => byteFallback,
  Fuse: () => (tokens) => [tokens.join('')],
  Metaspace: (part) => {
    const mark = spaceMark(part)
    const first = prependScheme(part) === 'never' ? ' ' : ''
    return (tokens) => tokens.map((token, i) => token.replaceAll(mark, i === 0 ? first : ' '))
  },
  WordPiece: (part) => {
    const prefix = textOr(part['prefix'], '##')
    const clean = part['cleanup'] === false ? (text: string) => text : wordCleanUp
    return (tokens) =>
      tokens.map((token, i) =>
        clean(i === 0 ? token : token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`),
      )
  },
  BPEDecoder: (part) => {
    const suffix = textOr(part['suffix'], '</w>')
    return (tokens) => tokens.map((token, i) => token.replaceAll(suffix, i === tokens.length - 1 ? '' : ' '))
  },
  Replace: (part, path) => {
    const pattern = isRecord(part['pattern']) ? part['pattern']['String'] : undefined
    const content = textOr(part['content'], '')
    if (typeof pattern !== 'string') return unsupported(`${path}.pattern`, 'a String', JSON.stringify(part['pattern']))
    return (tokens) => tokens.map((token) => token.split(pattern).join(content))
  },
  Strip: (part) => {
    const [start, stop] = [Number(part['start'] ?? 0), Number(part['stop'] ?? 0)]
    return (tokens) => tokens.map((token) => strip(token, textOr(part['content'], ' '), start, stop))
  },
  Sequence: (part, path) => {
    const list = Array.isArray(part['decoders']) ? (part['decoders'] as readonly unknown[]) : []
    const decoders = list.map((one, i) => decoderOf(one, `${path}.decoders[${i}]`))
    return (tokens) => decoders.reduce((pieces, decode) => decode(pieces), tokens)
  },
}

// The decoder of WordPiece cleans token by token, with one rule more than transformers' own.
const wordCleanUp = (text: string): string =>
  cleanups
    .slice(0, 7)
    .concat([[' do not', " don't"]], cleanups.slice(7))
    .reduce((t, [from, to]) => t.replaceAll(from, to), text)

/** The decoder of a tokenizer.json; where there is none, tokens stand apart. Errors: `UnsupportedTokenizer`. */
export const decoderOf = (part: unknown, path: string): Decode => {
  if (part === null || part === undefined) return (tokens) => [tokens.join(' ')]
  const type = isRecord(part) ? String(part['type']) : typeof part
  const make = Object.hasOwn(makers, type) ? makers[type] : undefined
  return isRecord(part) && make !== undefined
    ? make(part, path)
    : unsupported(path, `one of ${Object.keys(makers).join(', ')}`, type)
}
