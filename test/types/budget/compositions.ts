// A quantised model with LoRA, adapters, a prompt and a prefix, and both ways back.
import { bottleneck, detach, freeze, lora, merge, pipe, prefix, prompt, quantize } from '../../../src/index.ts'
import type { Sllm } from '../../../src/index.ts'

declare const base: Sllm
const tuned = pipe(
  base,
  freeze,
  quantize({ at: '**' }),
  lora({ at: '**.ln_1', rank: 2 }),
  bottleneck({ placement: 'pfeiffer' }),
  prompt({ length: 3 }),
  prefix({ length: 2 }),
)
export const merged: unknown = merge(tuned)
export const back: unknown = detach(tuned)
