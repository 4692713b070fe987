// Six steps in one pipe, a step that is a value, run-time strings, and the inverse.
import { detach, freeze, lora, merge, pipe, prompt, unfreeze } from '../../../src/index.ts'
import type { Sllm } from '../../../src/index.ts'

declare const base: Sllm
declare const strings: readonly string[]
const step = lora({ at: '**.Wq', rank: 8 })
export const six: unknown = pipe(
  base,
  freeze,
  lora({ at: '**.ln_1', rank: 2 }),
  lora({ at: '**.c_proj', rank: 4 }),
  step,
  prompt({ length: 3 }),
  unfreeze.only({ at: 'out_head' }),
)
export const maybe: unknown = merge(lora({ at: strings, rank: 2 })(base))
export const back: unknown = detach(pipe(base, step, lora({ at: 'transformer_blocks.{0..0}.mlp', rank: 2 })))
