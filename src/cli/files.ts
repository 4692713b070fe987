import { readFile } from 'node:fs/promises'
import { usage } from './errors.ts'

/** A JSON file, or a message that names the file and what is wrong with it. */
export const readJson = async (path: string, what: string): Promise<unknown> => {
  const text = await readFile(path, 'utf8').catch((e: NodeJS.ErrnoException) => {
    throw usage(path, `${what} as a JSON file`, e.code === 'ENOENT' ? 'no such file' : e.message, 'Check the path.')
  })
  try {
    return JSON.parse(text) as unknown
  } catch (e) {
    throw usage(
      path,
      `${what} as JSON`,
      (e as Error).message,
      'Mend the file; JSON wants double quotes and no trailing commas.',
    )
  }
}
