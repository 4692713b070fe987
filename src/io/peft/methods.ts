import { boftMethod } from './boft.ts'
import { fourierftMethod } from './fourierft.ts'
import { hraMethod } from './hra.ts'
import { ia3Method } from './ia3.ts'
import { lohaMethod } from './loha.ts'
import { lokrMethod } from './lokr.ts'
import { loraMethod } from './lora.ts'
import type { AnyPeftMethod } from './method.ts'
import { oftMethod } from './oft.ts'
import { veraMethod } from './vera.ts'

/** Every `peft_type` that is read and written. */
export const peftMethods: readonly AnyPeftMethod[] = [
  loraMethod,
  ia3Method,
  lohaMethod,
  lokrMethod,
  oftMethod,
  boftMethod,
  hraMethod,
  veraMethod,
  fourierftMethod,
]
