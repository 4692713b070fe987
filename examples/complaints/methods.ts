import { adaloraSchedule, adamw, loraPlus, warmupCosine } from 'espalier'
import type { AnySllm, Optimiser, Recipe } from 'espalier'

/** How one method is put on the base and trained. */
export interface Method {
  /** What is done to the base first, such as holding it in few bits; the adapter then belongs to that. */
  readonly base?: Recipe
  /** Whether the recipe makes a base of its own, which the adapter then belongs to. */
  readonly fused?: true
  /** What is put on it, as data. */
  readonly recipe: Recipe
  /** The highest learning rate, after ten steps of warm-up. */
  readonly rate: number
  readonly optimiser?: (model: AnySllm, rate: number, total: number) => Optimiser<unknown>
}

const at = 'transformer_blocks'
const rates = (peak: number, total: number) => warmupCosine({ peak, warmup: 10, total })

/** AdamW as every method is trained with, unless it brings its own. */
export const usual = (_: AnySllm, peak: number, total: number): Optimiser<unknown> =>
  adamw({ rate: rates(peak, total), weightDecay: 0.1, clip: 1 }) as Optimiser<unknown>

// One rank of two for all of LoRA's kin, so that what they cost can be compared.
const low = { at, rank: 2, alpha: 2 }

/** The methods that `--method` and `--compare` know; `lora` is the one that `npm start` runs. */
export const methods: Readonly<Record<string, Method>> = {
  full: { recipe: [{ unfreeze: {} }], rate: 1e-3 },
  lora: { recipe: [{ lora: low }], rate: 4e-3 },
  rslora: { recipe: [{ lora: { ...low, scaling: 'alpha/sqrt(rank)' } }], rate: 4e-3 },
  'lora+': {
    recipe: [{ lora: low }],
    rate: 1e-3,
    optimiser: (model, peak, total) =>
      loraPlus(model, { rate: rates(peak, total), ratio: 8, weightDecay: 0.1, clip: 1 }) as Optimiser<unknown>,
  },
  pissa: { recipe: [{ lora: { ...low, init: 'pissa' } }], rate: 2e-3 },
  olora: { recipe: [{ lora: { ...low, init: 'olora' } }], rate: 2e-3 },
  dora: { recipe: [{ dora: low }], rate: 4e-3 },
  adalora: {
    recipe: [{ adalora: { ...low, rank: 3 } }],
    rate: 1e-2,
    // From three directions a weight to two on average, most of them where they matter.
    optimiser: (model, peak, total) =>
      adaloraSchedule({ targetRank: 2, total, warmup: 20, final: 40 })(usual(model, peak, total)) as Optimiser<unknown>,
  },
  qlora: { base: [{ quantize: { at } }], recipe: [{ lora: low }], rate: 4e-3 },
  'qlora, double': { base: [{ quantize: { at, doubleQuant: true } }], recipe: [{ lora: low }], rate: 4e-3 },
  'qlora, int8': { base: [{ quantize: { at, scheme: 'int8' } }], recipe: [{ lora: low }], rate: 4e-3 },
  qdora: { base: [{ quantize: { at } }], recipe: [{ dora: low }], rate: 4e-3 },
  loftq: { recipe: [{ loftq: low }], fused: true, rate: 4e-3 },
  loha: { recipe: [{ loha: low }], rate: 4e-3 },
  lokr: { recipe: [{ lokr: low }], rate: 4e-3 },
  vera: { recipe: [{ vera: { at, rank: 64 } }], rate: 2e-2 },
  ia3: { recipe: [{ ia3: { at: ['**.Wk', '**.Wv', '**.c_proj'], inputs: '**.c_proj' } }], rate: 2e-2 },
  oft: { recipe: [{ oft: { at, blockSize: 16 } }], rate: 4e-3 },
  boft: { recipe: [{ boft: { at, blockSize: 4 } }], rate: 4e-3 },
  hra: { recipe: [{ hra: { at, rank: 4 } }], rate: 1e-2 },
  fourierft: { recipe: [{ fourierft: { at, frequencies: 500, init: 'zeros' } }], rate: 1e-2 },
  tokens: { recipe: [{ tokens: { ids: Array.from({ length: 300 }, (_, i) => i) } }], rate: 1e-2 },
  bitfit: { recipe: [{ bitfit: { at } }], rate: 2e-2 },
  norms: { recipe: [{ norms: {} }], rate: 2e-2 },
  houlsby: { recipe: [{ bottleneck: { placement: 'houlsby', reduction: 16 } }], rate: 4e-3 },
  pfeiffer: { recipe: [{ bottleneck: { placement: 'pfeiffer', reduction: 16 } }], rate: 4e-3 },
  parallel: { recipe: [{ bottleneck: { placement: 'parallel', reduction: 16 } }], rate: 4e-3 },
  prompt: { recipe: [{ prompt: { length: 10 } }], rate: 5e-2 },
  ptuning: { recipe: [{ ptuning: { length: 10, hidden: 128 } }], rate: 5e-3 },
  'ptuning, lstm': { recipe: [{ ptuning: { length: 10, encoder: 'lstm', hidden: 64 } }], rate: 5e-3 },
  prefix: { recipe: [{ prefix: { length: 10 } }], rate: 5e-2 },
  'prefix, mlp': { recipe: [{ prefix: { length: 10, projection: 64 } }], rate: 1e-2 },
}
