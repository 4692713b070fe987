import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { loadTokenizer, orThrow, saveModel } from '../io/index.ts'
import { adamw, curveSvg, curveText, fit, warmupCosine } from '../train/index.ts'
import type { Fitted, Metrics } from '../train/index.ts'
import { applyRecipe, decodeRecipe } from '../transform/index.ts'
import { count } from '../tree/count.ts'
import { fold, key } from '../tree/key.ts'
import { decodeConfig } from './config.ts'
import type { TrainConfig } from './config.ts'
import { startEngine, tellEngine } from './engine.ts'
import { refuse, usage } from './errors.ts'
import { readJson } from './files.ts'
import { readFlags, required } from './flags.ts'
import { fillerOf, keepingOf, openBase, withHead } from './train-base.ts'
import type { Keeping } from './train-base.ts'
import { withJob } from './train-job.ts'
import type { Job, Trained } from './train-job.ts'

export const trainHelp = `espalier train --config FILE
  Adapts a model by a recipe, trains it, and saves what was added.
  FILE is JSON; paths in it are relative to it:
    model       a folder with config.json and model.safetensors, one that saveModel wrote, "sllm", or { "sllm": { what differs from the seed } }
    tokenizer   a folder with tokenizer.json
    train       JSON lines { "text": …, "label": … }; heldout, the same, is judged after each epoch
    task        "language-model", { "classify": { label: its token, … } }, or { "sequence-classification": [label, …] } with a
                head of its own, which is drawn if the model has none, trained, and saved with the adapter
    recipe      a list of transforms, such as [{"freeze":{}},{"lora":{"at":"**.c_attn","rank":8}}]
    epochs, rate, and at will batchSize, accumulate, weightDecay, warmup, clip, patience, seed
    format      "peft" or "espalier", for the adapter; PEFT's if left out, where it has one for such an adapter
    output      a folder for the adapter (the whole model, if nothing was frozen), metrics.jsonl and loss.svg,
                and the base if it was drawn here`

/** The `train` command: what it prints at the end. */
export const train = async (args: readonly string[]): Promise<string> => {
  const file = required('train', 'config', readFlags('train', args, { config: { type: 'string' } }).config)
  const config = decodeConfig(await readJson(file, 'a configuration'))
  const from = (path: string): string => resolve(dirname(file), path)

  const recipe = decodeRecipe(config.recipe)
  if (recipe._tag === 'Left') return refuse(recipe.left.map((i) => ({ ...i, path: `recipe${i.path}` })))
  const output = from(config.output)
  await requireFresh(output)
  const tokenizer = await orThrow(loadTokenizer(from(config.tokenizer)))
  const engine = await startEngine()
  const opened = await openBase(config, from)
  const pad = fillerOf(opened, tokenizer)
  const adapted = applyRecipe(recipe.right, fold(key(config.seed ?? 0), 'recipe'))(opened.model)
  const keeping = keepingOf(config, opened, withHead(config.task, opened, adapted), pad)
  const tuned = keeping.tuned as Trained

  const heldout = config.heldout === undefined ? {} : { heldout: from(config.heldout) }
  return withJob(config.task, { tokenizer, train: from(config.train), pad, ...heldout }, async (job) => {
    const before = job.evaluate?.(tuned)
    tellEngine(engine)
    return cleanedUp(output, async () => {
      // A base that was drawn here is nowhere else, and an adapter is worth nothing without its base.
      if (typeof config.model === 'object' && keeping.name === 'adapter')
        await orThrow(saveModel(opened.model, join(output, 'base')))
      return learn(config, job, { tuned, before, keeping, output })
    })
  })
}

/** A run that fails before its first step leaves nothing behind. */
const cleanedUp = async <A>(output: string, run: () => Promise<A>): Promise<A> => {
  const isNew = (await stat(output).catch(() => undefined)) === undefined
  try {
    return await run()
  } catch (error) {
    const steps = await stat(join(output, 'metrics.jsonl')).catch(() => undefined)
    if (isNew && (steps?.size ?? 0) === 0) await rm(output, { recursive: true, force: true })
    throw error
  }
}

const requireFresh = async (output: string): Promise<void> => {
  const there = await readdir(output).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw usage('output', 'a folder', `${output}: ${error.code}`, 'Name another folder.')
  })
  const used = there.filter((name) => ['adapter', 'model', 'metrics.jsonl'].includes(name))
  if (used.length > 0)
    throw usage(
      'output',
      'a folder without an earlier run',
      `${used.join(', ')} in ${output}`,
      'Name another folder, or remove that one.',
    )
}

/** What is trained, and what becomes of it. */
interface Plan {
  readonly tuned: Trained
  readonly before: Metrics | undefined
  readonly keeping: Keeping
  readonly output: string
}

const learn = async <T, B>(
  config: TrainConfig,
  job: Job<T, B>,
  { tuned, before, keeping, output }: Plan,
): Promise<string> => {
  const { epochs, rate, batchSize = 16, accumulate = 1, weightDecay = 0.01, warmup = 0, clip = 1, seed = 0 } = config
  const total = epochs * Math.ceil(job.data.length / batchSize)
  await mkdir(output, { recursive: true })
  const fitted: Fitted<Trained, unknown> = await fit<Trained, T, B, unknown>(tuned, {
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
  await keeping.save(model, join(output, keeping.name))
  await writeFile(join(output, 'loss.svg'), curveSvg(fitted.history))
  const line = (name: string, metrics: Metrics | undefined): readonly string[] =>
    metrics === undefined
      ? []
      : [
          `${name}: ${Object.entries(metrics)
            .map(([k, v]) => `${k} ${v.toFixed(4)}`)
            .join(', ')}`,
        ]
  const { parameters, trainable } = count(model)
  return [
    curveText(fitted.history),
    `${trainable} of ${parameters} parameters trained`,
    ...line('held out before', before),
    ...line('held out after', job.evaluate?.(model)),
    keeping.said,
    `saved in ${output}`,
  ].join('\n')
}
