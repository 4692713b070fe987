// What the first screen of the README costs.
import { freeze, lora, merge, pipe } from '../../../src/index.ts'
import type { Sllm } from '../../../src/index.ts'

declare const base: Sllm
export const tuned: unknown = pipe(base, freeze, lora({ at: ['**.ln_1', '**.c_proj'], rank: 16, alpha: 30 }), merge)
