import { adaloraMethod } from './adalora.ts'
import { ia3Method } from './ia3.ts'
import { lnTuningMethod } from './ln-tuning.ts'
import { loraMethod } from './lora.ts'
import type { AnyPeftMethod } from './method.ts'
import { trainableTokensMethod } from './trainable-tokens.ts'

/** Every `peft_type` that is read and written. */
export const peftMethods: readonly AnyPeftMethod[] = [
  loraMethod,
  ia3Method,
  adaloraMethod,
  trainableTokensMethod,
  lnTuningMethod,
]
