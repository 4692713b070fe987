/*
 * A training step of LoRA (rank 8, queries and values) on the small GPT of the seed configuration, 13.7 M parameters, on
 * 16 sequences of 50 tokens, on the WASM engine.
 *
 *   npx tsc -p tsconfig.json --noEmit false --outDir node_modules/.cache/bench
 *   node node_modules/.cache/bench/bench/sllm.js [threads] [reproducible] [steps]
 */
import { adamw, engine, freeze, key, lora, sllm, start, step } from '../src/index.ts'
import { item, release, tensor } from '../src/ops/index.ts'

const main = async (threads: number, reproducible: boolean, steps: number): Promise<void> => {
  const { describe } = await engine({ prefer: 'wasm', quiet: true, threads, reproducible })
  const { vocab_size } = sllm.config.seed
  const [batch, length] = [16, 50]
  const base = freeze(sllm.init(sllm.config.seed, key(0)))
  const tuned = lora.unchecked({ at: ['**.Wq', '**.Wv'], rank: 8, key: key(1) })(base)
  const tokens = Int32Array.from({ length: batch * length }, (_, i) => (i * 7919) % vocab_size)
  const ids = tensor(tokens, [batch, length], 'int32')
  const labels = tensor(tokens.map((_, i) => (i * 104_729) % vocab_size), [batch, length], 'int32')
  const optimiser = adamw({ rate: 1e-3 })
  const advance = step(optimiser, (model: typeof tuned, of: typeof ids) => sllm.loss(model as never, { ids: of, labels } as never))
  let run = start(tuned as never, optimiser, { key: key(2) }) as never as Parameters<typeof advance>[0]
  const times: number[] = []
  for (let i = 0; i < steps; i++) {
    const from = performance.now()
    const next = advance(run, ids)
    const loss = item((next as unknown as { loss: typeof ids }).loss)
    times.push(performance.now() - from)
    if (i === 0 || i === steps - 1) console.log(`loss ${loss.toFixed(5)}`)
    release(run, { keep: [next, base, ids, labels] })
    run = next as typeof run
  }
  times.sort((a, b) => a - b)
  console.log(`${describe}: best ${times[0]!.toFixed(1)} ms, median ${times[steps >> 1]!.toFixed(1)} ms`)
}

const [threads = '1', build, steps = '12'] = process.argv.slice(2)
await main(Number(threads), build === 'reproducible', Number(steps))
