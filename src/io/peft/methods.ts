import { ia3Method } from './ia3.ts'
import { loraMethod } from './lora.ts'
import type { AnyPeftMethod } from './method.ts'
import { prefixMethod } from './prefix.ts'
import { promptMethod, ptuningMethod } from './prompt.ts'

/** Every `peft_type` that is read and written. */
export const peftMethods: readonly AnyPeftMethod[] = [loraMethod, ia3Method, promptMethod, ptuningMethod, prefixMethod]
