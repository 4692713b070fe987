import { createHash } from 'node:crypto'
import { existsSync, readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { temporaryPath } from './files.ts'
import { versions } from './location.ts'
import type { NativePaths } from './location.ts'
import { bindingSources, compile, kernelSources, steps } from './plan.ts'
import type { Source, Step } from './plan.ts'

interface Stamp {
  readonly describe: string
  readonly digest: string
}

const kernelDirectory = (): string => fileURLToPath(new URL('kernels', import.meta.url))

const kernelFiles = (): readonly string[] =>
  readdirSync(kernelDirectory())
    .filter((name) => /\.(cc|h)$/.test(name))
    .toSorted()

/** The kernels of our own, which lie beside this file. */
export const kernels = (): readonly Source[] => kernelSources(kernelDirectory(), kernelFiles())

/** Whether the verified binding was made of today's sources: kernels of another version take other inputs. */
export const isFresh = (paths: NativePaths): boolean => readStamp(paths)?.digest === digest(paths)

/** The steps that are not done yet; a binding of other sources than today's counts as not done. */
export const stepsToDo = (paths: NativePaths): readonly Step[] => {
  const fetched = existsSync(paths.project) && existsSync(paths.tensorflow)
  const verified = fetched && existsSync(paths.binding) && isFresh(paths)
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
  const file = (path: string): void => void hash.update(basename(path)).update(readFileSync(path))
  for (const { file: path, mends = [] } of bindingSources(paths)) {
    file(path)
    hash.update(JSON.stringify(mends))
  }
  for (const name of kernelFiles()) file(join(kernelDirectory(), name))
  // The flags, without the directories: the same sources in another place are the same engine.
  for (const { flags } of [
    { flags: compile('', paths, { file: '', flags: [] }, '').args.filter(isFlag) },
    ...kernels(),
  ])
    hash.update(JSON.stringify(flags))
  return hash.digest('hex')
}

const isFlag = (argument: string): boolean => /^-[ODfsmW]/.test(argument)
