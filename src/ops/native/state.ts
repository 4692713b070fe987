import { createHash } from 'node:crypto'
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { temporaryPath } from './files.ts'
import { versions } from './location.ts'
import type { NativePaths } from './location.ts'
import { compile, sources, steps } from './plan.ts'
import type { Step } from './plan.ts'

interface Stamp {
  readonly describe: string
  readonly digest: string
}

/** The steps that are not done yet; a binding of other sources than today's counts as not done. */
export const stepsToDo = (paths: NativePaths): readonly Step[] => {
  const fetched = existsSync(paths.project) && existsSync(paths.tensorflow)
  const verified = fetched && existsSync(paths.binding) && readStamp(paths)?.digest === digest(paths)
  const done: Record<Step, boolean> = {
    package: existsSync(paths.project),
    library: existsSync(paths.tensorflow),
    binding: verified,
    check: verified,
  }
  return steps.filter((step) => !done[step])
}

/** Marks the engine as verified. */
export const writeStamp = (paths: NativePaths, describe: string): void => {
  const temporary = temporaryPath(paths.root, 'ready.json')
  writeFileSync(temporary, `${JSON.stringify({ describe, digest: digest(paths), versions }, null, 2)}\n`)
  renameSync(temporary, paths.stamp)
}

/** What was verified, or `null` when nothing was. */
export const readStamp = (paths: NativePaths): Stamp | null => {
  try {
    return JSON.parse(readFileSync(paths.stamp, 'utf8')) as Stamp
  } catch {
    return null
  }
}

const digest = (paths: NativePaths): string => {
  const hash = createHash('sha256').update(JSON.stringify(versions))
  for (const source of sources(paths)) {
    hash.update(JSON.stringify(compile('', paths, source, '').args)).update(readFileSync(source.file))
  }
  return hash.digest('hex')
}
