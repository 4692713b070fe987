import { open } from 'node:fs/promises'
import { EspalierError } from '../tree/error.ts'

/** A file that grows by lines of JSON. @internal */
export interface Lines {
  readonly write: (record: object) => Promise<void>
  readonly close: () => Promise<void>
}

/** Opens a file to append to; what was in it stays. Errors: `MetricsFile`. @internal */
export const openLines = async (path: string): Promise<Lines> => {
  const handle = await open(path, 'a').catch((error: unknown) => refuse(path, error))
  return {
    // A whole line at once, so that whoever reads along never sees half of one.
    write: (record) => handle.appendFile(`${JSON.stringify(record)}\n`).catch((error: unknown) => refuse(path, error)),
    close: () => handle.close(),
  }
}

const refuse = (path: string, error: unknown): never => {
  throw new EspalierError([
    {
      _tag: 'MetricsFile',
      path,
      expected: 'a file that can be appended to',
      found: error instanceof Error ? error.message : String(error),
      hint: 'Make its folder first, or name another file in "metrics".',
    },
  ])
}
