import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { loadTokenizer, orThrow, saveAdapter, saveModel } from '../io/index.ts'
import { sllm } from '../model/sllm.ts'
import type { AnySllm } from '../model/sllm.ts'
import { engine } from '../ops/index.ts'
import { adamw, classifier, collateTokens, curveSvg, curveText, evaluateOn, fit, warmupCosine } from '../train/index.ts'
import type { Fitted, Loss, Metrics } from '../train/index.ts'
import { applyRecipe, decodeRecipe } from '../transform/index.ts'
import { count } from '../tree/count.ts'
import { fold, key } from '../tree/key.ts'
import { decodeConfig } from './config.ts'
import type { TrainConfig } from './config.ts'
import { readClassified, readTexts } from './data.ts'
import { refuse, usage } from './errors.ts'
import { readJson } from './files.ts'
import { openModel } from './open.ts'

export const trainHelp = `espalier train --config FILE
  Adapts a model by a recipe, trains it, and saves what was added.
  FILE is JSON; paths in it are relative to it:
    model       "sllm", a folder that saveModel wrote, or { "sllm": { what differs from the seed } }
    tokenizer   a folder with tokenizer.json
    train       JSON lines { "text": …, "label": … }; heldout, the same, is judged after each epoch
    task        { "classify": { label: its token, … } } or "language-model"
    recipe      a list of transforms, such as [{"freeze":{}},{"lora":{"at":"**.mlp","rank":8}}]
    epochs, rate, and at will batchSize, accumulate, weightDecay, warmup, clip, patience, seed
    output      a folder for the adapter (the whole model, if nothing was frozen), metrics.jsonl and loss.svg,
                and the base if it was drawn here`

/** A task in the pieces that training wants, whatever its examples are. */
interface Job<T, B> {
  readonly data: readonly T[]
  readonly collate: (examples: readonly T[]) => B
  readonly loss: Loss<AnySllm, B>
  readonly evaluate?: (model: AnySllm) => Metrics
}

/** The `train` command: what it prints at the end. */
export const train = async (args: readonly string[]): Promise<string> => {
  const { values } = parseArgs({ args: [...args], options: { config: { type: 'string' } } })
  if (values.config === undefined) throw usage('--config', 'a JSON file', 'nothing', 'See `espalier train --help`.')
  const config = decodeConfig(await readJson(values.config, 'a configuration'))
  const from = (path: string): string => resolve(dirname(values.config ?? ''), path)

  const recipe = decodeRecipe(config.recipe)
  if (recipe._tag === 'Left') return refuse(recipe.left.map((i) => ({ ...i, path: `recipe${i.path}` })))
  const seed = key(config.seed ?? 0)
  const base = await openBase(config, from)
  const tokenizer = await orThrow(loadTokenizer(from(config.tokenizer)))
  const tuned = applyRecipe(recipe.right, fold(seed, 'recipe'))(base) as AnySllm
  const output = from(config.output)
  await requireFresh(output)
  // A base that was drawn here is nowhere else, and an adapter is worth nothing without its base.
  if (typeof config.model === 'object' && count(tuned).frozen > 0) await orThrow(saveModel(base, join(output, 'base')))

  const heldout = config.heldout === undefined ? undefined : from(config.heldout)
  const run = <T, B>(job: Job<T, B>): Promise<string> => learn(config, job, tuned, output)
  await engine()
  if (config.task === 'language-model') {
    const data = await readTexts(from(config.train), tokenizer)
    const judged = heldout === undefined ? undefined : await readTexts(heldout, tokenizer)
    const evaluate = judged && evaluateOn({ data: judged, collate: collateTokens, loss: sllm.loss, batchSize: 32 })
    return run({ data, collate: collateTokens, loss: sllm.loss, ...(evaluate && { evaluate }) })
  }
  const names = Object.keys(config.task.classify)
  const labels = Object.values(config.task.classify).map((token) => tokenizer.id(token))
  const task = classifier<AnySllm>({ next: sllm.nextLogits, labels })
  const data = await readClassified(from(config.train), tokenizer, names)
  const judged = heldout === undefined ? undefined : await readClassified(heldout, tokenizer, names)
  return run({
    data,
    collate: task.collate,
    loss: task.loss,
    ...(judged && { evaluate: (m) => task.evaluate(m, judged) }),
  })
}

const requireFresh = async (output: string): Promise<void> => {
  const used = (await readdir(output).catch(() => [])).filter((name) =>
    ['adapter', 'model', 'metrics.jsonl'].includes(name),
  )
  if (used.length > 0)
    throw usage(
      'output',
      'a folder without an earlier run',
      `${used.join(', ')} in ${output}`,
      'Name another folder, or remove that one.',
    )
}

const openBase = async ({ model, seed = 0 }: TrainConfig, from: (path: string) => string): Promise<unknown> =>
  typeof model === 'object'
    ? sllm.init({ ...sllm.config.seed, ...model.sllm }, key(seed))
    : (await openModel(model === 'sllm' ? model : from(model))).model

const learn = async <T, B>(config: TrainConfig, job: Job<T, B>, tuned: AnySllm, output: string): Promise<string> => {
  const { epochs, rate, batchSize = 16, accumulate = 1, weightDecay = 0.01, warmup = 0, clip = 1, seed = 0 } = config
  const total = epochs * Math.ceil(job.data.length / batchSize)
  await mkdir(output, { recursive: true })
  const before = job.evaluate?.(tuned)
  const fitted: Fitted<AnySllm, unknown> = await fit<AnySllm, T, B, unknown>(tuned, {
    ...job,
    optimiser: adamw({
      rate: warmupCosine({ peak: rate, warmup, total: total / accumulate }),
      weightDecay,
      clip,
    }) as never,
    epochs,
    batchSize,
    accumulate,
    key: key(seed),
    metrics: join(output, 'metrics.jsonl'),
    ...(config.patience === undefined ? {} : { patience: config.patience }),
  })
  const model = config.patience === undefined ? fitted.model : (fitted.best?.model ?? fitted.model)
  const { parameters, trainable } = count(model)
  if (trainable === parameters) await orThrow(saveModel(model, join(output, 'model')))
  else await orThrow(saveAdapter(model, join(output, 'adapter'), { recipe: config.recipe }))
  await writeFile(join(output, 'loss.svg'), curveSvg(fitted.history))
  const line = (name: string, metrics: Metrics | undefined): readonly string[] =>
    metrics === undefined
      ? []
      : [
          `${name}: ${Object.entries(metrics)
            .map(([k, v]) => `${k} ${v.toFixed(4)}`)
            .join(', ')}`,
        ]
  return [
    curveText(fitted.history),
    `${trainable} of ${parameters} parameters trained`,
    ...line('held out before', before),
    ...line('held out after', job.evaluate?.(model)),
    `saved in ${output}`,
  ].join('\n')
}
