import { readdir, stat } from 'node:fs/promises'
import { EspalierError, formatIssues } from '../tree/error.ts'
import type { Issue } from '../tree/error.ts'

/** A mistake in what the command line was given. */
export const usage = (path: string, expected: string, found: string, hint: string): EspalierError =>
  new EspalierError([{ _tag: 'BadUsage', path, expected, found, hint }])

/** Throws issues that came as a value. */
export const refuse = (issues: readonly Issue[]): never => {
  throw new EspalierError(issues)
}

/** One readable message for any error, without a stack for ours and for what the system says of files. */
export const messageOf = (error: unknown): string => {
  if (error instanceof EspalierError) return formatIssues(error.issues)
  if (error instanceof Error && 'code' in error) return error.message
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

/** A folder that must be there before anything is computed for it. */
export const requireFolder = async (folder: string, flag: string): Promise<void> => {
  const found = await stat(folder).catch(() => undefined)
  if (found?.isDirectory() !== true)
    throw usage(flag, 'a path in a folder that exists', `"${folder}"`, 'Make the folder first.')
}

/** A folder to write to, in which none of these files may be overwritten. */
export const requireUnused = async (folder: string, files: readonly string[]): Promise<void> => {
  const there = await readdir(folder).catch((e: NodeJS.ErrnoException) => {
    if (e.code === 'ENOENT') return []
    throw usage('--output', 'a folder', `${folder}: ${e.code}`, 'Name another folder.')
  })
  const used = there.filter((name) => files.includes(name))
  if (used.length > 0)
    throw usage(
      '--output',
      'a folder that holds none yet',
      `${used.join(', ')} in ${folder}`,
      'Name another folder, or remove that one.',
    )
}
