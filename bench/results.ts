/** Results as data: what a run writes, and what `report` makes pages of. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { arch, cpus, loadavg, platform, release, totalmem } from 'node:os'
import { dirname } from 'node:path'

/** One table: of numbers, texts, or nothing where a contestant could not take part. */
export interface Table {
  readonly title: string
  /** What is said below it. */
  readonly notes: readonly string[]
  readonly columns: readonly string[]
  readonly rows: readonly (readonly (string | number | null)[])[]
  /** Of what took part besides us. */
  readonly versions?: Readonly<Record<string, string>>
  /** All that was measured, for whoever wants to reckon anew. */
  readonly raw?: unknown
}

/** The curves of one picture. */
export interface Chart {
  readonly title: string
  readonly x: string
  readonly series: readonly { readonly name: string; readonly points: readonly (readonly [number, number])[] }[]
}

export interface Results {
  readonly name: string
  readonly date: string
  readonly machine: Machine
  /** The load of the machine before the run. */
  readonly load?: number
  readonly versions: Readonly<Record<string, string>>
  readonly tables: readonly Table[]
  readonly charts?: readonly Chart[]
}

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGb: number
  readonly system: string
}

export const machine = (): Machine => ({
  cpu: cpus()[0]?.model.trim() ?? 'unknown',
  cores: cpus().length,
  memoryGb: Math.round(totalmem() / 2 ** 30),
  system: `${platform()} ${release()} ${arch()}`,
})

/** What else the machine does, in cores; what takes part with a barrier between its threads suffers from that most. */
export const busy = (): number => Math.round((loadavg()[0] ?? 0) * 10) / 10

export const readResults = (file: string): Results | undefined =>
  existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Results) : undefined

/** Writes results; tables of the same machine that this run did not make anew stay. */
export const writeResults = (file: string, results: Results): void => {
  const before = readResults(file)
  const same = JSON.stringify(before?.machine) === JSON.stringify(results.machine)
  const fresh = new Set(results.tables.map(({ title }) => title))
  const kept = same ? (before?.tables ?? []).filter(({ title }) => !fresh.has(title)) : []
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, `${JSON.stringify({ ...results, tables: [...kept, ...results.tables] }, null, 1)}\n`)
}

const shown = (cell: string | number | null): string =>
  cell === null ? '–' : typeof cell === 'string' ? cell : digits(cell)

/** Three digits that count, and never a power of ten. */
const digits = (x: number): string =>
  Number.isInteger(x) || Math.abs(x) >= 100
    ? String(Math.round(x))
    : x.toFixed(Math.abs(x) >= 10 ? 1 : Math.abs(x) >= 0.1 ? 2 : 3)

/** A table as people read it in a terminal. */
export const tableText = ({ title, columns, rows, notes }: Table): string => {
  const cells = [columns, ...rows.map((row) => row.map(shown))]
  const widths = columns.map((_, i) => Math.max(...cells.map((row) => row[i]!.length)))
  const line = (row: readonly string[]): string =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  ')
  return ['', title, ...cells.map(line), ...notes].join('\n')
}

/** The same in Markdown. */
export const tableMarkdown = ({ title, columns, rows, notes }: Table): string =>
  [
    `**${title}**`,
    '',
    `| ${columns.join(' | ')} |`,
    `| --- |${columns
      .slice(1)
      .map(() => ' ---: |')
      .join('')}`,
    ...rows.map((row) => `| ${row.map(shown).join(' | ')} |`),
    ...(notes.length > 0 ? ['', ...notes] : []),
  ].join('\n')
