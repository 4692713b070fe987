import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { afterAll, describe, expect, test } from 'vitest'
import { openCheckpoint, orThrow, writeSafetensors } from '../../src/io/index.ts'
import type { StoredTensor } from '../../src/io/index.ts'

const root = mkdtempSync(join(tmpdir(), 'espalier-shards-'))
afterAll(() => rmSync(root, { recursive: true }))

let made = 0
const fresh = (): string => {
  const folder = join(root, String(made++))
  mkdirSync(folder)
  return folder
}

const bf16 = (...codes: number[]): StoredTensor => ({
  dtype: 'BF16',
  shape: [codes.length],
  data: Uint16Array.from(codes),
})
const f32 = (...x: number[]): StoredTensor => ({ dtype: 'F32', shape: [x.length], data: Float32Array.from(x) })

const [one, two] = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'] as const
const map = { 'wte.weight': one, 'h.0.bias': one, 'h.1.bias': two } as const

/** A checkpoint of two shards, with this index. */
const sharded = async (weight_map: unknown = map): Promise<string> => {
  const folder = fresh()
  const note = { format: 'pt' }
  await orThrow(
    writeSafetensors(join(folder, one), { 'wte.weight': bf16(0x3f80, 0x4000), 'h.0.bias': f32(1, 2) }, note),
  )
  await orThrow(writeSafetensors(join(folder, two), { 'h.1.bias': f32(3) }, { ...note, part: '2' }))
  writeFileSync(join(folder, 'model.safetensors.index.json'), JSON.stringify({ metadata: {}, weight_map }))
  return folder
}

const said = async (folder: string): Promise<readonly string[]> => {
  const result = await openCheckpoint(folder)()
  if (E.isRight(result)) return []
  expect(result.left.every(({ path, hint }) => path.startsWith(folder) && hint !== '')).toBe(true)
  return result.left.map((i) => `${i._tag} ${i.path.slice(folder.length + 1)}: ${i.expected} / ${i.found}`)
}

describe('a checkpoint', () => {
  test('of one file is read tensor by tensor, each as it lies there', async () => {
    const folder = fresh()
    await orThrow(writeSafetensors(join(folder, 'model.safetensors'), { b: bf16(1, 2, 3), a: f32(0.5) }))
    writeFileSync(join(folder, 'pytorch_model.bin'), 'not looked at')
    const { entries, read } = await orThrow(openCheckpoint(folder))
    expect([...entries]).toEqual([
      ['a', { file: 'model.safetensors', dtype: 'F32', shape: [1], begin: 0, end: 4 }],
      ['b', { file: 'model.safetensors', dtype: 'BF16', shape: [3], begin: 4, end: 10 }],
    ])
    expect(await read('b')).toEqual(bf16(1, 2, 3))
    await expect(read('bb')).rejects.toThrow(/MissingTensor.*[\s\S]*"b"/)
  })

  test('of shards is one, in the order of its files', async () => {
    const folder = await sharded()
    const { entries, metadata, read } = await orThrow(openCheckpoint(folder))
    expect([...entries].map(([name, { file }]) => [name, file])).toEqual([
      ['h.0.bias', one],
      ['wte.weight', one],
      ['h.1.bias', two],
    ])
    expect(metadata).toEqual({ format: 'pt', part: '2' })
    const all = await Promise.all(['h.1.bias', 'wte.weight', 'h.0.bias'].map(read))
    expect(all).toEqual([f32(3), bf16(0x3f80, 0x4000), f32(1, 2)])
  })

  test('that changes after it was opened is not read on', async () => {
    const folder = await sharded()
    const { read } = await orThrow(openCheckpoint(folder))
    truncateSync(join(folder, one), readFileSync(join(folder, one)).length - 1)
    await expect(read('h.0.bias')).rejects.toThrow('Changed')
    rmSync(join(folder, two))
    await expect(read('h.1.bias')).rejects.toThrow('ENOENT')
  })

  test('that lies in the cache of the Hub is read through its links', async () => {
    const [source, repo] = [await sharded(), fresh()]
    mkdirSync(join(repo, 'blobs'))
    mkdirSync(join(repo, 'snapshots', 'main'), { recursive: true })
    for (const name of [one, two, 'model.safetensors.index.json']) {
      writeFileSync(join(repo, 'blobs', `sha-${name}`), readFileSync(join(source, name)))
      symlinkSync(join('..', '..', 'blobs', `sha-${name}`), join(repo, 'snapshots', 'main', name))
    }
    const { read } = await orThrow(openCheckpoint(join(repo, 'snapshots', 'main')))
    expect(await read('h.1.bias')).toEqual(f32(3))
  })
})

describe('what is no checkpoint of ours', () => {
  test('a pickle is refused, with what to do', async () => {
    const folder = fresh()
    writeFileSync(join(folder, 'pytorch_model-00001-of-00002.bin'), '')
    const result = await openCheckpoint(folder)()
    expect(E.isLeft(result) && result.left).toMatchObject([
      { _tag: 'PickleOnly', hint: expect.stringContaining('safe_serialization') as string },
    ])
  })

  test('other folders say what is there', async () => {
    const folder = fresh()
    writeFileSync(join(folder, 'config.json'), '{}')
    expect(await said(folder)).toEqual([
      'NotFound : model.safetensors, or model.safetensors.index.json and its shards / config.json',
    ])
    expect((await openCheckpoint(join(folder, 'nowhere'))())._tag).toBe('Left')
    expect((await openCheckpoint(join(folder, 'config.json'))())._tag).toBe('Left')
  })
})

describe('an index that cannot be trusted', () => {
  test.each([
    '../x.safetensors',
    '/etc/x.safetensors',
    'a/../../x.safetensors',
    'sub/x.safetensors',
    '..\\x.safetensors',
    'a\\..\\..\\x.safetensors',
    'C:x.safetensors',
    '..',
    '',
    '.hidden.safetensors',
    'x\0.safetensors',
    'config.json',
  ])('a shard named %j is refused by the key', async (file) => {
    expect(await said(await sharded({ ...map, 'h.1.bias': file }))).toEqual([
      `BadShard model.safetensors.index.json#weight_map.h.1.bias: the name of a .safetensors file in this folder / ${JSON.stringify(file)}`,
    ])
  })

  test('a shard that is a link out of the folder is refused', async () => {
    const [folder, elsewhere] = [await sharded(), await sharded()]
    rmSync(join(folder, two))
    symlinkSync(join(elsewhere, two), join(folder, two))
    expect((await said(folder)).join()).toMatch(/^BadShard .*h\.1\.bias.*a link that leads out/)
    // A folder whose name begins alike is another one.
    symlinkSync(folder, `${folder}-link`)
    rmSync(join(folder, two))
    mkdirSync(`${folder}x`)
    writeFileSync(join(`${folder}x`, two), readFileSync(join(elsewhere, two)))
    symlinkSync(join(`${folder}x`, two), join(folder, two))
    expect((await said(folder)).join()).toMatch(/^BadShard/)
  })

  test('a shard that is not there is named once, whatever it should hold', async () => {
    const folder = await sharded()
    rmSync(join(folder, one))
    expect(await said(folder)).toEqual([
      `MissingShard model.safetensors.index.json#weight_map.wte.weight: the file "${one}" / none`,
    ])
  })

  test('a tensor that its shard lacks, one that no key names, and one in two shards', async () => {
    expect(await said(await sharded({ ...map, 'h.2.bias': two }))).toEqual([
      `MissingTensor model.safetensors.index.json#h.2.bias: a tensor of this name in "${two}" / none`,
    ])
    const { 'h.0.bias': _, ...without } = map
    expect(await said(await sharded(without))).toEqual([
      `UnlistedTensor ${one}#h.0.bias: a tensor that model.safetensors.index.json names / one that it does not`,
    ])
    const twice = await sharded()
    await orThrow(writeSafetensors(join(twice, two), { 'h.1.bias': f32(3), 'h.0.bias': f32(9, 9) }))
    expect(await said(twice)).toEqual([
      `DuplicateTensor ${two}#h.0.bias: each tensor in one file / one in "${one}" too`,
    ])
  })

  test.each([
    ['no JSON', '{"weight_map":', /BadJson/],
    ['no map', '{"metadata":{}}', /BadJson model.safetensors.index.json#weight_map/],
    ['a list', '[]', /BadJson/],
    ['a name that is no text', '{"weight_map":{"a":1}}', /weight_map\.a: a file name \/ 1/],
    ['a key twice', `{"weight_map":{"a":"${one}","\\u0061":"${two}"}}`, /each key once/],
    ['lists in lists', `{"weight_map":${'['.repeat(1e6)}`, /at most 500 levels/],
    ['a prototype', `{"weight_map":{"__proto__":"${one}","constructor":"${one}"}}`, /#__proto__: .*\n.*#constructor: /],
  ])('%s', async (_, text, message) => {
    const folder = await sharded()
    writeFileSync(join(folder, 'model.safetensors.index.json'), text)
    expect((await said(folder)).join('\n')).toMatch(message)
  })
})
