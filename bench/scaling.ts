/** What a step costs as one size grows and the others stay. */
import { byRow, adapterOf, engine, freeze, gpt2, key, lora } from 'espalier'
import { item, release, scope, slice, tensor } from 'espalier/ops'
import type { EngineName } from 'espalier/ops'
import { idsOf } from './cases.ts'
import type { Case } from './cases.ts'
import { bestOf, medianOf } from './contest.ts'
import { training, withLora } from './ours.ts'
import type { Chart, Table } from './results.ts'

interface Point {
  readonly depth: number
  readonly width: number
  readonly rank: number
  readonly length: number
  readonly adapters: number
}

const middle: Point = { depth: 4, width: 256, rank: 8, length: 128, adapters: 1 }

const axes: Readonly<Record<keyof Point, readonly number[]>> = {
  depth: [1, 2, 4, 8, 16],
  width: [64, 128, 256, 512, 768],
  rank: [1, 4, 16, 64, 256],
  length: [16, 32, 64, 128, 256, 512],
  adapters: [1, 2, 4, 8, 16],
}

const config = ({ depth, width }: Point): object => ({
  n_layer: depth,
  n_embd: width,
  n_head: width / 32,
  vocab_size: 2000,
  n_positions: 512,
  resid_pdrop: 0,
  embd_pdrop: 0,
  attn_pdrop: 0,
})

const caseOf = ({ depth, width, rank, length }: Point): Case => ({
  task: 'lora',
  model: 'gpt2',
  batch: 1,
  length,
  folder: '',
  rank,
  newTokens: 0,
  sizes: { layers: depth, d: width, heads: width / 32, wide: width, inner: 4 * width, vocab: 2000 },
})

/** Something to time again and again, and to free afterwards. */
interface Work {
  readonly step: () => void
  readonly end: () => void
}

/** A LoRA step of one text; with several adapters a forward pass, since those serve and are not trained together. */
const workOf = (point: Point, serves: boolean): Work => {
  const base = freeze(gpt2.init(config(point), key(0)))
  const bench = caseOf(point)
  if (!serves) {
    const step = training(withLora(base, bench), bench, base)
    return { step: () => void step(), end: () => release(base, { keep: [] }) }
  }
  const names = Array.from({ length: point.adapters }, (_, i) => `a${i}`)
  const put = (i: number) => lora({ at: '**.c_attn', rank: point.rank, key: key(i) })(base)
  const model = byRow(Object.fromEntries(names.map((name, i) => [name, adapterOf<unknown>(put(i))])))(base)
  const rows = 16
  const ids = tensor(idsOf({ ...bench, batch: rows, length: 8 }), [rows, 8], 'int32')
  const each = Array.from({ length: rows }, (_, i) => names[i % names.length]!)
  return {
    step: () => scope(() => void item(slice(gpt2.apply(model as never, ids, { rows: each }), [0, 0, 0], [1, 1, 1]))),
    end: () => release([base, model, ids], { keep: [] }),
  }
}

const milliseconds = (f: () => void): number => {
  const start = performance.now()
  f()
  return performance.now() - start
}

/** All in turn, forward and backward: whatever slows the machine for a while slows every point of a curve. */
const inTurn = (works: readonly Work[], rounds: number): readonly (readonly number[])[] => {
  const all = works.map((): number[] => [])
  const indices = works.map((_, i) => i)
  for (const { step } of [...works, ...works]) step()
  for (let round = 0; round < rounds; round++)
    for (const i of round % 2 === 0 ? indices : indices.toReversed()) all[i]!.push(milliseconds(works[i]!.step))
  for (const { end } of works) end()
  return all
}

/** A table and a chart for each size that grows. */
export const scaling = async (
  name: EngineName,
  rounds: number,
  tell: (table: Table, chart: Chart) => void,
): Promise<void> => {
  await engine({ prefer: name, quiet: true })
  for (const axis of Object.keys(axes) as (keyof Point)[]) {
    const serves = axis === 'adapters'
    const works = axes[axis].map((at) => workOf({ ...middle, [axis]: at }, serves))
    const measured = inTurn(works, rounds).map((ms, i) => [axes[axis][i]!, ms] as const)
    const { [axis]: _, ...others } = middle
    const rest = Object.entries(serves ? { ...others, length: 8, rows: 16 } : others)
    const at = rest.filter(([key]) => key !== 'adapters').map(([key, value]) => `${key} ${value}`)
    const title = serves ? 'Forward pass by adapters' : `LoRA step by ${axis}`
    const table: Table = {
      title: `${title}, ${name}`,
      columns: [axis, 'best ms', 'median ms'],
      rows: measured.map(([value, ms]) => [String(value), bestOf(ms), medianOf(ms)]),
      notes: [`At ${at.join(', ')}.`],
    }
    const points = measured.map(([value, ms]) => [value, bestOf(ms)] as const)
    tell(table, { title, x: axis, series: [{ name, points }] })
  }
}
