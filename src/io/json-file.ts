import type { HubConfig } from '../model/hub-config.ts'
import { isRecord } from './codec.ts'
import { readBytes, withFile } from './files.ts'
import { describe, reject } from './issues.ts'
import { decodeUtf8, parseJson } from './json.ts'
import { longestHeader } from './tensors/header.ts'

/** The text of a whole file; one that is longer than any of its kind is refused unread, with this hint. */
export const readText = (path: string, hint: string, what = 'text'): Promise<string> =>
  withFile(path, async (file, size) => {
    if (size > longestHeader) reject('TooLarge', path, `at most ${longestHeader} bytes of ${what}`, `${size}`, hint)
    return decodeUtf8(await readBytes(file, 0, size, path), path)
  })

/** What a JSON file holds, read strictly. */
export const readJson = async (path: string, hint: string): Promise<unknown> =>
  parseJson(await readText(path, hint, 'JSON'), path)

/** An object from a JSON file, read strictly. */
export const readJsonFile = async (path: string): Promise<HubConfig> => {
  const json = await readJson(path, 'No configuration is as large as that.')
  return isRecord(json)
    ? json
    : reject('BadJson', path, 'an object', describe(json), 'Another program wrote this file.')
}

/** What is read, or undefined where there is no such file. */
export const orAbsent = <A>(reading: Promise<A>): Promise<A | undefined> =>
  reading.catch((error: unknown) =>
    error instanceof Error && 'code' in error && error.code === 'ENOENT' ? undefined : Promise.reject(error),
  )
