/** Espalier as a contestant: one task on one engine. */
import { adamw, engine, freeze, generateTokens, gpt2, key, lora, quantize, sllm, start, step } from 'espalier'
import { bytesAtRest, count, isPacked, places } from 'espalier'
import { loadPretrained, orThrow } from 'espalier/io'
import { compile, currentEngine, item, matmul, release, scope, slice, tensor, uniform } from 'espalier/ops'
import type { EngineName, Tensor } from 'espalier/ops'
import { flopsOf, idsOf, positions, rate } from './cases.ts'
import type { Case, Product } from './cases.ts'
import { serve, timed } from './serve.ts'
import type { Outcome, Ready } from './serve.ts'

/** What of a case this contestant is told besides. */
export interface Ours extends Case {
  readonly engine: EngineName
}

interface Batch {
  readonly ids: Tensor
  readonly labels: Tensor
}

/** What the tasks need of a family, whatever its type. */
interface Runner {
  readonly apply: (model: never, ids: Tensor) => Tensor
  readonly loss: (model: never, batch: Batch, ctx: object) => Tensor
}

const runners: Readonly<Record<Case['model'], Runner>> = { gpt2, sllm }
const adapted: Readonly<Record<Case['model'], string>> = { gpt2: '**.c_attn', sllm: 'transformer_blocks' }

export const freshSllm = (
  { sizes: { layers, d, heads, wide, vocab } }: Pick<Case, 'sizes'>,
  length = positions,
): unknown =>
  sllm.init(
    {
      ...sllm.config.seed,
      d_model: d,
      n_heads: heads,
      d_head: wide / heads,
      n_layers: layers,
      vocab_size: vocab,
      context_window: length,
    },
    key(0),
  )

const load = async (bench: Case): Promise<unknown> =>
  bench.model === 'gpt2' ? (await orThrow(loadPretrained(bench.folder))).model : freshSllm(bench)

/** LoRA as every contestant has it. */
export const withLora = (base: unknown, bench: Pick<Case, 'model' | 'rank'>): unknown =>
  lora.unchecked({ at: adapted[bench.model], rank: bench.rank, alpha: 16, scaling: 'alpha/rank', key: key(1) })(base)

/** A step of training again and again; each frees the run before it. */
export const training = (model: unknown, bench: Case, base: unknown): (() => Outcome) => {
  const ids = tensor(idsOf(bench), [bench.batch, bench.length], 'int32')
  const optimiser = adamw({ rate, weightDecay: 0.01 })
  const advance = step<never, Batch, never>(optimiser as never, (m, batch, ctx) =>
    runners[bench.model].loss(m, batch, ctx),
  )
  const begun = start<never, never>(model as never, optimiser as never, { key: key(2) })
  let run = begun
  return () => {
    const next = advance<never>(run, { ids, labels: ids })
    const value = item(next.loss!)
    release(run, { keep: [next, base] })
    run = next
    return { value }
  }
}

const forward = (model: unknown, bench: Case): (() => Outcome) => {
  const { batch, length } = bench
  const ids = tensor(idsOf(bench), [batch, length], 'int32')
  const logits = compile((m: unknown, x: Tensor) => runners[bench.model].apply(m as never, x))
  return () => ({ value: scope(() => item(slice(logits(model, ids), [batch - 1, length - 1, 0], [1, 1, 1]))) })
}

const generation = (model: unknown, bench: Case): (() => Outcome) => {
  const ids = tensor(idsOf(bench), [bench.batch, bench.length], 'int32')
  return () => {
    const tokens = [...generateTokens(model as never, { ids }, { maxNewTokens: bench.newTokens })].flat()
    // Each by its place, so that none can stand for another.
    return { value: tokens.reduce((sum: number, token, i) => sum + (i + 1) * (token ?? 0), 0) }
  }
}

const operand = (seed: number, shape: readonly number[]): Tensor => uniform(key(seed), [...shape])

const products = (all: readonly Product[]): (() => Outcome) => {
  const runs = all.map((product) => {
    const { name, batch, rows, depth, columns, transposeA = false, transposeB = false } = product
    const outer = batch === undefined ? [] : [batch]
    const a = operand(1, [...outer, ...(transposeA ? [depth, rows] : [rows, depth])])
    const b = operand(2, [...outer, ...(transposeB ? [columns, depth] : [depth, columns])])
    const once = (): void => release(matmul(a, b, { transposeA, transposeB }), { keep: [] })
    return () => timed(name, flopsOf({ ...product, count: 1 }), once)
  })
  return () => ({ parts: Object.fromEntries(runs.map((run) => run())) })
}

/** Bytes of each weight that is packed, for the record. */
const atRest = (model: unknown): Readonly<Record<string, number>> => {
  const packed = [...places(model)].filter((p) => isPacked(p.node)).map((p) => p.node)
  return { 'bytes a weight': Number((bytesAtRest(packed) / count(packed).parameters).toFixed(4)) }
}

const prepare = async (bench: Ours): Promise<Ready> => {
  const { describe } = await engine({ prefer: bench.engine, quiet: true })
  const about = { engine: currentEngine(), describe, node: process.version }
  if (bench.task === 'matmul') return { about, step: products(bench.products ?? []) }
  const model = await load(bench)
  if (bench.task === 'full') return { about, step: training(model, bench, model) }
  const frozen = freeze(model)
  if (bench.task === 'forward') return { about, step: forward(frozen, bench) }
  if (bench.task === 'generation') return { about, step: generation(frozen, bench) }
  if (bench.task === 'lora') return { about, step: training(withLora(frozen, bench), bench, frozen) }
  const base = quantize.unchecked({ at: '**' })(frozen)
  release(frozen, { keep: base })
  return { about: { ...about, ...atRest(base) }, step: training(withLora(base, bench), bench, base) }
}

// Imported by the other programs of this folder for what it makes; run, it is a contestant.
if (process.argv[1]?.endsWith('ours.js') === true) await serve<Ours>(prepare)
