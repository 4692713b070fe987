import { realpath, readdir } from 'node:fs/promises'
import { basename, dirname, join, sep } from 'node:path'
import * as t from 'io-ts'
import type { Issue } from '../../tree/error.ts'
import { didYouMean } from '../../tree/nearest.ts'
import type { StoredTensor } from './dtypes.ts'
import { withFile } from '../files.ts'
import type { SafetensorsHeader, StoredEntry } from './header.ts'
import { clip, decode, describe, inFile, io, issue, refuse, reject } from '../issues.ts'
import type { Io } from '../issues.ts'
import { readJson } from '../json-file.ts'
import { openHeader, readEntry } from './safetensors.ts'

/** One tensor of a checkpoint, before it is read. */
export interface CheckpointEntry extends StoredEntry {
  /** The file of the folder that it lies in. */
  readonly file: string
}

/** A folder of weights, of which nothing but the headers was read. */
export interface Checkpoint {
  /** File by file, and in each in the order in which the tensors lie there: to read in this order is fastest. */
  readonly entries: ReadonlyMap<string, CheckpointEntry>
  /** The notes of the files; of two files that differ in one, the earlier has the word. */
  readonly metadata: Readonly<Record<string, string>>
  /** Reads one tensor by its place. Rejects with `MissingTensor`, `Changed`, `TooLarge`, and what opening the file may give. */
  readonly read: (name: string) => Promise<StoredTensor>
}

const single = 'model.safetensors'
const indexName = `${single}.index.json`

const Index = t.type({ weight_map: t.UnknownRecord }, 'an index with a weight_map')

/** A shard as the files say it is. */
interface Shard {
  readonly file: string
  readonly header: SafetensorsHeader
  /** Where its tensors begin, and how long it is as a whole. */
  readonly start: number
  readonly size: number
}

const readShard = (folder: string, file: string): Promise<Shard> =>
  withFile(join(folder, file), async (handle, size) => {
    const { header, start } = await openHeader(handle, size, join(folder, file))
    return { file, header, start, size }
  })

/** A name is taken only if it is one in the folder, on every system that the checkpoint may be copied to. */
const isPlainName = (file: string): boolean =>
  /^[^/\\:\0]+\.safetensors$/.test(file) && basename(file) === file && !file.startsWith('.')

/**
 * Whether a file that is a link still lies with the folder.
 *
 * The Hub's cache keeps what a snapshot links to beside the snapshots, in `blobs`.
 */
const staysInside = async (folder: string, file: string): Promise<boolean> => {
  const [root, real] = [await realpath(folder), await realpath(join(folder, file))]
  const snapshots = dirname(root)
  const homes = [root, ...(basename(snapshots) === 'snapshots' ? [join(dirname(snapshots), 'blobs')] : [])]
  return homes.some((home) => real.startsWith(home + sep))
}

const shardIssue = async (
  folder: string,
  names: ReadonlySet<string>,
  file: string,
  place: string,
): Promise<readonly Issue[]> => {
  const refused = (expected: string, found: string, hint: string): readonly Issue[] => [
    issue('BadShard', place, expected, found, hint),
  ]
  if (!isPlainName(file))
    return refused(
      'the name of a .safetensors file in this folder',
      JSON.stringify(clip(file)),
      'Such a name may lead out of the folder: do not trust this checkpoint, or mend the name in its index.',
    )
  if (!names.has(file))
    return [issue('MissingShard', place, `the file "${file}"`, 'none', 'Download all files of the checkpoint.')]
  return (await staysInside(folder, file))
    ? []
    : refused('a file in this folder', `a link that leads out of it, "${file}"`, 'Copy the file into the folder.')
}

const readIndex = async (path: string): Promise<ReadonlyMap<string, string>> => {
  const json = await readJson(path, 'No model is as large as that.')
  const named = Object.entries(decode(Index, json, path).weight_map)
  refuse(
    named
      .filter(([, name]) => typeof name !== 'string')
      .map(([key, name]) =>
        issue('BadJson', keyOf(path, key), 'a file name', describe(name), 'Download the index again.'),
      ),
  )
  return new Map(named as (readonly [string, string])[])
}

const keyOf = (path: string, tensor: string): string => inFile(path, `weight_map.${tensor}`)

/** What index and shards say against each other. */
const contradictions = (folder: string, index: ReadonlyMap<string, string>, shards: readonly Shard[]): Issue[] => {
  const headers = new Map(shards.map(({ file, header }) => [file, header.tensors]))
  const absent = [...index]
    .filter(([name, file]) => !headers.get(file)!.has(name))
    .map(([name, file]) =>
      issue(
        'MissingTensor',
        inFile(join(folder, indexName), name),
        `a tensor of this name in "${file}"`,
        'none',
        'Index and files do not belong together: download the checkpoint again.',
      ),
    )
  const unnamed = shards.flatMap(({ file, header }) =>
    [...header.tensors.keys()].flatMap((name) => {
      const other = index.get(name)
      if (other === file) return []
      const here = inFile(join(folder, file), name)
      return other === undefined
        ? [
            issue(
              'UnlistedTensor',
              here,
              `a tensor that ${indexName} names`,
              'one that it does not',
              'Download it again.',
            ),
          ]
        : [
            issue(
              'DuplicateTensor',
              here,
              'each tensor in one file',
              `one in "${other}" too`,
              'Which is right? Drop one.',
            ),
          ]
    }),
  )
  return [...absent, ...unnamed]
}

const openShards = async (folder: string, names: ReadonlySet<string>): Promise<readonly Shard[]> => {
  const path = join(folder, indexName)
  const index = await readIndex(path)
  // The first tensor that names a file stands for the others in what is said of it.
  const files = new Map<string, string>()
  for (const [name, file] of index) if (!files.has(file)) files.set(file, name)
  const issues: Issue[] = []
  for (const [file, name] of files) issues.push(...(await shardIssue(folder, names, file, keyOf(path, name))))
  refuse(issues)
  const shards: Shard[] = []
  for (const file of [...files.keys()].toSorted()) shards.push(await readShard(folder, file))
  refuse(contradictions(folder, index, shards))
  return shards
}

/** Whether a file of this name holds weights as a pickle. */
export const isPickle = (name: string): boolean => /^pytorch_model.*\.bin(\.index\.json)?$/.test(name)

/** Refuses weights that are there as a pickle alone. */
export const refusePickle = (path: string): never =>
  reject(
    'PickleOnly',
    path,
    'weights in safetensors',
    'a pickle, which can run any program when it is read',
    'Convert it: in Python, AutoModel.from_pretrained(folder).save_pretrained(folder, safe_serialization=True).',
  )

const findShards = async (folder: string): Promise<readonly Shard[]> => {
  const names = await readdir(folder)
  if (names.includes(single)) return [await readShard(folder, single)]
  if (names.includes(indexName)) return openShards(folder, new Set(names))
  const pickle = names.find(isPickle)
  return pickle === undefined
    ? reject(
        'NotFound',
        folder,
        `${single}, or ${indexName} and its shards`,
        names.length === 0 ? 'an empty folder' : clip(names.toSorted().join(', ')),
        'Give the folder that the model was downloaded to.',
      )
    : refusePickle(join(folder, pickle))
}

/**
 * Opens a folder of weights as the Hugging Face Hub has them: `model.safetensors`, or an index and the shards it names.
 *
 * Only the headers are read, and held against each other; then any tensor by its name. Nothing stays open. Errors: `NotFound`,
 * `PickleOnly` for weights that are there in no other form, `BadShard` for a name or link that leads out of the folder,
 * `MissingShard`, `MissingTensor`, `UnlistedTensor`, `DuplicateTensor`, `TooLarge`, and those of `readHeader`.
 *
 * @example
 * ```ts
 * import { openCheckpoint, orThrow, writeSafetensors } from 'espalier/io'
 *
 * const half = { dtype: 'BF16', shape: [1], data: new Uint16Array([0x3f80]) } as const
 * await orThrow(writeSafetensors('weights/model.safetensors', { 'wte.weight': half }))
 * const checkpoint = await orThrow(openCheckpoint('weights'))
 * checkpoint.entries.get('wte.weight')?.dtype // => 'BF16'
 * const { data } = await checkpoint.read('wte.weight')
 * data // => new Uint16Array([0x3f80])
 * ```
 * @source transformers 5, `utils/hub.py`, `get_checkpoint_shard_files`.
 */
export const openCheckpoint = (folder: string): Io<Checkpoint> =>
  io(folder, async () => {
    const shards = await findShards(folder)
    const entries = new Map<string, CheckpointEntry>()
    for (const { file, header } of shards)
      for (const [name, entry] of header.tensors) entries.set(name, { ...entry, file })
    const byFile = new Map(shards.map((shard) => [shard.file, shard]))
    const read = async (name: string): Promise<StoredTensor> => {
      const entry = entries.get(name) ?? missing(folder, name, entries.keys())
      const { file, start, size } = byFile.get(entry.file)!
      const path = join(folder, file)
      return withFile(path, (handle, now) => {
        if (now !== size) reject('Changed', path, `${size} bytes, as before`, `${now}`, 'Open the checkpoint again.')
        return readEntry(handle, start, entry, path)
      })
    }
    const notes = shards.toReversed().flatMap(({ header }) => Object.entries(header.metadata))
    return { entries, metadata: Object.fromEntries(notes), read }
  })

const missing = (folder: string, name: string, names: Iterable<string>): never =>
  reject('MissingTensor', inFile(folder, name), `a tensor named "${clip(name)}"`, 'none', didYouMean(name, names))
