/** Writes the last figures into docs/performance.md, and their picture beside it. */
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pictureSvg } from './picture.ts'
import { readResults, tableMarkdown } from './results.ts'
import type { Chart, Results } from './results.ts'

const [begin, end] = ['<!-- figures: written by `npm run bench -- report` -->', '<!-- end of figures -->']
const order = ['lora', 'qlora', 'full', 'forward', 'generation', 'matmul', 'transforms', 'scaling']

const aboutOf = ({ name, date, machine: m, load = 0, versions }: Results): string =>
  [
    `### ${name}`,
    '',
    `${date.slice(0, 10)}, ${m.cpu}, ${m.cores} cores, ${m.memoryGb} GB, ${m.system}, load ${load} before; ${Object.entries(
      versions,
    )
      .map(([what, version]) => `${what} ${version}`)
      .join(', ')}.`,
  ].join('\n')

/** One chart of each title, with the curves of every engine that has some. */
const joined = (charts: readonly Chart[]): readonly Chart[] =>
  [...new Set(charts.map(({ title }) => title))].map((title) => {
    const same = charts.filter((chart) => chart.title === title)
    return { ...same[0]!, series: same.flatMap(({ series }) => series) }
  })

export const report = (root: string, folder: string): void => {
  const files = existsSync(folder) ? readdirSync(folder).filter((file) => file.endsWith('.json')) : []
  const all = files
    .flatMap((file) => readResults(join(folder, file)) ?? [])
    .toSorted((a, b) => order.indexOf(a.name) - order.indexOf(b.name))
  const charts = joined(all.flatMap((results) => results.charts ?? []))
  const picture = 'images/scaling.svg'
  if (charts.length > 0) writeFileSync(join(root, 'docs', picture), pictureSvg(charts))
  const parts = all.flatMap((results) => [
    aboutOf(results),
    ...(results.charts === undefined ? [] : [`![Milliseconds of a step by each size](${picture})`]),
    ...results.tables.map(tableMarkdown),
  ])
  const page = join(root, 'docs', 'performance.md')
  const text = readFileSync(page, 'utf8')
  const [from, to] = [text.indexOf(begin), text.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`docs/performance.md has lost its lines ${begin} and ${end}`)
  const figures = parts.length === 0 ? 'Nothing has been measured yet.' : parts.join('\n\n')
  writeFileSync(page, `${text.slice(0, from + begin.length)}\n\n${figures}\n\n${text.slice(to)}`)
}
