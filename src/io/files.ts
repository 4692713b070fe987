import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { copyFile, link, mkdir, open, rename, rm, stat } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { reject } from './issues.ts'

// One call of the system moves less than 2 GiB.
const mostAtOnce = 2 ** 28

/** Takes bytes in order; they may be reused once the promise is kept. */
export type Sink = (bytes: Uint8Array) => Promise<void>

/** A file to be, and how its bytes come about. */
export interface Draft {
  readonly name: string
  readonly write: (sink: Sink) => Promise<void>
}

/** Under this name the file that was there before is kept until all of a set of files are in place. */
export const previousOf = (name: string): string => `${name}.previous`

const sinkInto =
  (file: FileHandle): Sink =>
  async (bytes) => {
    for (let done = 0; done < bytes.length;)
      done += (await file.write(bytes, done, Math.min(mostAtOnce, bytes.length - done))).bytesWritten
  }

const writeTo = async (path: string, { write }: Draft): Promise<void> => {
  const file = await open(path, 'wx')
  try {
    await write(sinkInto(file))
    await file.sync()
  } finally {
    await file.close()
  }
}

/** A second name for a file, if there is one; the content is copied only where a disk knows no links. */
const keep = async (path: string, as: string): Promise<boolean> => {
  await rm(as, { force: true })
  try {
    await link(path, as).catch((error: unknown) =>
      (error as NodeJS.ErrnoException).code === 'ENOENT'
        ? Promise.reject(error)
        : copyFile(path, as, constants.COPYFILE_EXCL),
    )
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}

/** Renames are on the disk only once the folder is. */
const syncFolder = async (folder: string): Promise<void> => {
  const handle = await open(folder, 'r').catch(() => undefined)
  // Some systems cannot do this with a folder, and need not.
  await handle?.sync().catch(() => undefined)
  await handle?.close()
}

/**
 * Writes files that belong together: all under temporary names first, then renamed in order, the last one the commit point.
 *
 * A failure leaves every old file whole, and nothing else behind.
 */
export const commit = async (folder: string, drafts: readonly Draft[]): Promise<void> => {
  const token = randomBytes(6).toString('hex')
  const files = drafts.map((draft) => ({
    draft,
    path: join(folder, draft.name),
    temporary: join(folder, `.${draft.name}.${token}.tmp`),
    previous: join(folder, previousOf(draft.name)),
  }))
  const replaced: { readonly path: string; readonly previous: string; readonly kept: boolean }[] = []
  await mkdir(folder, { recursive: true })
  try {
    for (const { draft, temporary } of files) await writeTo(temporary, draft)
    for (const [i, { path, temporary, previous }] of files.entries()) {
      const isLast = i === files.length - 1
      if (!isLast) replaced.push({ path, previous, kept: await keep(path, previous) })
      await rename(temporary, path)
    }
    await syncFolder(folder)
    for (const { previous } of replaced) await rm(previous, { force: true })
  } catch (error) {
    for (const { path, previous, kept } of replaced)
      await (kept ? rename(previous, path) : rm(path, { force: true })).catch(() => undefined)
    throw error
  } finally {
    for (const { temporary } of files) await rm(temporary, { force: true }).catch(() => undefined)
  }
}

/** Opens a regular file and closes it whatever happens; a pipe, which one could wait for endlessly, is refused. */
export const withFile = async <A>(path: string, use: (file: FileHandle, size: number) => Promise<A>): Promise<A> => {
  if (!(await stat(path)).isFile())
    reject('NotAFile', path, 'a file', 'something else', 'Give the path of a regular file.')
  const file = await open(path, 'r')
  try {
    return await use(file, (await file.stat()).size)
  } finally {
    await file.close()
  }
}

/** Some bytes of a file; exactly as many as asked for. */
export const readBytes = async (
  file: FileHandle,
  position: number,
  length: number,
  path: string,
): Promise<Uint8Array<ArrayBuffer>> => {
  const bytes = new Uint8Array(length)
  for (let done = 0; done < length;) {
    const { bytesRead } = await file.read(bytes, done, Math.min(mostAtOnce, length - done), position + done)
    if (bytesRead === 0)
      reject(
        'Truncated',
        path,
        `${length} bytes at ${position}`,
        `${done}`,
        'The file was cut off, or changed while it was read.',
      )
    done += bytesRead
  }
  return bytes
}

/** Whether there is anything at a path. */
export const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

/** Whether there is a file at a path, and no folder. */
export const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  )
