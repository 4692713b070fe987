/*
 * Eight adapters over one base, one batch of eight rows, each row its own adapter: by a run for each name, and by one run.
 *
 *   npx tsc -p tsconfig.json --noEmit false --outDir node_modules/.cache/bench
 *   node node_modules/.cache/bench/bench/many.js native
 */
import { adapterOf, byRow, engine, freeze, key, lora, mixed, pipe, sllm, wearEach } from '../src/index.ts'
import type { EngineName } from '../src/ops/index.ts'
import type { Tensor } from '../src/index.ts'
import { adopt, read, scope } from '../src/ops/index.ts'

await engine({ prefer: (process.argv[2] ?? 'wasm') as EngineName })

const config = { ...sllm.config.seed, d_model: 512, n_heads: 8, d_head: 64, n_layers: 4, vocab_size: 2000 }
const base = freeze(sllm.init({ ...config, context_window: 64 }, key(0)))
const names = Array.from({ length: 8 }, (_, i) => `a${i}`)
const made = names.map((_, i) => adapterOf<unknown>(pipe(base, lora({ at: '**', rank: 8, key: key(i) }))))
const adapters = Object.fromEntries(made.map((adapter, i) => [names[i]!, adapter]))
const models = wearEach(base, adapters)
const all = pipe(base, byRow(adapters))

/** Milliseconds, the best of nine after two that warm up. */
const best = (run: () => Tensor): string => {
  const once = (): number => {
    const start = performance.now()
    scope(() => void read(run()))
    return performance.now() - start
  }
  once()
  once()
  return Math.min(...Array.from({ length: 9 }, once)).toFixed(1)
}

for (const length of [1, 32]) {
  const ids = adopt(
    Int32Array.from({ length: 8 * length }, (_, i) => (7 * i) % 2000),
    [8, length],
  )
  console.log(
    [
      `${length} tokens a row`,
      `base ${best(() => sllm.nextLogits(base, ids))} ms`,
      `one adapter ${best(() => sllm.nextLogits(models['a0']!, ids))}`,
      `mixed ${best(() => mixed(sllm.nextLogits)(models, names, ids))}`,
      `byRow ${best(() => sllm.nextLogits(all, ids, { rows: names }))}`,
    ].join(', '),
  )
}
