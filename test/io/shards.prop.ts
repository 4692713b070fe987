import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fc, test } from '@fast-check/vitest'
import * as E from 'fp-ts/lib/Either.js'
import { expect } from 'vitest'
import { openCheckpoint, orThrow, writeSafetensors } from '../../src/io/index.ts'
import type { StoredTensor } from '../../src/io/index.ts'
import { inFolder, label, often } from './trees.ts'

const [first, second, index] = ['a.safetensors', 'b.safetensors', 'model.safetensors.index.json'] as const

const tensor: fc.Arbitrary<StoredTensor> = fc
  .array(fc.integer({ min: 0, max: 65535 }), { maxLength: 4 })
  .map((codes) => ({ dtype: 'BF16', shape: [codes.length, 1], data: Uint16Array.from(codes) }))

const parts = fc.uniqueArray(fc.tuple(label, tensor, fc.boolean()), { selector: ([name]) => name, maxLength: 6 })
type Parts = readonly (readonly [name: string, tensor: StoredTensor, late: boolean])[]

const write = async (folder: string, all: Parts): Promise<void> => {
  for (const [file, late] of [
    [first, false],
    [second, true],
  ] as const) {
    const inside = all.filter((part) => part[2] === late).map(([name, value]) => [name, value] as const)
    await orThrow(writeSafetensors(join(folder, file), new Map(inside)))
  }
  const map = Object.fromEntries(all.map(([name, , late]) => [name, late ? second : first]))
  writeFileSync(join(folder, index), JSON.stringify({ metadata: { total_size: 1 }, weight_map: map }))
}

test.prop([parts])('what was written over two files is read as one checkpoint', async (all) => {
  await inFolder(async (folder) => {
    await write(folder, all)
    const { entries, read } = await orThrow(openCheckpoint(folder))
    expect(new Set(entries.keys())).toEqual(new Set(all.map(([name]) => name)))
    for (const [name, value] of all) expect(await read(name)).toEqual(value)
  })
})

const damage = fc.record({
  file: fc.constantFrom(first, second, index),
  at: fc.nat(400),
  cut: fc.nat(12),
  by: fc.oneof(
    fc.uint8Array({ maxLength: 4 }),
    fc
      .constantFrom('../', '0', '-', '"', '[', '}', '\\', ',', ':', 'null', '1e9')
      .map((s) => new Uint8Array(Buffer.from(s))),
  ),
})

test.prop([parts, fc.array(damage, { minLength: 1, maxLength: 3 })], often)(
  'a damaged checkpoint is told of by its file, or is whole in all it says',
  async (all, damages) => {
    await inFolder(async (folder) => {
      await write(folder, all)
      for (const { file, at, cut, by } of damages) {
        const bytes = readFileSync(join(folder, file))
        const from = at % (bytes.length + 1)
        writeFileSync(join(folder, file), Buffer.concat([bytes.subarray(0, from), by, bytes.subarray(from + cut)]))
      }
      const result = await openCheckpoint(folder)()
      const issues = E.isLeft(result) ? result.left : []
      expect(issues.map((i) => i._tag)).not.toContain('Unexpected')
      expect(issues.every((i) => i.path.startsWith(folder) && i.hint !== '')).toBe(true)
      if (E.isLeft(result)) return
      for (const [name, { shape }] of result.right.entries)
        expect((await result.right.read(name)).data.length).toBe(shape.reduce((n, length) => n * length, 1))
    })
  },
)
