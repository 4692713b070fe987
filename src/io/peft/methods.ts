import type { AnyPeftMethod } from './method.ts'
import { adaloraMethod } from './adalora.ts'
import { boftMethod } from './boft.ts'
import { fourierftMethod } from './fourierft.ts'
import { hraMethod } from './hra.ts'
import { ia3Method } from './ia3.ts'
import { lnTuningMethod } from './ln-tuning.ts'
import { lohaMethod } from './loha.ts'
import { lokrMethod } from './lokr.ts'
import { loraMethod } from './lora.ts'
import { missMethod } from './miss.ts'
import { oftMethod } from './oft.ts'
import { prefixMethod } from './prefix.ts'
import { promptMethod, ptuningMethod } from './prompt.ts'
import { randloraMethod } from './randlora.ts'
import { trainableTokensMethod } from './trainable-tokens.ts'
import { veraMethod } from './vera.ts'

/** Every `peft_type` that is read and written. */
export const peftMethods: readonly AnyPeftMethod[] = [
  loraMethod,
  adaloraMethod,
  boftMethod,
  fourierftMethod,
  hraMethod,
  ia3Method,
  lnTuningMethod,
  lohaMethod,
  lokrMethod,
  missMethod,
  oftMethod,
  prefixMethod,
  promptMethod,
  ptuningMethod,
  randloraMethod,
  trainableTokensMethod,
  veraMethod,
]
