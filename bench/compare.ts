/** Comparisons of steps: who takes part in which, and what their table says. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { flopsOf, matmulProducts, productsOf, rank, shapesOf, showShape, sizes } from './cases.ts'
import type { Case, ModelName, Product, Task } from './cases.ts'
import { bestOf, contest, medianOf } from './contest.ts'
import type { Contestant, Measured } from './contest.ts'
import { fixture } from './fixtures.ts'
import type { Table } from './results.ts'

/** How a comparison is run. */
export interface Setting {
  readonly rounds: number
  readonly engines: readonly string[]
  readonly against: readonly string[]
  readonly models: readonly string[]
  readonly shapes: readonly string[] | undefined
  /** Where the models of the benchmarks lie. */
  readonly cache: string
  /** The folder of the Python programs. */
  readonly python: string
}

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url))

const node = (name: string, file: string, options: object, env: Contestant['env'] = {}): Contestant => ({
  name,
  command: process.execPath,
  args: [here(file), JSON.stringify(options)],
  env,
})

const torchName = 'PyTorch'

const ours = (options: object, { engines }: Setting, suffix = ''): readonly Contestant[] => [
  ...(engines.includes('native') ? [node(`native${suffix}`, 'ours.js', { ...options, engine: 'native' })] : []),
  ...(engines.includes('wasm')
    ? ['1', '2'].map((threads) =>
        node(
          `WASM${suffix}, ${threads} thread${threads === '1' ? '' : 's'}`,
          'ours.js',
          { ...options, engine: 'wasm' },
          {
            ESPALIER_WASM_THREADS: threads,
          },
        ),
      )
    : []),
]

const opByOp = (options: object, { engines, against }: Setting): readonly Contestant[] =>
  engines.includes('native') && against.includes('ops')
    ? [node('native, op by op', 'ours.js', { ...options, engine: 'native' }, { ESPALIER_COMPILE: 'off' })]
    : []

const python = (
  name: string,
  file: string,
  variable: string,
  options: object,
  setting: Setting,
): readonly Contestant[] => {
  const command = process.env[variable]
  return command === undefined ? [] : [{ name, command, args: [join(setting.python, file), JSON.stringify(options)] }]
}

const torch = (options: object, setting: Setting, name = torchName): readonly Contestant[] =>
  setting.against.includes('torch') ? python(name, 'torch_step.py', 'ESPALIER_PYTHON', options, setting) : []

const jax = (options: object, setting: Setting): readonly Contestant[] =>
  setting.against.includes('jax') ? python('JAX', 'jax_step.py', 'ESPALIER_JAX', options, setting) : []

/** Beside QLoRA, for its price; its losses are others, since its base was not rounded. */
const plainLora = ', LoRA'

const contestantsOf = (bench: Case, setting: Setting): readonly Contestant[] => {
  const { task, model } = bench
  const stock = task === 'lora' && model === 'sllm' && setting.against.includes('stock')
  return [
    ...ours(bench, setting),
    ...(task === 'qlora' ? ours({ ...bench, task: 'lora' }, setting, plainLora) : opByOp(bench, setting)),
    // transformers has no SLLM to generate with or to quantise, and our JAX program knows GPT-2's training and forward pass.
    ...(model === 'gpt2' || (task !== 'generation' && task !== 'qlora') ? torch(bench, setting) : []),
    ...(model === 'gpt2' && task !== 'generation' && task !== 'qlora' ? jax(bench, setting) : []),
    ...(stock ? [node('tfjs WASM', 'stock/sllm.js', bench)] : []),
  ]
}

const productsOnly = 'products only, '
const isNoLimit = ({ name }: Measured): boolean => !name.startsWith(productsOnly)

/** The limit of the machine: the products of the step alone, by the libraries that know them best. */
const limits = (bench: Case, products: readonly Product[], setting: Setting): readonly Contestant[] => {
  const options: Case = { ...bench, task: 'matmul', products }
  const native = { ...setting, engines: setting.engines.filter((name) => name === 'native') }
  const all = products.length === 0 ? [] : [...torch(options, setting), ...ours(options, native)]
  return all.map((contestant) => ({ ...contestant, name: productsOnly + contestant.name }))
}

const limitOf = (products: readonly Product[], all: readonly Measured[]): number | undefined => {
  const best = products.map(({ name, count = 1 }) => count * Math.min(...all.map((m) => m.parts[name] ?? Infinity)))
  const sum = best.reduce((x, y) => x + y, 0)
  return products.length > 0 && Number.isFinite(sum) ? sum : undefined
}

/** Whether all contestants computed the same, by the figures of their first steps: losses, logits, or sums over token ids. */
export const agreement = (task: Task, all: readonly Measured[]): string => {
  const [first, ...others] = all.filter(({ name, values }) => values.length > 0 && !name.includes(plainLora))
  if (first === undefined) return 'Nobody told a loss.'
  // Of tokens there is no nearly the same.
  const tolerance = task === 'generation' ? 0 : 1e-3
  const wrong = others.filter(({ values }) =>
    values.some((v, i) => !(Math.abs(v - first.values[i]!) <= tolerance * Math.max(1, Math.abs(first.values[i]!)))),
  )
  const told = first.values.map((v) => v.toFixed(4)).join(', ')
  return wrong.length === 0
    ? `All computed the same in the first ${first.values.length} steps: ${told}.`
    : `NOT THE SAME: ${first.name} ${told}; ${wrong.map((m) => `${m.name} ${m.values.map((v) => v.toFixed(4)).join(', ')}`).join('; ')}.`
}

const versionsOf = (all: readonly Measured[]): Readonly<Record<string, string>> =>
  Object.fromEntries(
    all
      .flatMap(({ about }) => Object.entries(about))
      .filter(([what]) => ['torch', 'transformers', 'peft', 'jax', 'tfjs'].includes(what))
      .map(([what, version]) => [what, String(version)]),
  )

/** What one comparison comes to. */
const summary = (
  task: Task,
  title: string,
  all: readonly Measured[],
  products: readonly Product[],
  limitMs: number | undefined,
): Table => {
  const flops = products.reduce((sum, product) => sum + flopsOf(product), 0)
  const reference = all.find((m) => m.name === torchName && m.ms.length > 0)
  const over = (x: number, y: number | undefined): number | null => (y === undefined ? null : x / y)
  const aboutOf = all.find((m) => m.about['bytes a weight'] !== undefined)
  return {
    title,
    columns: ['', 'best ms', 'median ms', '× PyTorch', 'median ×', 'peak MB', '× PyTorch', 'GFLOP/s', 'of the limit'],
    rows: all.map(({ name, ms, peakMb = NaN }) =>
      ms.length === 0
        ? [name, ...Array.from({ length: 8 }, () => null)]
        : [
            name,
            bestOf(ms),
            medianOf(ms),
            over(bestOf(ms), reference && bestOf(reference.ms)),
            over(medianOf(ms), reference && medianOf(reference.ms)),
            peakMb,
            over(peakMb, reference?.peakMb),
            flops === 0 ? null : flops / bestOf(ms) / 1e6,
            limitMs === undefined ? null : `${Math.round((100 * limitMs) / bestOf(ms))} %`,
          ],
    ),
    notes: [
      agreement(task, all),
      ...(limitMs === undefined
        ? []
        : [
            `Its products alone take ${limitMs.toFixed(limitMs < 100 ? 1 : 0)} ms, each as the faster of PyTorch and us has it.`,
          ]),
      ...(aboutOf === undefined ? [] : [`Quantised weights: ${aboutOf.about['bytes a weight']} bytes each at rest.`]),
      ...all.flatMap(({ name, failed }) => (failed === undefined ? [] : [`${name} did not take part: ${failed}.`])),
    ],
    versions: versionsOf(all),
    raw: { flops, limitMs, contestants: all },
  }
}

const titles: Readonly<Record<Task, string>> = {
  lora: 'LoRA step, rank 8',
  qlora: 'QLoRA step, NF4, rank 8',
  full: 'Full fine-tuning step',
  forward: 'Forward pass',
  generation: 'Generation of 128 tokens',
}
const modelTitles: Readonly<Record<ModelName, string>> = { gpt2: 'GPT-2 small', sllm: 'SLLM' }

/** Compares one task on each model and shape that is asked for. */
export const compareSteps = async (task: Task, setting: Setting, tell: (table: Table) => void): Promise<void> => {
  const models = (['sllm', 'gpt2'] as const).filter((model) => setting.models.includes(model))
  for (const model of models) {
    const folder = await fixture(model, setting.cache)
    for (const shape of shapesOf(task, model)) {
      if (setting.shapes !== undefined && !setting.shapes.includes(showShape(shape))) continue
      const bench: Case = { task, model, ...shape, folder, rank, newTokens: 128, sizes: sizes[model] }
      const products = task === 'generation' ? [] : productsOf(bench)
      const all = await contest([...contestantsOf(bench, setting), ...limits(bench, products, setting)], setting.rounds)
      const title = `${titles[task]}: ${modelTitles[model]}, ${showShape(shape)}`
      tell(summary(task, title, all.filter(isNoLimit), products, limitOf(products, all)))
    }
  }
}

/** Compares products alone, engine by engine. */
export const compareProducts = async (setting: Setting, tell: (table: Table) => void): Promise<void> => {
  const bench = { task: 'matmul', model: 'gpt2', products: matmulProducts }
  const all = await contest(
    [
      ...ours(bench, setting),
      ...(setting.against.includes('stock') ? [node('tfjs WASM', 'stock/matmul.js', bench)] : []),
      ...(setting.against.includes('jax-js') && process.env['ESPALIER_JAX_JS'] !== undefined
        ? [node('jax-js WASM', 'stock/jax-js.js', bench)]
        : []),
      ...torch(bench, setting),
    ],
    setting.rounds,
  )
  tell({
    title: 'Matrix products, GFLOP/s',
    columns: ['', ...all.map(({ name }) => name)],
    rows: matmulProducts.map((product) => [
      product.name,
      ...all.map(({ parts }) => {
        const ms = parts[product.name]
        return ms === undefined ? null : flopsOf(product) / ms / 1e6
      }),
    ]),
    notes: all.flatMap(({ name, failed }) => (failed === undefined ? [] : [`${name} did not take part: ${failed}.`])),
    versions: versionsOf(all),
    raw: all,
  })
}
