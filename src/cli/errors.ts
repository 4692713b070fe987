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
