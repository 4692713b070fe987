/*
 * What a QLoRA base takes at rest, and the peak of a training step above the state before it, beside LoRA on the same base
 * in float32: feed-forward blocks of GPT-2's size. One engine and one base a run, so that resident memory can
 * be told; the first step is not counted.
 *
 *   npx tsc -p tsconfig.json --noEmit false --outDir node_modules/.cache/bench
 *   node node_modules/.cache/bench/bench/qlora.js wasm nf4 128     # or native; or dense, double, int8; tokens
 */
import * as tf from '@tensorflow/tfjs'
import { adamw, bytesAtRest, count, define, engine, freeze, isPacked, key, layer, linear, list } from '../src/index.ts'
import { lora, places, quantize, start, step } from '../src/index.ts'
import type { QuantizeOptions } from '../src/index.ts'
import type { EngineName, Tensor } from '../src/ops/index.ts'
import { gelu, item, mean, memory, normal, release, square } from '../src/ops/index.ts'

const bases: Readonly<Record<string, QuantizeOptions | undefined>> = {
  dense: undefined,
  nf4: {},
  double: { doubleQuant: true },
  int8: { scheme: 'int8' },
}
const dims = { d: 768, wide: 3072, depth: 6 }
const largest = dims.d * dims.wide * 4

const Block = define('Block', { up: linear('d', 'wide'), down: linear('wide', 'd') }, (n, x, ctx) =>
  layer(n.down, gelu(layer(n.up, x, ctx)), ctx),
)
const Net = define('Net', { blocks: list(Block.field({ d: 'd', wide: 'wide' }), 'depth') }, (n, x, ctx) =>
  n.blocks.reduce((h, block) => layer(block, h, ctx), x),
)

/** The most bytes that tensors took at once. */
const peak = { bytes: 0 }
const watched = tf.engine() as unknown as {
  trackTensor: (...all: readonly unknown[]) => void
  state: { numBytes: number }
}
const track = watched.trackTensor.bind(watched)
watched.trackTensor = (...all) => {
  track(...all)
  peak.bytes = Math.max(peak.bytes, watched.state.numBytes)
}

const MiB = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`
const resident = (): number => process.memoryUsage().rss

const main = async (name: EngineName, kind: string, tokens: number): Promise<void> => {
  await engine({ prefer: name, quiet: true })
  const raw = freeze(Net.init(dims, key(0)))
  const began = performance.now()
  const how = bases[kind]
  const base = how === undefined ? raw : quantize.unchecked({ at: '**', ...how })(raw)
  const took = performance.now() - began
  release(raw, { keep: base })
  const packed = [...places(base)].filter((p) => isPacked(p.node)).map((p) => p.node)
  const weights = count(packed).parameters
  if (weights > 0) {
    console.log(`${kind}: ${(bytesAtRest(packed) / weights).toFixed(4)} bytes a weight at rest, ${weights} weights`)
    console.log(`quantised in ${((took * 1e6) / weights).toFixed(1)} ns a weight`)
  }
  const tuned = lora.unchecked({ at: '**', rank: 8 })(base)
  const optimiser = adamw({ rate: 1e-3 })
  const x = normal(key(1), [1, tokens, dims.d])
  const loss = (m: unknown, batch: Tensor): Tensor => mean(square(Net.apply(m as never, batch)))
  const advance = step<unknown, Tensor, never>(optimiser as never, loss)
  let run = advance(start<never, never>(tuned as never, optimiser as never, { key: key(2) }) as never, x)
  item(run.loss!)
  const times: number[] = []
  const [before, rss] = [memory().bytes, resident()]
  peak.bytes = 0
  let most = 0
  for (let i = 0; i < 5; i++) {
    const from = performance.now()
    const next = advance(run, x)
    item(next.loss!)
    times.push(performance.now() - from)
    most = Math.max(most, resident())
    release(run, { keep: [next, base] })
    run = next
  }
  const over = peak.bytes - before
  console.log(`state ${MiB(before)}; peak of a step above it ${MiB(over)}; one dense weight is ${MiB(largest)}`)
  console.log(
    `resident ${MiB(rss)} before, ${MiB(most)} at most after a step; step ${Math.min(...times).toFixed(0)} ms`,
  )
}

const [name = 'wasm', kind = 'nf4', tokens = '128'] = process.argv.slice(2)
await main(name as EngineName, kind, Number(tokens))
