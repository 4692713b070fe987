/*
 * A training step of LoRA (rank 8, queries and values) on the small GPT of the seed configuration, 13.7 M parameters, on
 * 16 sequences of 50 tokens, on the WASM engine.
 *
 *   npx tsc -p tsconfig.json --noEmit false --outDir node_modules/.cache/bench
 *   node node_modules/.cache/bench/bench/sllm.js [threads] [reproducible|fast] [steps]
 */
import { adamw, engine, freeze, key, lora, sllm, start, step } from '../src/index.ts'
import { item, release, type Tensor, tensor } from '../src/ops/index.ts'

const [batch, length] = [16, 50]

/** Any tokens: a step takes the same time with all. */
const tokens = (factor: number): Tensor =>
  tensor(
    Int32Array.from({ length: batch * length }, (_, i) => (i * factor) % sllm.config.seed.vocab_size),
    [batch, length],
  )

const main = async (threads: number, reproducible: boolean, steps: number): Promise<void> => {
  const { describe } = await engine({ prefer: 'wasm', quiet: true, threads, reproducible })
  const base = freeze(sllm.init(sllm.config.seed, key(0)))
  const tuned = lora({ at: ['**.Wq', '**.Wv'], rank: 8, key: key(1) })(base)
  const data = { ids: tokens(7919), labels: tokens(104_729) }
  const optimiser = adamw({ rate: 1e-3 })
  const advance = step(optimiser, (model: typeof tuned, of: typeof data) => sllm.loss(model, of))
  let run = start(tuned, optimiser, { key: key(2) })
  const times: number[] = []
  for (let i = 0; i < steps; i++) {
    const from = performance.now()
    const next = advance(run, data)
    item(next.loss!)
    times.push(performance.now() - from)
    release(run, { keep: [next, base] })
    run = next
  }
  times.sort((a, b) => a - b)
  console.log(`${describe}: best ${times[0]!.toFixed(1)} ms, median ${times[steps >> 1]!.toFixed(1)} ms`)
}

const [threads = '1', build, steps = '12'] = process.argv.slice(2)
await main(Number(threads), build === 'reproducible', Number(steps))
