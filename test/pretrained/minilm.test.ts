import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { count, sentenceEmbedding } from '../../src/index.ts'
import { fromStored, loadPretrained, loadTokenizer, orThrow, readSafetensors } from '../../src/io/index.ts'
import { engine, read, scope, toArray } from '../../src/ops/index.ts'
import type { EngineName, Tensor } from '../../src/ops/index.ts'
import { fixture } from '../io/fixtures.ts'

const folder = execFileSync(process.execPath, ['scripts/minilm.mjs'], { encoding: 'utf8' }).trim()
const sentences = JSON.parse(readFileSync(fixture('minilm/sentences.json'), 'utf8')) as string[]
const { tensors } = await orThrow(readSafetensors(join(fixture('minilm'), 'expected.safetensors')))
const expected = (name: string): Tensor => {
  const made = fromStored(tensors.get(name)!)
  if (made._tag === 'Left') throw new Error(name)
  return made.right
}
const tokenizer = await orThrow(loadTokenizer(folder))

test('texts become the ids of transformers', () => {
  const batch = tokenizer.batch(sentences, { truncate: 256 })
  expect(toArray(batch.ids)).toEqual(toArray(expected('input_ids')))
  expect(toArray(batch.mask)).toEqual(toArray(expected('attention_mask')))
})

describe('sentence embeddings of all-MiniLM-L6-v2 are those of transformers', () => {
  // Plain TypeScript would take minutes for all of them.
  const engines: readonly (readonly [EngineName, number])[] = [
    ['js', 4],
    ['wasm', sentences.length],
    ['native', sentences.length],
  ]
  test.for(engines)('%s, %i sentences', async ([name, rows], { skip }) => {
    await engine({ prefer: name, quiet: true }).catch((error: unknown) => skip(String(error)))
    const { model } = await orThrow(loadPretrained(folder))
    expect(count(model).parameters).toBe(22_713_216)
    const batch = tokenizer.batch(sentences.slice(0, rows), { truncate: 256 })
    const found = read(scope(() => sentenceEmbedding(model, batch, { normalise: true })))
    expect(found.length).toBe(rows * 384)
    const wanted = read(expected('embedding'))
    const worst = Math.max(...found.map((x, i) => Math.abs(x - (wanted[i] ?? Number.NaN))))
    console.log(`${name}: greatest difference ${worst.toExponential(1)}`)
    expect(worst).toBeLessThan(1e-4)
  })
})
