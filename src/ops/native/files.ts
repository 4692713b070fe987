import { existsSync, lstatSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** Makes a directory and those above it; Node's `recursive` never returns where the file system answers ENOENT. */
export const makeDirectory = (path: string): void => {
  if (isDirectory(path)) return
  if (dirname(path) !== path) makeDirectory(dirname(path))
  try {
    mkdirSync(path)
  } catch (error) {
    if (!isDirectory(path)) throw error
  }
}

const isDirectory = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false

/** A path inside `root` for work in progress; its name says which process it belongs to. */
export const temporaryPath = (root: string, name: string): string => join(root, `temporary-${process.pid}-${name}`)

/** Removes what this process and processes that are no more have left below `root`, as far as that is allowed. */
export const sweep = (root: string): void => {
  try {
    sweepDirectory(root)
  } catch {
    // What cannot be removed only takes space; the result of the installation is what the caller wants to hear.
  }
}

const sweepDirectory = (root: string): void => {
  for (const name of readdirSync(root)) {
    const owner = Number(/^temporary-(\d+)-/.exec(name)?.[1])
    if (owner === process.pid || (owner > 0 && !isAlive(owner))) {
      rmSync(join(root, name), { recursive: true, force: true })
    }
  }
}

/** Gives finished work its name. Of two processes at once the first wins, and the second uses what is there. */
export const publish = (temporary: string, final: string): void => {
  try {
    renameSync(temporary, final)
  } catch (error) {
    if (!existsSync(final)) throw error
  }
}

/** Bytes of all files at or below `path`; links are not followed. */
export const sizeOf = (path: string): number => {
  const status = lstatSync(path)
  if (!status.isDirectory()) return status.size
  return readdirSync(path).reduce((sum, name) => sum + sizeOf(join(path, name)), 0)
}

/** `'437 MB'`; kilobytes below one megabyte. */
export const formatBytes = (bytes: number): string =>
  bytes < 1e6 ? `${Math.round(bytes / 1e3)} kB` : `${Math.round(bytes / 1e6)} MB`

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
