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

const timed = (f: () => void, rounds: number): readonly number[] => {
  f()
  f()
  return Array.from({ length: rounds }, () => {
    const start = performance.now()
    f()
    return performance.now() - start
  })
}

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

/** A LoRA step of one text; with several adapters a forward pass, since those serve and are not trained together. */
const cost = (point: Point, rounds: number, serves: boolean): readonly number[] => {
  const base = freeze(gpt2.init(config(point), key(0)))
  const bench = caseOf(point)
  if (!serves) {
    const step = training(withLora(base, bench), bench, base)
    const ms = timed(() => void step(), rounds)
    release(base, { keep: [] })
    return ms
  }
  const names = Array.from({ length: point.adapters }, (_, i) => `a${i}`)
  const put = (i: number) => lora({ at: '**.c_attn', rank: point.rank, key: key(i) })(base)
  const model = byRow(Object.fromEntries(names.map((name, i) => [name, adapterOf<unknown>(put(i))])))(base)
  const rows = 16
  const ids = tensor(idsOf({ ...bench, batch: rows, length: 8 }), [rows, 8], 'int32')
  const each = Array.from({ length: rows }, (_, i) => names[i % names.length]!)
  const ms = timed(
    () => scope(() => void item(slice(gpt2.apply(model as never, ids, { rows: each }), [0, 0, 0], [1, 1, 1]))),
    rounds,
  )
  release([base, model], { keep: [] })
  return ms
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
    const measured = axes[axis].map((at) => [at, cost({ ...middle, [axis]: at }, rounds, serves)] as const)
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
