import { createHash } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { basename, dirname, isAbsolute, join } from 'node:path'
import { EspalierError } from '../../tree/error.ts'
import { commit, isThere } from '../files.ts'
import type { Sink } from '../files.ts'
import { io, messageOf, orThrow, reject } from '../issues.ts'
import type { Io } from '../issues.ts'
import { isPickle, refusePickle } from '../tensors/shards.ts'

/** Where and which files of a repository are fetched. */
export interface HubOptions {
  /** A branch, a tag or a commit; `main` unless told otherwise. */
  readonly revision?: string
  /** The folder that keeps what was fetched; `espalier/hub` in the user's cache unless told otherwise. */
  readonly cache?: string
  /** What a private or gated repository asks for. */
  readonly accessToken?: string
  /** Makes the requests; the global `fetch` unless told otherwise. */
  readonly fetch?: typeof fetch
}

interface Entry {
  readonly type: string
  readonly path: string
  readonly size: number
  readonly lfs?: { readonly oid: string }
}

/** What is used of the library. */
interface Library {
  readonly modelInfo: (of: object) => Promise<{ readonly sha: string }>
  readonly listFiles: (of: object) => AsyncIterable<Entry>
  readonly downloadFile: (of: object) => Promise<Blob | null>
}

// One folder of a name would be as good as a folder that somebody has misspelled.
const idPattern = /^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*$/
const revisionPattern = /^[A-Za-z0-9][\w./-]*$/
const commitPattern = /^[0-9a-f]{40}$/
const templates = 'additional_chat_templates'
const json =
  'config|generation_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|adapter_config|chat_template'
const wanted = new RegExp(
  String.raw`^((${json}|model\.safetensors\.index)\.json|chat_template\.jinja|${templates}/[^/]+\.jinja|` +
    String.raw`(adapter_)?model(-\d+-of-\d+)?\.safetensors)$`,
)

const climbs = (name: string): boolean => name.split(/[/\\]/).some((part) => part === '..' || part === '')

/** Whether a name is that of a repository: an owner and a name. @internal */
export const isHubId = (name: string): boolean => idPattern.test(name) && !climbs(name)

const cacheFolder = (environment: NodeJS.ProcessEnv = process.env): string => {
  const shared = environment['XDG_CACHE_HOME'] ?? ''
  return join(isAbsolute(shared) ? shared : join(homedir(), '.cache'), 'espalier', 'hub')
}

const importLibrary = async (id: string): Promise<Library> => {
  try {
    return (await import('@huggingface/hub')) as unknown as Library
  } catch (error) {
    const hint = `Run "npm install @huggingface/hub", or give the folder that ${id} lies in.`
    return reject('MissingPeer', '@huggingface/hub', 'an installed package', messageOf(error), hint)
  }
}

/** What the Hub answered, or why it did not, as an issue. */
const asked = async <A>(id: string, ask: () => Promise<A>): Promise<A> => {
  try {
    return await ask()
  } catch (error) {
    // What fails at a path is the disk, not the Hub.
    if (error instanceof EspalierError || (error instanceof Error && 'path' in error)) throw error
    const status = (error as { readonly statusCode?: unknown }).statusCode
    if (typeof status !== 'number')
      return reject('Offline', id, 'an answer of the Hugging Face Hub', messageOf(error), 'Connect, or give a folder.')
    const hint =
      status === 401 || status === 403 || status === 404
        ? 'Check its name and revision; a private or gated one needs { accessToken }.'
        : 'Try again later, or give a folder.'
    return reject('HubRefused', id, 'a repository that can be read', messageOf(error), hint)
  }
}

const writeBlob = async (id: string, { path, size, lfs }: Entry, blob: Blob, sink: Sink): Promise<void> => {
  const hash = createHash('sha256')
  let done = 0
  for await (const bytes of blob.stream() as unknown as AsyncIterable<Uint8Array>) {
    hash.update(bytes)
    done += bytes.length
    await sink(bytes)
  }
  const whole = done === size && (lfs === undefined || hash.digest('hex') === lfs.oid)
  if (!whole) reject('Truncated', `${id}/${path}`, `${size} bytes as listed`, `${done} or others`, 'Fetch it again.')
}

/** The commit that a revision was when it was last fetched whole. */
const known = async (pointer: string): Promise<string | undefined> => {
  const text = await readFile(pointer, 'utf8').catch(() => '')
  return commitPattern.test(text) ? text : undefined
}

/**
 * Fetches a repository of the Hugging Face Hub into the cache, and gives the folder: its configuration, safetensors and tokenizer.
 *
 * Every file is checked against the size, and where the Hub tells it the SHA-256, that is listed. What is there already is not
 * fetched again; without a connection, what a revision last was is used. Needs the package @huggingface/hub. Errors:
 * `MissingPeer`, `BadName`, `Offline`, `HubRefused`, `Truncated`, `FileSystem`.
 *
 * @example
 * ```ts
 * import { fromHub } from 'espalier/io'
 * const result = await fromHub('../somewhere/else')()
 * result._tag // => 'Left'
 * ```
 */
export const fromHub = (id: string, options: HubOptions = {}): Io<string> => fetched(id, options, () => undefined)

/** The files of a repository: those beside its configuration, and further templates of chats. */
async function* filesOf(hub: Library, of: object): AsyncGenerator<Entry, void, void> {
  for await (const entry of hub.listFiles(of)) {
    yield entry
    if (entry.type === 'directory' && entry.path === templates) yield* hub.listFiles({ ...of, path: templates })
  }
}

const fetched = (
  id: string,
  { revision = 'main', cache = cacheFolder(), accessToken, fetch: request }: HubOptions,
  check: (names: readonly string[]) => void,
): Io<string> =>
  io(id, async () => {
    if (!isHubId(id))
      reject('BadName', id, 'owner/name', JSON.stringify(id), 'Take the name from the address of its page on the Hub.')
    if (!revisionPattern.test(revision) || climbs(revision))
      reject('BadName', `${id}@${revision}`, 'a branch, a tag or a commit', JSON.stringify(revision), 'It is no path.')
    const root = join(cache, `models--${id.replace('/', '--')}`)
    const pointer = join(root, 'refs', encodeURIComponent(revision))
    const before = await known(pointer)
    if (before !== undefined && before === revision) return join(root, before)
    const hub = await importLibrary(id)
    const common = {
      ...(accessToken === undefined ? {} : { accessToken }),
      ...(request === undefined ? {} : { fetch: request }),
    }
    const fetchAll = async (): Promise<string> => {
      const { sha } = await hub.modelInfo({ name: id, revision, additionalFields: ['sha'], ...common })
      if (!commitPattern.test(sha)) reject('HubRefused', id, 'a commit', JSON.stringify(sha), 'Try again later.')
      const repo = { type: 'model', name: id } as const
      const entries: Entry[] = []
      for await (const entry of filesOf(hub, { repo, revision: sha, ...common })) {
        if (climbs(entry.path))
          reject(
            'BadName',
            id,
            'files inside the repository',
            JSON.stringify(entry.path),
            'Do not use this repository.',
          )
        if (entry.type === 'file') entries.push(entry)
      }
      check(entries.map(({ path }) => path))
      for (const entry of entries) {
        const target = join(root, sha, entry.path)
        if (!wanted.test(entry.path) || (await isThere(target))) continue
        const blob = await hub.downloadFile({ repo, path: entry.path, revision: sha, ...common })
        if (blob === null) return reject('HubRefused', `${id}/${entry.path}`, 'a file', 'nothing', 'Try again later.')
        const write = (sink: Sink): Promise<void> => writeBlob(id, entry, blob, sink)
        await commit(dirname(target), [{ name: basename(target), write }])
      }
      return sha
    }
    const sha = await asked(id, fetchAll).catch((error: unknown) => {
      const isOffline = error instanceof EspalierError && error.issues[0]?._tag === 'Offline'
      return isOffline && before !== undefined ? before : Promise.reject(error)
    })
    await mkdir(join(root, 'refs'), { recursive: true })
    await writeFile(pointer, sha)
    return join(root, sha)
  })

/** The folder of a checkpoint: a folder that is there, else what the Hub has under this name; throws `PickleOnly`. @internal */
export const located = async (source: string, options: HubOptions | undefined): Promise<string> => {
  if (!isHubId(source) || (await isThere(source))) return source
  return orThrow(
    fetched(source, options ?? {}, (names) => {
      const pickle = names.find(isPickle)
      if (pickle !== undefined && !names.some((name) => /^model[^/]*\.safetensors$/.test(name)))
        refusePickle(`${source}/${pickle}`)
    }),
  )
}
