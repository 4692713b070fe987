import * as t from 'io-ts'
import { PositiveWhole } from '../kind/number-codecs.ts'
import type { SllmConfig } from '../model/sllm.ts'
import type { Issue } from '../tree/error.ts'
import { didYouMean } from '../tree/nearest.ts'
import { refuse } from './errors.ts'

const Positive = t.refinement(t.number, (n) => Number.isFinite(n) && n > 0, 'a positive number')
const NotNegative = t.refinement(t.number, (n) => Number.isFinite(n) && n >= 0, 'a number >= 0')
const Text = t.refinement(t.string, (s) => s !== '', 'a path')

const Labels = t.refinement(
  t.readonlyArray(t.string),
  (labels) => labels.length > 1 && new Set(labels).size === labels.length,
  'two or more different labels',
)

const Model = t.union(
  [Text, t.strict({ sllm: t.UnknownRecord })],
  '"sllm", a folder, or { "sllm": { what differs from the seed configuration } }',
)
const Task = t.union(
  [
    t.strict({ classify: t.record(t.string, t.string) }),
    t.strict({ 'sequence-classification': Labels }),
    t.literal('language-model'),
  ],
  '"language-model", { "classify": { label: its token } }, or { "sequence-classification": [two or more labels] }',
)

const required = {
  model: Model,
  tokenizer: Text,
  train: Text,
  task: Task,
  recipe: t.UnknownArray,
  output: Text,
  epochs: PositiveWhole,
  rate: Positive,
}
const optional = {
  heldout: Text,
  batchSize: PositiveWhole,
  accumulate: PositiveWhole,
  weightDecay: NotNegative,
  warmup: t.refinement(t.number, (n) => Number.isSafeInteger(n) && n >= 0, 'a whole number >= 0'),
  clip: Positive,
  patience: PositiveWhole,
  seed: t.refinement(t.number, Number.isSafeInteger, 'a whole number'),
  format: t.keyof({ espalier: null, peft: null }, '"espalier" or "peft"'),
}

/** What `espalier train` is told, as JSON; paths are relative to the file. */
export interface TrainConfig {
  readonly model: string | { readonly sllm: Partial<SllmConfig> }
  readonly tokenizer: string
  readonly train: string
  readonly task:
    | 'language-model'
    | { readonly classify: Readonly<Record<string, string>> }
    | { readonly 'sequence-classification': readonly string[] }
  readonly recipe: readonly unknown[]
  readonly output: string
  readonly epochs: number
  readonly rate: number
  readonly heldout?: string
  readonly batchSize?: number
  readonly accumulate?: number
  readonly weightDecay?: number
  readonly warmup?: number
  readonly clip?: number
  readonly patience?: number
  readonly seed?: number
  /** What an adapter is saved as; for a model of the Hub PEFT's form if left out, where PEFT has one. */
  readonly format?: 'espalier' | 'peft'
}

/** Reads a configuration, every mistake at once. */
export const decodeConfig = (json: unknown): TrainConfig => {
  const all: Readonly<Record<string, t.Mixed>> = { ...required, ...optional }
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    return refuse([issue('', 'an object', json, 'See `espalier train --help`.')])
  const given = json as Readonly<Record<string, unknown>>
  const issues = [
    ...Object.keys(given)
      .filter((k) => !Object.hasOwn(all, k))
      .map((k) => issue(k, 'a setting', k, didYouMean(k, Object.keys(all)))),
    ...Object.entries(all).flatMap(([k, codec]) => {
      if (!Object.hasOwn(given, k))
        return Object.hasOwn(required, k) ? [issue(k, codec.name, 'nothing', 'It must be there.')] : []
      return codec.is(given[k]) ? [] : [issue(k, codec.name, given[k], '')]
    }),
  ]
  return issues.length > 0 ? refuse(issues) : (json as TrainConfig)
}

const issue = (path: string, expected: string, found: unknown, hint: string): Issue => ({
  _tag: 'BadConfig',
  path,
  expected,
  found: typeof found === 'string' ? `"${found}"` : (JSON.stringify(found) ?? 'nothing'),
  hint,
})
