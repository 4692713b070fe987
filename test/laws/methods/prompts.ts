import { bake, key, leaves, lora, prefix, prompt, ptuning, sllm } from '../../../src/index.ts'
import type { Param, PtuningOptions } from '../../../src/index.ts'
import {
  deterministicForKey,
  everyElementHasGradient,
  lawsFor,
  lossCountsRealTokens,
  merging,
  prompting,
  standsForTokens,
} from '../../../src/laws/index.ts'
import type { AnyTransform, Formula } from '../../../src/laws/index.ts'
import type { Row } from '../row.ts'
import type { KindOptions } from './index.ts'

type Rows = readonly (readonly number[])[]
type Reader = (leaf: unknown) => Rows
type Node = Readonly<Record<string, unknown>>

const product = (a: Rows, b: Rows): Rows =>
  a.map((row) => (b[0] ?? []).map((_, j) => row.reduce((n, x, k) => n + x * (b[k]?.[j] ?? 0), 0)))
const plus = (a: Rows, bias: readonly number[]): Rows => a.map((row) => row.map((x, j) => x + (bias[j] ?? 0)))
const mapped = (a: Rows, f: (x: number) => number): Rows => a.map((row) => row.map(f))
const relu = (a: Rows): Rows => mapped(a, (x) => Math.max(0, x))
const affine = (x: Rows, node: unknown, rows: Reader): Rows => {
  const { weight, bias } = node as Node
  return plus(product(x, rows(weight)), rows(bias)[0] ?? [])
}

const sigma = (x: number): number => 1 / (1 + Math.exp(-x))

/** One direction of an LSTM, a number at a time. */
const recurrent = (x: Rows, ih: Rows, hh: Rows, bias: readonly number[]): Rows => {
  const width = hh.length
  const states: number[][] = []
  let [h, c] = [Array<number>(width).fill(0), Array<number>(width).fill(0)]
  for (const row of x) {
    const [gates = []] = plus(product([row], ih), bias)
    const [more = []] = product([h], hh)
    const g = gates.map((v, j) => v + (more[j] ?? 0))
    c = c.map((old, j) => sigma(g[width + j]!) * old + sigma(g[j]!) * Math.tanh(g[2 * width + j]!))
    h = c.map((now, j) => sigma(g[3 * width + j]!) * Math.tanh(now))
    states.push(h)
  }
  return states
}

const bidirectional = (x: Rows, node: unknown, rows: Reader): Rows => {
  const n = node as Node
  const bias = (end: string): readonly number[] =>
    (rows(n[`bias_ih${end}`])[0] ?? []).map((b, j) => b + (rows(n[`bias_hh${end}`])[0]?.[j] ?? 0))
  const there = recurrent(x, rows(n['weight_ih']), rows(n['weight_hh']), bias(''))
  const back = recurrent(x.toReversed(), rows(n['weight_ih_reverse']), rows(n['weight_hh_reverse']), bias('_reverse'))
  return there.map((row, t) => [...row, ...(back[x.length - 1 - t] ?? [])])
}

/** What encoders make of their table, in plain numbers. */
export const encoders: Readonly<Record<'PromptMlp' | 'PromptLstm' | 'PrefixMlp', Formula>> = {
  PromptMlp: (n, base, rows) =>
    affine(relu(affine(relu(affine(base, n['fc1'], rows)), n['fc2'], rows)), n['fc3'], rows),
  PromptLstm: (n, base, rows) => {
    const layers = [n['first'], ...(n['rest'] as readonly unknown[])]
    const read = layers.reduce<Rows>((x, layer) => bidirectional(x, layer, rows), base)
    return affine(relu(affine(read, n['fc1'], rows)), n['fc2'], rows)
  },
  PrefixMlp: (n, base, rows) => affine(mapped(affine(base, n['fc1'], rows), Math.tanh), n['fc2'], rows),
}

const quick = { on: sllm, formulas: encoders, within: 2e-6 } as const

/** Sizes of an SLLM, read off its parameters. */
const sizesOf = (model: unknown): { readonly d: number; readonly keys: number } => {
  const all = leaves(model) as readonly Param[]
  const shape = (end: string): readonly number[] => all.find((leaf) => leaf.label.endsWith(end))?.value.shape ?? []
  const layers = all.filter((leaf) => leaf.label.endsWith('.Wk.weight')).length
  return { d: shape('token_embdgs.weight')[1] ?? 0, keys: layers * (shape('.Wk.weight')[1] ?? 0) }
}

const mlpCount = (n: number, h: number) => (model: unknown) => {
  const { d } = sizesOf(model)
  return n * d + (d * h + h) + (h * h + h) + (h * d + d)
}

const lstmCount = (n: number, h: number, layers: number) => (model: unknown) => {
  const { d } = sizesOf(model)
  const layer = (width: number): number => 2 * (4 * h * width + 4 * h * h + 8 * h)
  return n * d + layer(d) + (layers - 1) * layer(2 * h) + (4 * h * h + 2 * h) + (2 * h * d + d)
}

const ptuningRow = (name: string, adds: (model: unknown) => number, options: PtuningOptions): Row => ({
  ...quick,
  name,
  covers: ['ptuning'],
  transform: ptuning({ at: '**', ...options }),
  declare: { ...prompting(options.length), merge: 'exact', touches: '**.token_embdgs', adds },
  also: [lossCountsRealTokens(), standsForTokens, everyElementHasGradient],
})

/** One transform after another, whatever the model. */
const steps =
  (...all: readonly AnyTransform[]): AnyTransform =>
  (model) =>
    all.reduce<unknown>((m, step) => step(m as never), model)

const prefixing = { ...prompting(0), merge: 'none' } as const

/** The rows of this group. */
export const promptRows: readonly Row[] = [
  {
    ...quick,
    name: 'prompt stands for tokens',
    covers: ['prompt'],
    transform: prompt({ at: '**', length: 3 }),
    declare: prompting(3),
    laws: [standsForTokens, everyElementHasGradient],
  },
  {
    ...quick,
    name: 'prefix',
    covers: ['prefix'],
    transform: prefix({ length: 3 }),
    declare: { ...prefixing, adds: (m) => 3 * 2 * sizesOf(m).keys },
    also: [
      lossCountsRealTokens(),
      standsForTokens,
      everyElementHasGradient,
      deterministicForKey((k) => prefix({ length: 3, key: k })),
    ],
  },
  {
    ...quick,
    name: 'prefix of one row, zeros',
    covers: [],
    transform: prefix({ length: 1, init: 'zeros' }),
    declare: { ...prefixing, adds: (m) => 2 * sizesOf(m).keys },
    also: [standsForTokens, everyElementHasGradient],
  },
  {
    ...quick,
    name: 'prefix with a projection',
    covers: [],
    transform: prefix({ length: 2, projection: 3 }),
    declare: {
      ...prefixing,
      merge: 'exact',
      adds: (m) => {
        const { d, keys } = sizesOf(m)
        return 2 * d + (d * 3 + 3) + (3 * 2 * keys + 2 * keys)
      },
    },
    also: [
      lossCountsRealTokens(),
      standsForTokens,
      everyElementHasGradient,
      deterministicForKey((k) => prefix({ length: 3, projection: 2, key: k })),
    ],
  },
  {
    ...quick,
    name: 'prefix, prompt and LoRA together',
    covers: [],
    transform: steps(prompt({ at: '**', length: 2 }), prefix({ length: 2 }), lora({ at: '**.mlp', rank: 2 })),
    declare: { ...prompting(2), merge: 'exact' },
  },
  ptuningRow('ptuning', mlpCount(3, 4), { length: 3, hidden: 4 }),
  ptuningRow('ptuning of one row', mlpCount(1, 5), { length: 1, hidden: 5, encoder: 'mlp' }),
  ptuningRow('ptuning by an LSTM', lstmCount(3, 2, 2), { length: 3, hidden: 2, encoder: 'lstm' }),
  ptuningRow('ptuning by an LSTM of one layer', lstmCount(2, 3, 1), {
    length: 2,
    hidden: 3,
    encoder: 'lstm',
    layers: 1,
  }),
  {
    ...quick,
    name: 'ptuning with a key',
    covers: [],
    transform: ptuning({ at: '**', length: 3, hidden: 4, key: key(5) }),
    declare: { ...prompting(3), merge: 'exact' },
    laws: [deterministicForKey((k) => ptuning({ length: 3, hidden: 4, encoder: 'lstm', key: k }))],
  },
  {
    ...quick,
    name: 'bake',
    covers: ['bake'],
    transform: bake,
    given: steps(ptuning({ at: '**', length: 2, hidden: 3 }), lora({ at: '**.mlp', rank: 2 })),
    declare: merging,
  },
  {
    ...quick,
    name: 'bake of a prefix',
    covers: [],
    transform: bake,
    given: steps(ptuning({ at: '**', length: 2, hidden: 3, encoder: 'lstm' }), prefix({ length: 2, projection: 3 })),
    // A model that is wrapped as a whole has no place beside it where a tie could stand.
    laws: lawsFor(merging).filter((law) => law.name !== 'keepsTies'),
  },
]

/** The kinds of this group; a sequence of one has no state to multiply by. */
export const promptKinds: Readonly<Record<string, KindOptions>> = {
  Lstm: { dims: { hidden: [1, 4] } },
  PromptMlp: { form: 'table', inexact: true },
  PromptLstm: { form: 'table', dims: { in: 2, out: [2, 3], hidden: 2, more: 1 }, inexact: true },
  PrefixMlp: { form: 'table', inexact: true },
  Prefixed: {
    base: sllm.kind,
    dims: { n_heads: 2, d_head: 2, n_layers: 1, width: 8, d_model: [3, 6], context_window: 12, vocab_size: [3, 8] },
    statics: { layers: 1, heads: 2 },
  },
}
