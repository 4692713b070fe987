import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { modelKinds } from '../../src/index.ts'
import { fromStored, orThrow, readSafetensors } from '../../src/io/index.ts'
import { runModel } from '../../src/kind/index.ts'
import type { Model } from '../../src/kind/index.ts'
import { context } from '../../src/nn/index.ts'
import { read, scope } from '../../src/ops/index.ts'
import type { Tensor } from '../../src/ops/index.ts'

const root = fileURLToPath(new URL('../fixtures/', import.meta.url))

/** The folder of a fixture: `models/gpt2`. */
export const fixture = (name: string): string => join(root, name)

/** The fixtures of a kind that hold the named file. */
export const fixturesIn = (kind: 'models' | 'peft' | 'adapterhub', file: string): readonly string[] =>
  readdirSync(fixture(kind)).filter((name) => readdirSync(fixture(`${kind}/${name}`)).includes(file))

/** The JSON of a fixture. */
export const json = (path: string): Readonly<Record<string, unknown>> =>
  JSON.parse(readFileSync(fixture(path), 'utf8')) as Readonly<Record<string, unknown>>

/** One input of a fixture, and what transformers or PEFT computed of it. */
export interface Case {
  readonly name: string
  readonly input: Readonly<Record<string, Tensor>>
  readonly expected: Readonly<Record<string, Float32Array>>
}

const inputs = ['input_ids', 'attention_mask', 'position_ids', 'token_type_ids']

/** The cases of a fixture's expected.safetensors: `right.input_ids` is an input of the case `right`. */
export const casesOf = async (path: string): Promise<readonly Case[]> => {
  const { tensors } = await orThrow(readSafetensors(join(fixture(path), 'expected.safetensors')))
  const names = new Set([...tensors.keys()].map((name) => name.split('.')[0] ?? ''))
  return [...names].map((name) => {
    const own = [...tensors].filter(([key]) => key.startsWith(`${name}.`))
    const made = own.map(([key, value]) => {
      const tensor = fromStored(value)
      if (tensor._tag === 'Left') throw new Error(key)
      return [key.slice(name.length + 1), tensor.right] as const
    })
    return {
      name,
      input: Object.fromEntries(made.filter(([key]) => inputs.includes(key))),
      expected: Object.fromEntries(
        made.filter(([key]) => !inputs.includes(key)).map(([key, value]) => [key, read(value) as Float32Array]),
      ),
    }
  })
}

/** What a model gives for a case; NaN where the text is padding, which nobody looks at. */
export const outputOf = (model: unknown, { input }: Case): Float32Array =>
  scope(() => {
    const { input_ids: ids, attention_mask: mask, position_ids: positions, token_type_ids: types } = input
    if (ids === undefined) throw new Error('a case without input_ids')
    const output = runModel(model as Model, { ids, mask, positions, types }, context({}, modelKinds))
    return read(output) as Float32Array
  })

/** The greatest difference between what was computed and what was expected, where the text is no padding. */
export const worstDifference = (found: Float32Array, wanted: Float32Array, { input }: Case): number => {
  if (found.length !== wanted.length) throw new Error(`${found.length} numbers, not ${wanted.length}`)
  const [batch = 1, tokens = 1] = input['input_ids']?.shape ?? []
  const mask = input['attention_mask'] === undefined ? undefined : read(input['attention_mask'])
  // Virtual tokens come first in a row, and are never padding; pooled outputs have no row for a token.
  const perRow = found.length / batch
  const perToken = wanted.length % (batch * tokens) === 0 ? perRow / tokens : undefined
  let worst = 0
  for (let i = 0; i < found.length; i++) {
    const row = Math.floor(i / perRow)
    const token = perToken === undefined ? undefined : Math.floor((i % perRow) / perToken)
    if (token !== undefined && perToken !== undefined && perToken > 8 && mask?.[row * tokens + token] === 0) continue
    const difference = Math.abs((found[i] ?? Number.NaN) - (wanted[i] ?? 0))
    // A NaN is a difference too.
    if (!(difference <= worst)) worst = difference
  }
  return worst
}
