import { createHash } from 'node:crypto'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import * as t from 'io-ts'
import type { Tensor } from '../../tree/tensor.ts'
import { byName, headerIssues } from './build.ts'
import { Sha256, Whole, exactly } from '../codec.ts'
import type { StoredTensor } from '../tensors/dtypes.ts'
import { TreeCodec } from './entries.ts'
import { commit, previousOf } from '../files.ts'
import { decode, inFile, refuse, reject } from '../issues.ts'
import type { Issues } from '../issues.ts'
import { readJson } from '../json-file.ts'
import { writeJson } from '../json.ts'
import type { Json } from '../json.ts'
import { readThrough, writeThrough } from '../tensors/safetensors.ts'

/** What a folder holds; its two files are called after it. */
export type Kind = 'model' | 'run' | 'adapter'

const version = 1
const loaders: Readonly<Record<Kind, string>> = { model: 'loadModel', run: 'loadRun', adapter: 'loadAdapter' }

/** The JSON file of a folder. */
export const jsonOf = (folder: string, kind: Kind): string => join(folder, `${kind}.json`)
const tensorsOf = (folder: string, kind: Kind): string => join(folder, `${kind}.safetensors`)

const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex')

/** Says which bytes of tensors belong to the JSON. */
interface Belonging {
  readonly bytes: number
  readonly sha256: string
}

/** A folder's JSON as it was read. */
export interface Document {
  readonly tree: Json
  /** What else this kind of folder says. */
  readonly rest: Readonly<Record<string, unknown>>
  readonly belonging: Belonging
}

/**
 * Writes a folder of two files: the tensors, and the JSON that says what they are, which comes last and makes it count.
 *
 * The JSON carries a digest of both, so that damage and mixed-up files are noticed.
 */
export const saveFolder = (
  folder: string,
  kind: Kind,
  tree: Json,
  rest: Readonly<Record<string, Json>>,
  tensors: ReadonlyMap<string, Tensor>,
): Promise<void> => {
  const hash = createHash('sha256')
  let bytes = 0
  return commit(folder, [
    {
      name: `${kind}.safetensors`,
      write: (sink) =>
        writeThrough(tensors, {}, tensorsOf(folder, kind), (part) => {
          hash.update(part)
          bytes += part.length
          return sink(part)
        }),
    },
    {
      name: `${kind}.json`,
      write: (sink) => {
        const content = {
          format: `espalier/${kind}`,
          version,
          ...rest,
          tree,
          tensors: { bytes, sha256: hash.digest('hex') },
        }
        return sink(Buffer.from(`${writeJson({ ...content, checksum: digestOf(writeJson(content)) })}\n`))
      },
    },
  ])
}

const Envelope = t.type({ format: t.string, version: t.number }, 'a JSON file of Espalier')

const requireKind = (json: unknown, kind: Kind, path: string): void => {
  const head = decode(Envelope, json, path)
  const other = Object.entries(loaders).find(([k]) => head.format === `espalier/${k}`)
  if (head.format !== `espalier/${kind}`)
    reject(
      'WrongFormat',
      inFile(path, 'format'),
      `"espalier/${kind}"`,
      JSON.stringify(head.format),
      other ? `Use ${other[1]} for this one.` : 'Another program wrote this file.',
    )
  if (head.version !== version)
    reject(
      'WrongVersion',
      inFile(path, 'version'),
      `version ${version}`,
      String(head.version),
      'A newer Espalier wrote this: update this one.',
    )
}

// Most often the folder is there and holds something else.
const explainMissing = async (folder: string, error: unknown): Promise<never> => {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  const files = await readdir(folder).catch(() => undefined)
  const names = files?.filter((name) => name.endsWith('.json')).join(', ')
  return reject(
    'NotFound',
    folder,
    'a file that Espalier wrote',
    files === undefined ? 'no such folder' : `a folder with ${names || 'no JSON file'}`,
    'Check the path: adapter.json is for loadAdapter, model.json for loadModel, run.json for loadRun.',
  )
}

/** Reads a folder's JSON: `props` says what this kind has besides the tree. */
export const openFolder = async (folder: string, kind: Kind, props: t.Props = {}): Promise<Document> => {
  const path = jsonOf(folder, kind)
  const json = await readJson(path, 'No file of ours is as long as that.').catch((error: unknown) =>
    explainMissing(folder, error),
  )
  requireKind(json, kind, path)
  const codec = exactly(
    {
      ...props,
      format: t.string,
      version: t.number,
      tree: TreeCodec,
      tensors: exactly({ bytes: Whole, sha256: Sha256 }, 'the size and digest of the tensors'),
      checksum: Sha256,
    },
    'a JSON file of Espalier',
  )
  const { checksum, ...content } = decode(codec, json, path)
  // What may be left out is decoded to a field that the text has not.
  const said = Object.fromEntries(Object.entries(content).filter(([, value]) => value !== undefined)) as Json
  if (checksum !== digestOf(writeJson(said)))
    reject(
      'Damaged',
      path,
      `a file whose digest is ${checksum}`,
      'another',
      'The file was changed after it was written.',
    )
  const { tree, tensors, format: _, version: __, ...rest } = content
  return { tree, rest, belonging: tensors }
}

const readBelonging = async (
  path: string,
  { tree, belonging }: Document,
  known: Issues,
): Promise<ReadonlyMap<string, StoredTensor>> => {
  const wanted = byName(tree, path)
  const carried = new Map([...wanted].filter(([, { entry }]) => entry.inBase === undefined))
  const hash = createHash('sha256')
  const damaged = (found: string): never =>
    reject(
      'Damaged',
      path,
      `${belonging.bytes} bytes with the digest ${belonging.sha256}`,
      found,
      'The file was changed, or belongs to another save.',
    )
  const tensors = await readThrough(
    path,
    (header, size) => {
      refuse([...known, ...headerIssues(carried, header, path)])
      if (size !== belonging.bytes) damaged(`${size} bytes`)
    },
    (bytes) => hash.update(bytes),
  )
  return hash.digest('hex') === belonging.sha256 ? tensors : damaged('another')
}

/** Reads the tensors that a folder's JSON speaks of, unless something is wrong with them or was already. */
export const readFolder = async (
  folder: string,
  kind: Kind,
  document: Document,
  known: Issues = [],
): Promise<ReadonlyMap<string, StoredTensor>> => {
  const path = tensorsOf(folder, kind)
  try {
    return await readBelonging(path, document, known)
  } catch (error) {
    // A save that was cut off between its two renames has left the old tensors under this name.
    const previous = previousOf(path)
    if (known.length > 0 || !(await stat(previous).catch(() => undefined))) throw error
    return readBelonging(previous, document, known).catch(() => Promise.reject(error))
  }
}
