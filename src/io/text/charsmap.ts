import { reject } from '../issues.ts'

const isUnit = (unit: number | undefined): unit is number => unit !== undefined
const hasLeaf = (unit: number): boolean => ((unit >>> 8) & 1) === 1
const labelOf = (unit: number): number => (unit & 0x800000ff) >>> 0
const offsetOf = (unit: number): number => (unit >>> 10) << ((unit & 0x200) >>> 6)

/** The value of the shortest key that some bytes begin with, in a double array as Darts lays it out. */
const shortestPrefix = (units: Uint32Array, key: Uint8Array): number | undefined => {
  let at = offsetOf(units[0] ?? 0)
  for (const byte of key) {
    if (byte === 0) return undefined
    at ^= byte
    const unit = units[at]
    if (!isUnit(unit) || labelOf(unit) !== byte) return undefined
    at ^= offsetOf(unit)
    const leaf = units[at]
    if (hasLeaf(unit)) return isUnit(leaf) ? leaf & 0x7fffffff : undefined
  }
  return undefined
}

const damaged = (path: string): never =>
  reject('BadTokenizer', path, 'a map of characters in base64', 'something else', 'The file is damaged.')

const bytesIn = (text: unknown, path: string): Uint8Array => {
  const bytes = typeof text === 'string' ? new Uint8Array(Buffer.from(text, 'base64')) : damaged(path)
  return bytes.length < 4 ? damaged(path) : bytes
}

/**
 * What SentencePiece does to the characters of a text, compiled into a map from some to others.
 *
 * A map is a length in bytes, a double array of that length over the UTF-8 of what is replaced, and what replaces it, each
 * ended by a zero.
 */
export const charsMap = (base64: unknown, path: string): ((text: string) => string) => {
  const bytes = bytesIn(base64, path)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const size = view.getUint32(0, true)
  if (size % 4 !== 0 || size > bytes.length - 4) damaged(path)
  const units = Uint32Array.from({ length: size / 4 }, (_, i) => view.getUint32(4 + 4 * i, true))
  const texts = bytes.subarray(4 + size)
  const [encoder, decoder] = [new TextEncoder(), new TextDecoder('utf-8', { ignoreBOM: true })]
  const replaced = (part: string): string | undefined => {
    const at = shortestPrefix(units, encoder.encode(part))
    if (at === undefined) return undefined
    const end = texts.indexOf(0, at)
    return decoder.decode(texts.subarray(at, end < 0 ? texts.length : end))
  }
  const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' })
  // The reference looks a cluster up whole only while it is short.
  const isShort = (part: string): boolean => encoder.encode(part).length < 6
  return (text) =>
    Array.from(graphemes.segment(text), ({ segment }) => {
      const whole = isShort(segment) ? replaced(segment) : undefined
      return whole ?? Array.from(segment, (letter) => replaced(letter) ?? letter).join('')
    }).join('')
}
