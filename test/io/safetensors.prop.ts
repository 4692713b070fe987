import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { fc, test } from '@fast-check/vitest'
import * as E from 'fp-ts/lib/Either.js'
import { expect } from 'vitest'
import { orThrow, readSafetensors, writeSafetensors } from '../../src/io/index.ts'
import type { StoredTensor } from '../../src/io/index.ts'
import { viewAs } from '../../src/io/tensors/dtypes.ts'
import { inFolder, label, often } from './trees.ts'

const golden = readFileSync(fileURLToPath(new URL('../fixtures/safetensors/golden.safetensors', import.meta.url)))
const headerEnd = 8 + Number(golden.readBigUInt64LE())

/** Bytes of an element. */
const widths = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  F64: 8,
  I64: 8,
  U64: 8,
} as const
type Known = keyof typeof widths
const dtypes = fc.constantFrom(...(Object.keys(widths) as Known[]))
const widthOf = (dtype: string): number => widths[dtype as Known]

const stored: fc.Arbitrary<StoredTensor> = fc
  .tuple(dtypes, fc.array(fc.nat(3), { maxLength: 3 }), fc.uint8Array({ minLength: 8 * 27, maxLength: 8 * 27 }))
  .map(([dtype, shape, bytes]) => {
    const size = shape.reduce((n, length) => n * length, widthOf(dtype))
    return { dtype, shape, data: viewAs(dtype, bytes.slice(0, size).buffer) }
  })

const text = fc.string({ unit: 'binary', maxLength: 8 }).filter((s) => !/\p{Surrogate}/u.test(s))
const named = fc.uniqueArray(fc.tuple(label, stored), { selector: ([name]) => name, maxLength: 5 })

test.prop([named, fc.dictionary(text, text)])(
  'every dtype comes back bit for bit, in whatever order it was given',
  async (tensors, notes) => {
    await inFolder(async (folder) => {
      const [a, b] = [join(folder, 'a'), join(folder, 'b')] as const
      await orThrow(writeSafetensors(a, new Map(tensors), notes))
      await orThrow(
        writeSafetensors(b, new Map(tensors.toReversed()), Object.fromEntries(Object.entries(notes).toReversed())),
      )
      expect(readFileSync(a).equals(readFileSync(b))).toBe(true)
      const again = await orThrow(readSafetensors(a))
      expect(new Map(Object.entries(again.metadata))).toEqual(new Map(Object.entries(notes)))
      expect(again.tensors.size).toBe(tensors.length)
      for (const [name, { dtype, shape, data }] of tensors) {
        const found = again.tensors.get(name)!
        expect([found.dtype, found.shape]).toEqual([dtype, shape])
        expect(Buffer.from(found.data.buffer).equals(Buffer.from(data.buffer))).toBe(true)
      }
    })
  },
)

const edit = fc.record({
  at: fc.nat(headerEnd - 1),
  length: fc.nat(6),
  by: fc.oneof(
    fc.uint8Array({ maxLength: 4 }),
    fc.constantFrom('0', '9', '-', '"', '[]', '{}', '1e9', 'null', ',', ':').map((s) => new Uint8Array(Buffer.from(s))),
  ),
})

test.prop([fc.array(edit, { minLength: 1, maxLength: 3 }), fc.boolean()], often)(
  'a file with another header is an error or tensors that fit their shapes',
  async (edits, mend) => {
    await inFolder(async (folder) => {
      const bytes = edits.reduce(
        (b, { at, length, by }) => Buffer.concat([b.subarray(0, at), by, b.subarray(at + length)]),
        golden,
      )
      // With the length of the header put right, the edit gets past the first check.
      if (mend && bytes.length >= 8)
        bytes.writeBigUInt64LE(BigInt(Math.max(0, headerEnd - 8 + bytes.length - golden.length)))
      writeFileSync(join(folder, 'f'), bytes)
      const result = await readSafetensors(join(folder, 'f'))()
      const tags = E.isLeft(result) ? result.left.map((i) => i._tag) : []
      expect(tags).not.toContain('Unexpected')
      const tensors = E.isRight(result) ? [...result.right.tensors.values()] : []
      expect(tensors.every((t) => t.data.byteLength === t.shape.reduce((n, l) => n * l, widthOf(t.dtype)))).toBe(true)
    })
  },
)
