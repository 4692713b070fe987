import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readFile, readdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { count } from '../../src/index.ts'
import { fromHub, loadPretrained, orThrow } from '../../src/io/index.ts'
import { fixture } from './fixtures.ts'

const id = 'somebody/a-bert'
const sha = 'a'.repeat(40)

/** A hub of one repository: its files, and which of them were asked for. */
interface FakeHub {
  readonly fetch: typeof fetch
  readonly asked: string[]
}

const answer = (body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}, status = 200): Response =>
  new Response(body, { status, headers })

const fakeHub = (
  files: Readonly<Record<string, Uint8Array<ArrayBuffer>>>,
  lie: { readonly oid?: string } = {},
): FakeHub => {
  const asked: string[] = []
  const fetchFrom = async (input: unknown, init?: RequestInit): Promise<Response> => {
    const url = new URL(String(input instanceof Request ? input.url : input))
    const range = new Headers(init?.headers).get('range')
    if (url.pathname.startsWith(`/api/models/${id}/tree/`)) {
      const folder = url.pathname.split(`/tree/${sha}/`)[1] ?? ''
      const inside = Object.entries(files).filter(([path]) => folder === '' || path.startsWith(`${folder}/`))
      const folders = Object.keys(files).flatMap((path) => (/^(\w+)\/[^/]+$/.exec(path) ?? []).slice(1))
      const listed = inside.filter(([path]) => folder !== '' || !folders.some((name) => path.startsWith(`${name}/`)))
      const directories = folder === '' ? [...new Set(folders)] : []
      const entries = listed.map(([path, data]) => ({
        type: 'file',
        path,
        size: data.length,
        oid: '1',
        ...(path.endsWith('.safetensors')
          ? {
              lfs: {
                oid: lie.oid ?? createHash('sha256').update(data).digest('hex'),
                size: data.length,
                pointerSize: 1,
              },
            }
          : {}),
      }))
      const all = [...directories.map((path) => ({ type: 'directory', path, size: 0, oid: '1' })), ...entries]
      return answer(JSON.stringify(all), { 'content-type': 'application/json' })
    }
    if (url.pathname.startsWith(`/api/models/${id}`))
      return answer(JSON.stringify({ _id: '1', id, sha, private: false, gated: false, likes: 0, downloads: 0 }))
    const name = decodeURIComponent(url.pathname.split(`/resolve/${sha}/`)[1] ?? '')
    const data = files[name]
    if (data === undefined)
      return answer('{"error":"Repository not found"}', { 'content-type': 'application/json' }, 404)
    if (range === 'bytes=0-0')
      return answer(data.slice(0, 1), { 'content-range': `bytes 0-0/${data.length}`, etag: '"1"' }, 206)
    asked.push(name)
    return answer(data)
  }
  return { fetch: fetchFrom, asked }
}

const offline: typeof fetch = () => Promise.reject(new TypeError('fetch failed'))

const bytesOf = async (name: string): Promise<Uint8Array<ArrayBuffer>> =>
  new Uint8Array(await readFile(join(fixture('models/bert-seqcls'), name)))

const repository = async (): Promise<Record<string, Uint8Array<ArrayBuffer>>> => ({
  'config.json': await bytesOf('config.json'),
  'model.safetensors': await bytesOf('model.safetensors'),
  'pytorch_model.bin': new Uint8Array(10),
  'onnx/model.safetensors': new Uint8Array(10),
})

describe('a model by its name on the Hub', () => {
  let cache = ''
  beforeEach(async () => {
    cache = await mkdtemp(join(tmpdir(), 'espalier-hub-'))
  })

  const tagsOf = async (task: ReturnType<typeof fromHub>): Promise<readonly string[]> => {
    const result = await task()
    return result._tag === 'Left' ? result.left.map((i) => i._tag) : [result.right]
  }

  test('is fetched once, what is wanted of it only, and loads', async () => {
    const hub = fakeHub(await repository())
    const { model } = await orThrow(loadPretrained(id, { hub: { cache, fetch: hub.fetch } }))
    const local = await orThrow(loadPretrained(fixture('models/bert-seqcls')))
    expect(count(model)).toEqual(count(local.model))
    expect(hub.asked.toSorted()).toEqual(['config.json', 'model.safetensors'])
    await orThrow(fromHub(id, { cache, fetch: hub.fetch }))
    expect(hub.asked).toHaveLength(2)
  })

  test('is used from the cache without a connection, and missed where nothing is there', async () => {
    expect(await tagsOf(fromHub(id, { cache, fetch: offline }))).toEqual(['Offline'])
    const folder = await orThrow(fromHub(id, { cache, fetch: fakeHub(await repository()).fetch }))
    expect(await orThrow(fromHub(id, { cache, fetch: offline }))).toBe(folder)
    expect(await tagsOf(fromHub(id, { cache, revision: 'v2', fetch: offline }))).toEqual(['Offline'])
  })

  test('by a commit, what was fetched whole asks nobody', async () => {
    const whole = await orThrow(fromHub(id, { cache, revision: sha, fetch: fakeHub(await repository()).fetch }))
    const nobody: typeof fetch = () => Promise.reject(new Error('asked'))
    expect(await orThrow(fromHub(id, { cache, revision: sha, fetch: nobody }))).toBe(whole)
  })

  test('has its further templates of chats fetched, and no other folder', async () => {
    const named = 'additional_chat_templates/tool.jinja'
    const hub = fakeHub({ ...(await repository()), [named]: new TextEncoder().encode('{{ tools }}') })
    const folder = await orThrow(fromHub(id, { cache, fetch: hub.fetch }))
    expect(await readFile(join(folder, named), 'utf8')).toBe('{{ tools }}')
    expect(hub.asked.toSorted()).toEqual([named, 'config.json', 'model.safetensors'])
  })

  test('that is there as a pickle alone is refused as that, each time; its other files can be had', async () => {
    const { 'model.safetensors': _, ...pickled } = await repository()
    const hub = { cache, fetch: fakeHub(pickled).fetch }
    for (let time = 0; time < 2; time++) {
      const result = await loadPretrained(id, { hub })()
      expect(result._tag === 'Left' && result.left[0]).toMatchObject({
        _tag: 'PickleOnly',
        path: `${id}/pytorch_model.bin`,
      })
    }
    expect(await readdir(await orThrow(fromHub(id, hub)))).toEqual(['config.json'])
  })

  test('a folder of that name wins', async () => {
    const home = process.cwd()
    process.chdir(cache)
    try {
      await mkdir(id, { recursive: true })
      await writeFile(join(id, 'config.json'), '{"model_type":"nothing"}')
      const result = await loadPretrained(id, { hub: { cache, fetch: offline } })()
      expect(result._tag === 'Left' && result.left[0]?._tag).toBe('UnsupportedModel')
    } finally {
      process.chdir(home)
    }
  })

  test('what does not have the hash that is listed is refused, and nothing of it is left', async () => {
    const hub = fakeHub(await repository(), { oid: '0'.repeat(64) })
    expect(await tagsOf(fromHub(id, { cache, fetch: hub.fetch }))).toEqual(['Truncated'])
    const left = await readdir(cache, { recursive: true })
    expect(left.filter((name) => name.includes('safetensors') || name.includes('refs'))).toEqual([])
  })

  test('a name that is not there is refused by the Hub', async () => {
    const other = fakeHub({})
    expect(await tagsOf(fromHub('somebody/else', { cache, fetch: other.fetch }))).toEqual(['HubRefused'])
  })

  test.for(['../evil', 'a/../b', 'a/..', 'a/b/c', 'gpt2', '/etc/passwd', 'a\\b/c', '', 'a/b..c/'])(
    '%j is no name of a repository',
    async (name) => {
      expect(await tagsOf(fromHub(name, { cache, fetch: offline }))).toEqual(['BadName'])
      expect(await readdir(cache)).toEqual([])
    },
  )

  test.for(['../../etc', 'a/../../b', '', '-x'])('%j is no revision', async (revision) => {
    expect(await tagsOf(fromHub(id, { cache, revision, fetch: offline }))).toEqual(['BadName'])
  })

  test.for(['../config.json', 'a/../../model.safetensors', '/config.json'])(
    'a repository that lists %j is refused',
    async (path) => {
      const hub = fakeHub({ [path]: new Uint8Array([123, 125]) })
      expect(await tagsOf(fromHub(id, { cache, fetch: hub.fetch }))).toEqual(['BadName'])
      expect(await readdir(cache)).toEqual([])
    },
  )
})
