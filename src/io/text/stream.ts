import { reject } from '../issues.ts'

/** Text that comes token by token; each step gives the next one and leaves this one as it is. */
export interface TextStream {
  /** Takes one id: the text that is now certain, perhaps none, and what goes on from here. */
  readonly push: (id: number) => { readonly text: string; readonly next: TextStream }
  /** What was held back, once there are no more ids. */
  readonly finish: () => string
}

/** What a stream has to know of a tokenizer. */
export interface Detokenizer {
  /** Ids to text, before spaces are cleaned up. */
  readonly decode: (ids: readonly number[]) => string
  readonly clean?: ((text: string) => string) | undefined
  /** Whether the text up to this id, this token included, may yet become another. */
  readonly isOpen: (id: number) => boolean
}

// All that a clean-up looks for begins with a space and goes on with these.
const cleanable = /^[ .?!,'ntmsver]$/

const cleanableFrom = (text: string): number => {
  let from = text.length
  for (let i = text.length - 1; i >= 0 && cleanable.test(text[i]!); i -= 1) if (text[i] === ' ') from = i
  return from
}

/** Where the text begins that later tokens may change. */
const certainIn = (text: string, cleans: boolean): number => {
  const whole = text.replace(/\ufffd+$/, '')
  return cleans ? cleanableFrom(whole) : whole.length
}

// Text is decoded from some tokens back, not from the first, so that a long text costs no more by the token than a short one.
const window = 32

/** The text of ids as they come: all pieces together are what the ids decode to at once. */
export const streamOf = ({ decode, clean = (text) => text, isOpen }: Detokenizer, cleans: boolean): TextStream => {
  const from = (ids: readonly number[], done: number): TextStream => ({
    push: (id) => {
      const longer = [...ids, id]
      const text = decode(longer)
      const certain = isOpen(id) ? done : Math.max(done, certainIn(text, cleans))
      const piece = clean(text.slice(done, certain))
      const alone = longer.length > window && certain === text.length ? decode([id]) : ''
      return { text: piece, next: alone === '' ? from(longer, certain) : from([id], alone.length) }
    },
    finish: () => clean(decode(ids).slice(done)),
  })
  return from([], 0)
}

/** Text that ends where a stop string begins; each step gives the next one and leaves this one as it is. */
export interface StopFilter {
  /** Takes a piece of text: what of it may be shown, the stop string that has come if one has, and what goes on from here. */
  readonly push: (piece: string) => {
    readonly text: string
    readonly stopped: string | undefined
    readonly next: StopFilter
  }
  /** What was held back because a stop string might have come of it. */
  readonly finish: () => string
}

const stopped = (stop: string): StopFilter => {
  const filter: StopFilter = { push: () => ({ text: '', stopped: stop, next: filter }), finish: () => '' }
  return filter
}

/** The stop that is complete first; of two that end together, the longer. */
const firstIn = (text: string, stops: readonly string[]): { readonly stop: string; readonly at: number } | undefined =>
  stops
    .map((stop) => ({ stop, at: text.indexOf(stop) }))
    .filter(({ at }) => at >= 0)
    .toSorted((a, b) => a.at + a.stop.length - b.at - b.stop.length || a.at - b.at)[0]

/** How much of the end of a text may be the beginning of a stop. */
const heldIn = (text: string, stops: readonly string[]): number => {
  const longest = Math.max(0, ...stops.map((stop) => stop.length - 1))
  for (let n = Math.min(longest, text.length); n > 0; n -= 1)
    if (stops.some((stop) => stop.length > n && stop.startsWith(text.slice(-n)))) return n
  return 0
}

/**
 * Ends a text where the first of some stop strings begins, however the text is cut into pieces.
 *
 * First is the one that is complete first; what may yet become one is held back. Throws `EmptyStop`.
 *
 * @example
 * ```ts
 * import { stopAt } from 'espalier/io'
 *
 * const first = stopAt(['\n\n', 'User:']).push('Good.\n')
 * first.text // => 'Good.'
 * const second = first.next.push('\nUser: more')
 * second.text // => ''
 * second.stopped // => '\n\n'
 * first.next.finish() // => '\n'
 * ```
 */
export const stopAt = (stops: readonly string[]): StopFilter => {
  const empty = stops.indexOf('')
  if (empty >= 0)
    reject('EmptyStop', `stops[${empty}]`, 'a text', "''", 'An empty stop would end every text before it begins.')
  const from = (held: string): StopFilter => ({
    push: (piece) => {
      const text = held + piece
      const found = firstIn(text, stops)
      if (found !== undefined) return { text: text.slice(0, found.at), stopped: found.stop, next: stopped(found.stop) }
      const shown = text.length - heldIn(text, stops)
      return { text: text.slice(0, shown), stopped: undefined, next: from(text.slice(shown)) }
    },
    finish: () => held,
  })
  return from('')
}
