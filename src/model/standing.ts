import type { Ctx, Tokens } from '../kind/index.ts'
import { read, tensor } from '../ops/index.ts'
import { EspalierError, issue } from '../tree/error.ts'
import type { Tensor } from '../tree/tensor.ts'
import type { Begun } from './cache.ts'

/** Where the texts of a batch stand that are to be continued. */
export interface Standing {
  /** The tokens of each text, without padding. */
  readonly texts: number[][]
  /** What was given, and where its tokens stand behind padding. */
  readonly first: () => Tokens
  /** Where the last token of each text stands behind what the model puts before it. */
  readonly lastAfter: (begun: Pick<Begun, 'prefix' | 'prompt'>) => Int32Array
  /** One new token of each text, at these places. */
  readonly following: (ids: Int32Array, places: Int32Array) => Tokens
}

type Values = ReturnType<typeof read> | undefined

/** The last number of each row; one row may serve a whole batch. */
const lastColumn = (values: Values, [rows = 1, width = 0]: readonly number[], batch: number): Int32Array =>
  Int32Array.from({ length: batch }, (_, row) => values?.[((row % rows) + 1) * width - 1] ?? 0)

/** Where each token stands behind `from` when padding takes no place; undefined without padding. */
const placesOf = (seen: Values, [batch = 0, width = 0]: readonly number[], from: number): Int32Array | undefined => {
  if (seen === undefined || seen.every((x) => x !== 0)) return undefined
  const places = new Int32Array(batch * width)
  for (let row = 0; row < batch; row++) {
    let next = from
    for (let i = row * width; i < (row + 1) * width; i++) places[i] = seen[i] === 0 ? Math.max(from, next - 1) : next++
  }
  return places
}

/** The tokens of each text, without padding. */
const textsOf = (ids: Tensor, seen: Values): number[][] => {
  const [[batch = 0, width = 0], all] = [ids.shape, read(ids)]
  return Array.from({ length: batch }, (_, row) => {
    const from = row * width
    return [...all.subarray(from, from + width)].filter((__, i) => seen?.[from + i] !== 0)
  })
}

const requireLeftPadding = (seen: Values, [batch = 0, width = 0]: readonly number[]): void => {
  const bad = Array.from({ length: batch }, (_, row) => row).find((row) => seen?.[(row + 1) * width - 1] === 0)
  if (bad !== undefined)
    throw new EspalierError([
      issue(
        'RightPadding',
        `mask[${bad}]`,
        'padding on the left',
        'padding at the end',
        'A text is continued after its last token: pad on the left.',
      ),
    ])
}

/** The places of tokens, where they begin and as they are continued. Errors: `RightPadding`. */
export const standing = (tokens: Tokens, { past, positions }: Pick<Ctx, 'past' | 'positions'>): Standing => {
  const { shape } = tokens.ids
  const [batch = 0, width = 0] = shape
  const seen = tokens.mask === undefined ? undefined : read(tokens.mask)
  requireLeftPadding(seen, shape)
  const given = tokens.positions ?? positions
  const before = past?.length ?? 0
  const places = given === undefined ? placesOf(seen, shape, before) : undefined
  const types = tokens.types === undefined ? undefined : lastColumn(read(tokens.types), shape, batch)
  const column = (values: Int32Array): Tensor => tensor(values, [batch, 1])
  return {
    texts: textsOf(tokens.ids, seen),
    first: () => (places === undefined ? tokens : { ...tokens, positions: tensor(places, shape) }),
    lastAfter: ({ prefix, prompt }) => {
      // A prefix moves what tokens say of themselves, and not what the environment says.
      const ahead = prompt + (tokens.positions === undefined && given !== undefined ? 0 : prefix)
      const told = given === undefined ? places : read(given)
      // When nobody says where, all stand alike.
      return lastColumn(told, given?.shape ?? shape, batch).map(
        (n) => ahead + (told === undefined ? before + width - 1 : n),
      )
    },
    following: (ids, at) => ({
      ids: column(ids),
      positions: column(at),
      ...(types === undefined ? {} : { types: column(types) }),
    }),
  }
}
