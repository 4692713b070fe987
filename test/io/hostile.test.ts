import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { afterAll, describe, expect, test } from 'vitest'
import { fromStored, openCheckpoint, orThrow } from '../../src/io/index.ts'
import type { Conversions, StoredTensor } from '../../src/io/index.ts'
import { nonFinite } from '../../src/io/tensors/dtypes.ts'
import { parseHeader } from '../../src/io/tensors/header.ts'
import { read } from '../../src/ops/index.ts'
import { formatIssues } from '../../src/tree/error.ts'
import { didYouMean } from '../../src/tree/nearest.ts'

const folder = mkdtempSync(join(tmpdir(), 'espalier-hostile-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** What is said of a file with this header, and `data` bytes after it that take no room on the disk. */
const said = async (header: string, data = 0): Promise<string> => {
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(header)))
  const path = join(folder, 'model.safetensors')
  writeFileSync(path, Buffer.concat([length, Buffer.from(header)]))
  truncateSync(path, 8 + Buffer.byteLength(header) + data)
  const result = await openCheckpoint(folder)()
  return E.isLeft(result) ? formatIssues(result.left) : `${result.right.entries.size} tensors`
}

const entry = (shape: string, offsets: string, dtype = 'F32'): string =>
  `{"dtype":"${dtype}","shape":${shape},"data_offsets":${offsets}}`

describe('a header', () => {
  test.each([
    ['offsets below zero', `{"a":${entry('[1]', '[-4,0]')}}`, 4, /BadJson at .*#a\.data_offsets\.0: .*found -4/],
    [
      'offsets beyond 2^53',
      `{"a":${entry('[1]', '[9007199254740992,9007199254740996]')}}`,
      4,
      /found 9007199254740992/,
    ],
    ['offsets that are no whole numbers', `{"a":${entry('[1]', '[0.5,4.5]')}}`, 4, /found 0\.5/],
    ['offsets of infinity', `{"a":${entry('[1]', '[0,1e999]')}}`, 4, /found Infinity/],
    [
      'three offsets',
      `{"a":${entry('[1]', '[0,4,8]')}}`,
      8,
      /#a\.data_offsets: expected two offsets, found a list of 3/,
    ],
    ['no shape', '{"a":{"dtype":"F32","data_offsets":[0,4]}}', 4, /#a\.shape: .*found nothing/],
    [
      'a product of lengths that is no number',
      `{"a":${entry(`[${'9007199254740991,'.repeat(40)}1]`, '[0,4]')}}`,
      4,
      /Infinity bytes for F32/,
    ],
    [
      'a product that wraps around in 64 bits',
      `{"a":${entry('[4294967296,4294967296,4]', '[0,0]')}}`,
      0,
      /295147905179352830000 bytes for F32/,
    ],
    ['bytes of half an element', `{"a":${entry('[1]', '[0,3]')}}`, 3, /4 bytes for F32 \[1\]/],
    [
      'lengths that are empty and no number',
      `{"a":${entry(`[${'9007199254740991,'.repeat(40)}0]`, '[0,0]')}}`,
      0,
      /^1 t/,
    ],
    [
      'names of objects',
      `{"__proto__":${entry('[1]', '[0,4]')},"constructor":${entry('[0]', '[4,4]')}}`,
      4,
      /^2 tensors/,
    ],
    ['lists in lists, without end', `{"a":${'['.repeat(2e7)}`, 0, /at most 500 levels/],
    ['a name of ten million characters', `{"${'x'.repeat(1e7)}":1}`, 0, /^BadJson at .{1,700}$/s],
    [
      'a shape of a million lengths',
      `{"a":${entry(`[${'2,'.repeat(1e6)}2]`, '[0,4]')}}`,
      4,
      /^BadHeader at .{1,700}$/s,
    ],
    ['half an escape', '{"a\\', 0, /BadJson at .*expected JSON/],
  ] as const)('with %s', async (_, header, data, message) => {
    expect(await said(header, data)).toMatch(message)
  })
})

const many = (count: number, offset: (i: number) => number): Buffer =>
  Buffer.from(
    `{${Array.from({ length: count }, (_, i) => `"h.${i}":${entry('[1]', `[${offset(i)},${offset(i) + 4}]`)}`).join()}}`,
  )

const seconds = (run: () => unknown): number => {
  const start = performance.now()
  run()
  return (performance.now() - start) / 1000
}

describe('hundreds of thousands of tensors', () => {
  test('are read in time that grows as their number does', () => {
    const [small, large] = [many(20_000, (i) => 4 * i), many(200_000, (i) => 4 * i)]
    parseHeader(small, 80_000, 'f')
    const base = seconds(() => parseHeader(small, 80_000, 'f'))
    let size = 0
    const ten = seconds(() => (size = parseHeader(large, 800_000, 'f').tensors.size))
    expect(size).toBe(200_000)
    // Ten times as many; a quadratic step would make it a hundred times. Room for a busy machine.
    expect(ten).toBeLessThan(40 * base + 1)
  })

  test('that are all wrong alike are told in one message', () => {
    const bad = many(200_000, () => 0)
    let message = ''
    const time = seconds(() => {
      const result = E.tryCatch(() => parseHeader(bad, 4, 'f'), String)
      message = E.isLeft(result) ? result.left : ''
    })
    expect(message.slice(0, 400)).toMatch(/BadHeader at f#h\.1, f#h\.2, f#h\.3 and 199996 more: .*overlap/s)
    expect(time).toBeLessThan(10)
  })

  test('that are each wrong in another way are told in a message of a size to read', () => {
    const result = E.tryCatch(
      () =>
        parseHeader(
          many(20_000, (i) => 8 * i),
          4,
          'f',
        ),
      String,
    )
    expect(E.isLeft(result) && result.left.split('\n').at(-1)).toBe('And 19980 more, in `issues`.')
    expect(E.isLeft(result) && result.left.length).toBeLessThan(5000)
  })

  test('do not make a misspelt name a matter of minutes', () => {
    const names = Array.from({ length: 200_000 }, (_, i) => `h.${i}.attn.c_attn.weight`)
    expect(seconds(() => didYouMean('h.7.attn.c_atn.weight', names))).toBeLessThan(3)
    expect(seconds(() => didYouMean('x'.repeat(1e6), ['y'.repeat(1e6)]))).toBeLessThan(3)
    expect(didYouMean('h.7.attn.c_atn.weight', names)).toMatch(/^Did you mean "h\.7\.attn\.c_attn\.weight"/)
  })
})

describe('numbers that are none', () => {
  const of = (dtype: StoredTensor['dtype'], data: StoredTensor['data']): StoredTensor => ({
    dtype,
    shape: [data.length],
    data,
  })

  test.each([
    ['F32', of('F32', Float32Array.of(1, Number.NaN, -Infinity, 3.4e38)), 2],
    ['F64', of('F64', Float64Array.of(1e300, Number.NaN)), 1],
    ['BF16', of('BF16', Uint16Array.of(0x7f80, 0xff80, 0x7fc0, 0x7f7f, 0)), 3],
    ['F16', of('F16', Uint16Array.of(0x7c00, 0xfc00, 0x7e01, 0x7bff, 0xfbff)), 3],
    ['I32', of('I32', Int32Array.of(0x7f800000)), 0],
  ] as const)('are counted in %s', (_, stored, count) => {
    expect(nonFinite(stored)).toBe(count)
  })

  const made = (stored: StoredTensor, how: Conversions): unknown => {
    const result = fromStored(stored, how)
    return E.isRight(result) ? read(result.right) : `${result.left[0]!._tag}: ${result.left[0]!.found}`
  }

  test('of other widths are converted when that is asked for, and only then', () => {
    const doubles = of('F64', Float64Array.of(0.1, -1e300, 2))
    expect(made(doubles, { doubles: 'float32' })).toEqual(Float32Array.of(0.1, -Infinity, 2))
    const longs = of('I64', BigInt64Array.of(2n ** 31n - 1n, -(2n ** 31n)))
    expect(made(longs, { longs: 'int32' })).toEqual(Int32Array.of(2 ** 31 - 1, -(2 ** 31)))
    for (const wrong of [2n ** 31n, -(2n ** 31n) - 1n, 2n ** 62n])
      expect(made(of('I64', BigInt64Array.of(0n, wrong)), { longs: 'int32' })).toBe(`BadElement: ${wrong}`)
    expect(made(of('U8', Uint8Array.of(0, 255)), { shorts: 'int32' })).toEqual(Int32Array.of(0, 255))
    expect(made(of('I8', Int8Array.of(-128, 127)), { shorts: 'int32' })).toEqual(Int32Array.of(-128, 127))
    expect(made(of('I16', Int16Array.of(-32768)), { shorts: 'int32' })).toEqual(Int32Array.of(-32768))
    const all: Conversions = { halves: 'float32', doubles: 'float32', longs: 'int32', shorts: 'int32' }
    expect(made(of('U64', BigUint64Array.of(1n)), all)).toBe('UnsupportedDType: U64')
    for (const [stored, hint] of [
      [doubles, 'doubles'],
      [longs, 'longs'],
      [of('U8', Uint8Array.of(1)), 'shorts'],
    ] as const) {
      const { [hint]: _, ...without } = all
      const result = fromStored(stored, without)
      expect(E.isLeft(result) && result.left[0]).toMatchObject({ _tag: 'UnsupportedDType', found: stored.dtype })
      expect(E.isLeft(result) && result.left[0]?.hint).toContain(hint)
    }
  })

  test('a double that is too large for a float32 becomes an infinity, which is seen', async () => {
    const tensor = await orThrow(async () => fromStored(of('F64', Float64Array.of(1e300)), { doubles: 'float32' }))
    expect(nonFinite(of('F32', read(tensor) as Float32Array))).toBe(1)
  })
})
