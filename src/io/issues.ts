import * as E from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import type * as t from 'io-ts'
import { EspalierError } from '../tree/error.ts'
import type { Issue } from '../tree/error.ts'

/** All that is wrong, not only what was met first. */
export type Issues = readonly Issue[]

/** Everything in this folder that reads or writes: nothing happens until it is called, and it never rejects. */
export type Io<A> = TaskEither<Issues, A>

export const issue = (_tag: string, path: string, expected: string, found: string, hint: string): Issue => ({
  _tag,
  path,
  expected,
  found,
  hint,
})

// A name that a file gives may be as long as the file.
const longestPlace = 400

/** A place in a file: `model.json#tree.fc1.weight`. */
export const inFile = (file: string, place: string): string =>
  place === '' ? file : `${file}#${place.length > longestPlace ? `${place.slice(0, longestPlace - 1)}…` : place}`

/** Throws when there is something to complain about. */
export const refuse = (issues: Issues): void => {
  if (issues.length > 0) throw new EspalierError(issues)
}

/** The value of a result; throws what is wrong with it, each issue as `placed` has it. */
export const rightOr = <A>(result: E.Either<Issues, A>, placed: (issue: Issue) => Issue = (i) => i): A => {
  if (E.isLeft(result)) throw new EspalierError(result.left.map((i) => placed(i)))
  return result.right
}

/** Throws one issue. */
export const reject = (...parts: Parameters<typeof issue>): never => {
  throw new EspalierError([issue(...parts)])
}

const advice: Readonly<Record<string, string>> = {
  ENOENT: 'There is nothing at this path; check the spelling.',
  ENOTDIR: 'A part of this path is a file; a folder was expected.',
  EISDIR: 'This is a folder; a file was expected.',
  EACCES: 'The permissions of the file or of its folder forbid it.',
  EPERM: 'The permissions of the file or of its folder forbid it.',
  ENOSPC: 'The disk is full; what was there before is untouched.',
  EROFS: 'The disk is read-only.',
  ENAMETOOLONG: 'The path is too long for this system.',
}

/** What an error says, whatever was thrown. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** What was thrown, as issues. */
export const issuesOf = (error: unknown, path: string): Issues => {
  if (error instanceof EspalierError) return error.issues
  const message = messageOf(error)
  const { code, path: at = path } = (error instanceof Error ? error : {}) as NodeJS.ErrnoException
  if (typeof code === 'string' && /^E[A-Z0-9]+$/.test(code))
    // What is being written has another name for now.
    return [
      issue(
        'FileSystem',
        at.endsWith('.tmp') ? path : at,
        'a file that can be read or written',
        code,
        advice[code] ?? message,
      ),
    ]
  if (error instanceof RangeError)
    return [issue('TooLarge', path, 'something that fits into memory', message, 'Read fewer tensors at a time.')]
  return [
    issue('Unexpected', path, 'no such error', message, 'This is a bug, here or in a function that was passed in.'),
  ]
}

/** Runs something that may throw, and gives what is wrong as a value. */
export const io =
  <A>(path: string, run: () => Promise<A>): Io<A> =>
  () =>
    Promise.resolve()
      .then(run)
      .then(
        (value) => E.right(value),
        (error: unknown) => E.left(issuesOf(error, path)),
      )

/**
 * Runs a `TaskEither` for those who do not use fp-ts: a promise of its value, which rejects with an `EspalierError`.
 *
 * @example
 * ```ts
 * import { loadModel, orThrow } from 'espalier/io'
 *
 * const problem = await orThrow(loadModel('no/such/folder')).catch((error) => error.issues[0]._tag)
 * problem // => 'NotFound'
 * ```
 */
export const orThrow = async <A>(task: TaskEither<Issues, A>): Promise<A> => rightOr(await task())

/** A value in a few words, however large it is. */
export const describe = (value: unknown): string => {
  if (value === undefined) return 'nothing'
  if (Array.isArray(value)) return `a list of ${value.length}`
  if (typeof value === 'object' && value !== null) {
    const tag: unknown = Object.hasOwn(value, '_tag') ? (value as { _tag: unknown })._tag : undefined
    const keys = Object.keys(value)
    return typeof tag === 'string'
      ? `a ${clip(tag)}`
      : `an object with ${keys.length === 0 ? 'no keys' : `the keys ${clip(keys.slice(0, 6).join(', '))}`}`
  }
  if (typeof value === 'string') return JSON.stringify(clip(value))
  const isShort = value === null || typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean'
  return isShort ? clip(`${value}`) : `a ${typeof value}`
}

/** A text in a few words. */
export const clip = (text: string): string => (text.length > 80 ? `${text.slice(0, 77)}…` : text)

/** Errors of io-ts as issues: where in the file, in it `under` which keys, what a codec wanted, what was there. */
export const decodeIssues = (errors: t.Errors, root: string, under: readonly string[] = []): Issues =>
  errors.map(({ context, value, message }) => {
    const keys = [...under, ...context.map(({ key }) => key).filter((key) => key !== '')]
    const expected = context.at(-1)?.type.name ?? 'something else'
    const hint = message ?? 'The file was changed, or another program wrote it.'
    return issue('BadJson', inFile(root, keys.join('.')), expected, describe(value), hint)
  })

/** Decodes, or throws everything that is wrong. */
export const decode = <A>(
  codec: t.Decoder<unknown, A>,
  value: unknown,
  root: string,
  under: readonly string[] = [],
): A => {
  const result = codec.decode(value)
  if (E.isLeft(result)) throw new EspalierError(decodeIssues(result.left, root, under))
  return result.right
}
