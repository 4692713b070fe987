import type { HubConfig } from '../model/hub-config.ts'
import { isRecord } from './codec.ts'
import { readBytes, withFile } from './files.ts'
import { longestHeader } from './tensors/header.ts'
import { describe, reject } from './issues.ts'
import { decodeUtf8, parseJson } from './json.ts'

/** An object from a JSON file, read strictly. */
export const readJsonFile = (path: string): Promise<HubConfig> =>
  withFile(path, async (file, size) => {
    if (size > longestHeader)
      reject(
        'TooLarge',
        path,
        `at most ${longestHeader} bytes of JSON`,
        `${size}`,
        'No configuration is as large as that.',
      )
    const json = parseJson(decodeUtf8(await readBytes(file, 0, size, path), path), path)
    return isRecord(json)
      ? json
      : reject('BadJson', path, 'an object', describe(json), 'Another program wrote this file.')
  })
