/** `npm run bench -- NAME`: see docs/performance.md. scripts/bench.mjs sets up what this needs. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { compareProducts, compareSteps } from './compare.ts'
import { report } from './report.ts'
import { busy, machine, tableText, writeResults } from './results.ts'
import type { Chart, Table } from './results.ts'
import { scaling } from './scaling.ts'
import { transforms } from './transforms.ts'

const root = process.env['ESPALIER_BENCH_ROOT'] ?? '.'
const tasks = ['lora', 'qlora', 'full', 'forward', 'generation'] as const
const names = [...tasks, 'matmul', 'transforms', 'scaling', 'report']

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    engines: { type: 'string', default: 'native,wasm' },
    against: { type: 'string', default: 'torch,jax,ops,stock,jax-js' },
    models: { type: 'string', default: 'sllm,gpt2' },
    shapes: { type: 'string' },
    rounds: { type: 'string', default: '6' },
    json: { type: 'string' },
  },
})
const list = (text: string): readonly string[] => text.split(',').filter((part) => part !== '')
const engines = list(values.engines)
const setting = {
  rounds: Number(values.rounds),
  engines,
  against: list(values.against),
  models: list(values.models),
  shapes: values.shapes === undefined ? undefined : list(values.shapes),
  cache: process.env['ESPALIER_BENCH_CACHE'] ?? join(root, 'node_modules', '.cache', 'bench'),
  python: join(root, 'bench', 'python'),
}

const name = positionals[0] ?? ''
const results = join(root, 'bench', 'results')
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { readonly version: string }

const load = busy()
if (load > machine().cores / 4) console.error(`The machine is busy (load ${load}): these figures will not say much.`)

const made: Table[] = []
const charts: Chart[] = []
/** Each table is told and kept as soon as it is there: a run that is broken off has not been for nothing. */
const tell = (table: Table, chart?: Chart): void => {
  console.log(tableText(table))
  made.push(table)
  if (chart !== undefined) charts.push(chart)
  writeResults(values.json ?? join(results, `${name}.json`), {
    name,
    date: new Date().toISOString(),
    machine: machine(),
    load,
    versions: Object.assign(
      { espalier: version, node: process.versions.node },
      ...made.map((t) => t.versions ?? {}),
    ) as {
      readonly [name: string]: string
    },
    tables: made,
    ...(charts.length === 0 ? {} : { charts }),
  })
}

const task = tasks.find((known) => known === name)
if (task !== undefined) await compareSteps(task, setting, tell)
else if (name === 'matmul') await compareProducts(setting, tell)
else if (name === 'transforms') transforms(tell)
else if (name === 'scaling')
  for (const engine of engines) await scaling(engine as 'native' | 'wasm', setting.rounds, tell)
else if (name === 'report') report(root, results)
else {
  console.error(`no benchmark is called "${name}"; there are ${names.join(', ')}`)
  process.exitCode = 2
}
