import { adamw, warmupCosine } from 'espalier'
import type { Optimiser, Recipe } from 'espalier'

/** How one method is put on the base and trained. */
export interface Method {
  /** What is done to the base first, such as holding it in few bits; the adapter then belongs to that. */
  readonly base?: Recipe
  /** What is put on it, as data. */
  readonly recipe: Recipe
  /** The highest learning rate, after ten steps of warm-up. */
  readonly rate: number
  readonly optimiser?: (rate: number, total: number) => Optimiser<unknown>
}

const at = 'transformer_blocks'
const rates = (peak: number, total: number) => warmupCosine({ peak, warmup: 10, total })

/** AdamW as every method is trained with, unless it brings its own. */
export const usual = (peak: number, total: number): Optimiser<unknown> =>
  adamw({ rate: rates(peak, total), weightDecay: 0.1, clip: 1 }) as Optimiser<unknown>

/** The methods that `--method` and `--compare` know; `lora` is the one that `npm start` runs. */
export const methods: Readonly<Record<string, Method>> = {
  lora: { recipe: [{ lora: { at, rank: 2, alpha: 2 } }], rate: 4e-3 },
  qlora: { base: [{ quantize: { at } }], recipe: [{ lora: { at, rank: 2, alpha: 2 } }], rate: 4e-3 },
  'qlora-int8': {
    base: [{ quantize: { at, scheme: 'int8' } }],
    recipe: [{ lora: { at, rank: 2, alpha: 2 } }],
    rate: 4e-3,
  },
  oft: { recipe: [{ oft: { at, blockSize: 16 } }], rate: 4e-3 },
  boft: { recipe: [{ boft: { at, blockSize: 4 } }], rate: 4e-3 },
  hra: { recipe: [{ hra: { at, rank: 4 } }], rate: 4e-3 },
  prompt: { recipe: [{ prompt: { length: 10 } }], rate: 5e-2 },
  prefix: { recipe: [{ prefix: { length: 10 } }], rate: 5e-2 },
  'prefix-mlp': { recipe: [{ prefix: { length: 10, projection: 64 } }], rate: 1e-2 },
  ptuning: { recipe: [{ ptuning: { length: 10, hidden: 128 } }], rate: 1e-2 },
  'ptuning-lstm': { recipe: [{ ptuning: { length: 10, encoder: 'lstm', hidden: 64 } }], rate: 1e-2 },
}
