import { mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as E from 'fp-ts/lib/Either.js'
import { afterAll, describe, expect, test } from 'vitest'
import { fromStored, orThrow, readHeader, readSafetensors, writeSafetensors } from '../../src/io/index.ts'
import type { StoredTensor } from '../../src/io/index.ts'
import { commit } from '../../src/io/files.ts'
import { memory, read, release, tensor } from '../../src/ops/index.ts'

const folder = mkdtempSync(join(tmpdir(), 'espalier-io-'))
afterAll(() => rmSync(folder, { recursive: true }))
const file = (name: string): string => join(folder, name)
const golden = fileURLToPath(new URL('../fixtures/safetensors/golden.safetensors', import.meta.url))

/** A file with this header, as text, before these bytes. */
const written = (name: string, header: string, data = 0): string => {
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(header)))
  writeFileSync(file(name), Buffer.concat([length, Buffer.from(header), Buffer.alloc(data)]))
  return file(name)
}

const left = async (path: string): Promise<readonly string[]> => {
  const result = await readSafetensors(path)()
  return E.isLeft(result) ? result.left.map((i) => `${i._tag}: ${i.expected} / ${i.found}`) : []
}

describe('a file of the reference implementation', () => {
  const expected: Readonly<Record<string, StoredTensor>> = {
    weight: { dtype: 'F32', shape: [2, 3], data: new Float32Array([1.5, -0, Infinity, 3.4e38, 1e-45, -2.25]) },
    ids: { dtype: 'I32', shape: [3], data: new Int32Array([-(2 ** 31), 0, 2 ** 31 - 1]) },
    mask: { dtype: 'BOOL', shape: [2, 2], data: new Uint8Array([1, 0, 0, 1]) },
    codes: { dtype: 'U8', shape: [5], data: new Uint8Array([0, 1, 127, 128, 255]) },
    big: { dtype: 'I64', shape: [2], data: new BigInt64Array([-(2n ** 63n), 2n ** 53n + 1n]) },
    half: {
      dtype: 'F16',
      shape: [2, 4],
      data: new Uint16Array([0, 0x8001, 0x3ff, 0x400, 0x3c00, 0xc000, 0x7c00, 0x7bff]),
    },
    brain: { dtype: 'BF16', shape: [4], data: new Uint16Array([0x3f80, 0xbf80, 1, 0x7f80]) },
    empty: { dtype: 'F32', shape: [0, 3], data: new Float32Array(0) },
    scalar: { dtype: 'F32', shape: [], data: new Float32Array([0.1]) },
    'ключ.日本語.🌳': { dtype: 'F32', shape: [1], data: new Float32Array([7]) },
    'tab\tquote"slash\\': { dtype: 'F32', shape: [1], data: new Float32Array([8]) },
  }

  test('is read', async () => {
    const { tensors, metadata } = await orThrow(readSafetensors(golden))
    expect(Object.fromEntries(tensors)).toStrictEqual(expected)
    expect(metadata).toEqual({ format: 'golden' })
  })

  test('is written, byte for byte', async () => {
    await orThrow(writeSafetensors(file('golden'), expected, { format: 'golden' }))
    expect(readFileSync(file('golden')).equals(readFileSync(golden))).toBe(true)
  })

  test('gives tensors, halves widened exactly when asked', async () => {
    const { tensors } = await orThrow(readSafetensors(golden, { names: ['half', 'brain', 'mask'] }))
    const values = (name: string): unknown => {
      const result = fromStored(tensors.get(name)!, { halves: 'float32' })
      return E.isRight(result) ? read(result.right) : result.left
    }
    expect(values('half')).toEqual(
      new Float32Array([0, -(2 ** -24), 1023 * 2 ** -24, 2 ** -14, 1, -2, Infinity, 65504]),
    )
    expect(values('brain')).toEqual(new Float32Array([1, -1, 2 ** -133, Infinity]))
    expect(values('mask')).toEqual(new Uint8Array([1, 0, 0, 1]))
    const raw = fromStored(tensors.get('half')!)
    expect(E.isLeft(raw) && raw.left[0]?._tag).toBe('UnsupportedDType')
  })
})

describe('every half', () => {
  test('widens to what the standard says', () => {
    const all = Uint16Array.from({ length: 65536 }, (_, i) => i)
    const wide = fromStored({ dtype: 'F16', shape: [65536], data: all }, { halves: 'float32' })
    if (E.isLeft(wide)) throw new Error('widened')
    const values = read(wide.right)
    const value = (h: number): number => {
      const [sign, e, f] = [h >> 15 ? -1 : 1, (h >> 10) & 31, h & 1023]
      if (e === 31) return f === 0 ? sign * Infinity : Number.NaN
      return e === 0 ? sign * f * 2 ** -24 : sign * (1 + f / 1024) * 2 ** (e - 15)
    }
    expect(all.every((h) => Object.is(values[h], value(h)))).toBe(true)
  })
})

describe('hostile files', () => {
  const entry = (dtype: string, shape: string, offsets: string): string =>
    `{"dtype":"${dtype}","shape":${shape},"data_offsets":${offsets}}`
  const f32 = (offsets: string, shape = '[1]'): string => entry('F32', shape, offsets)

  test.each([
    ['no bytes at all', () => (writeFileSync(file('h'), ''), file('h')), /Truncated/],
    [
      'a header longer than the file',
      () => (writeFileSync(file('h'), Buffer.from([255, 255, 255, 5, 0, 0, 0, 0])), file('h')),
      /BadHeader/,
    ],
    ['a header of 2^64 - 1 bytes', () => (writeFileSync(file('h'), Buffer.alloc(16, 255)), file('h')), /BadHeader/],
    ['no JSON', () => written('h', '{"a":'), /BadJson/],
    ['a list', () => written('h', '[]'), /BadHeader: a header that begins/],
    ['leading spaces', () => written('h', ' {}'), /BadHeader: a header that begins/],
    [
      'not UTF-8',
      () => (writeFileSync(file('h'), Buffer.from([4, 0, 0, 0, 0, 0, 0, 0, 123, 255, 254, 125])), file('h')),
      /BadJson: text in UTF-8/,
    ],
    [
      'an unknown dtype',
      () => written('h', `{"a":${entry('F33', '[1]', '[0,4]')}}`, 4),
      /a dtype of the format \/ "F33"/,
    ],
    ['a negative length', () => written('h', `{"a":${f32('[0,4]', '[-1]')}}`, 4), /whole number >= 0 \/ -1/],
    [
      'a shape that is too large',
      () => written('h', `{"a":${f32('[0,4]', '[4294967296,4294967296]')}}`, 4),
      /73786976294838210000 bytes/,
    ],
    ['offsets outside', () => written('h', `{"a":${f32('[0,4]')}}`, 2), /Truncated/],
    [
      'offsets that run backwards',
      () => written('h', `{"a":${f32('[4,0]')}}`, 4),
      /4 bytes for F32 \[1\] \/ offsets 4 to 0/,
    ],
    ['an overlap', () => written('h', `{"a":${f32('[0,4]')},"b":${f32('[0,4]')}}`, 4), /begins at 4 \/ 0/],
    ['a gap', () => written('h', `{"a":${f32('[0,4]')},"b":${f32('[8,12]')}}`, 12), /begins at 4 \/ 8/],
    ['something behind', () => written('h', `{"a":${f32('[0,4]')}}`, 8), /4 bytes of tensors \/ 8/],
    ['a name twice', () => written('h', `{"a":${f32('[0,4]')},"\\u0061":${f32('[0,4]')}}`, 4), /each key once/],
    ['metadata that is no text', () => written('h', '{"__metadata__":{"a":1}}'), /string \/ 1/],
    [
      'nesting without end',
      () => written('h', `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`),
      /at most 500 levels/,
    ],
    ['an entry that is no object', () => written('h', '{"a":null}'), /\/ null/],
    ['a folder', () => folder, /NotAFile/],
    ['nothing there', () => file('nowhere'), /FileSystem: .* ENOENT/],
  ])('%s', async (_, make, message) => {
    const issues = await left(make())
    expect(issues.join('\n')).toMatch(message)
  })

  test('metadata may be null, as MLX writes it', async () => {
    expect(await left(written('h', '{"__metadata__":null}'))).toEqual([])
  })

  test('an empty tensor may have long axes', async () => {
    expect(await left(written('h', `{"a":${f32('[0,0]', '[9007199254740991,9007199254740991,0]')}}`))).toEqual([])
  })

  test('names of objects are names', async () => {
    const path = written('h', `{"__proto__":${f32('[0,4]')},"__metadata__":{"__proto__":"a","constructor":"b"}}`, 4)
    const { tensors, metadata } = await orThrow(readSafetensors(path))
    expect([...tensors.keys()]).toEqual(['__proto__'])
    expect(Object.entries(metadata)).toEqual([
      ['__proto__', 'a'],
      ['constructor', 'b'],
    ])
    expect(({} as { dtype?: unknown }).dtype).toBe(undefined)
  })

  test('a huge sparse file costs nothing but the error', async () => {
    const path = written('sparse', `{"a":${f32('[0,4611686018427387904]', '[1152921504606846976]')}}`)
    expect((await left(path)).join()).toMatch(/a whole number/)
  })

  test('all that is wrong is told at once', async () => {
    const path = written('h', `{"a":${f32('[0,4]', '[2]')},"b":${f32('[8,12]')}}`, 20)
    expect((await left(path)).length).toBe(3)
  })
})

describe('writing', () => {
  test('refuses what the format cannot hold', async () => {
    const ones = new Float32Array([1])
    const tag = async (tensors: Readonly<Record<string, StoredTensor>>): Promise<unknown> => {
      const result = await writeSafetensors(file('w'), tensors)()
      return E.isLeft(result) && result.left[0]?._tag
    }
    expect(await tag({ __metadata__: { dtype: 'F32', shape: [1], data: ones } })).toBe('BadName')
    expect(await tag({ '\ud800': { dtype: 'F32', shape: [1], data: ones } })).toBe('BadName')
    expect(await tag({ a: { dtype: 'F32', shape: [2], data: ones } })).toBe('BadTensor')
    expect(await tag({ a: { dtype: 'I32', shape: [1], data: ones } })).toBe('BadTensor')
    expect(await tag({ a: { dtype: 'F34' as 'F32', shape: [1], data: ones } })).toBe('BadTensor')
    expect(readdirSync(folder)).not.toContain('w')
  })

  test('a writer that fails leaves the old files whole, and nothing else', async () => {
    const inside = file('atomic')
    const put = (text: string) => (sink: (b: Uint8Array) => Promise<void>) => sink(Buffer.from(text))
    await commit(inside, [
      { name: 'a', write: put('old a') },
      { name: 'b', write: put('old b') },
    ])
    const failing = commit(inside, [
      { name: 'a', write: put('new a') },
      { name: 'b', write: async (sink) => (await sink(Buffer.from('new')), Promise.reject(new Error('power cut'))) },
    ])
    await expect(failing).rejects.toThrow('power cut')
    expect(readdirSync(inside)).toEqual(['a', 'b'])
    expect([readFileSync(join(inside, 'a'), 'utf8'), readFileSync(join(inside, 'b'), 'utf8')]).toEqual([
      'old a',
      'old b',
    ])
  })

  test('a rename that fails puts the files before it back', async () => {
    const inside = file('blocked')
    const put = (text: string) => (sink: (b: Uint8Array) => Promise<void>) => sink(Buffer.from(text))
    await commit(inside, [{ name: 'a', write: put('old a') }])
    // A folder stands where the last file belongs.
    await commit(join(inside, 'b'), [{ name: 'x', write: put('x') }])
    const failing = commit(inside, [
      { name: 'a', write: put('new a') },
      { name: 'b', write: put('b') },
    ])
    await expect(failing).rejects.toThrow(/EISDIR|ENOTEMPTY|EEXIST/)
    expect(readFileSync(join(inside, 'a'), 'utf8')).toBe('old a')
    expect(readdirSync(inside)).toEqual(['a', 'b'])
  })

  test('tensors of this library go there and back', async () => {
    const before = memory().tensors
    const [x, y] = [tensor([[1, 2]]), tensor([1, 0], [2], 'bool')]
    await orThrow(writeSafetensors(file('ours'), { x, y }))
    const header = await orThrow(readHeader(file('ours')))
    expect(header.tensors.get('x')).toEqual({ dtype: 'F32', shape: [1, 2], begin: 0, end: 8 })
    expect((await orThrow(readSafetensors(file('ours')))).tensors.get('y')?.data).toEqual(new Uint8Array([1, 0]))
    release([x, y], { keep: [] })
    expect(memory().tensors).toBe(before)
  })

  test('a link to a file is followed', async () => {
    symlinkSync(golden, file('link'))
    expect((await orThrow(readHeader(file('link')))).tensors.size).toBe(11)
  })
})
