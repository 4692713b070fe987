import { loraSpec } from './lora-config.ts'
import type { LoraConfig } from './lora-config.ts'
import { readLora } from './lora-read.ts'
import { writeLora } from './lora-write.ts'
import type { PeftMethod } from './method.ts'

/** LoRA with its options: rsLoRA, DoRA, ranks and alphas by pattern, trained biases and tokens. */
export const loraMethod: PeftMethod<LoraConfig> = { type: 'LORA', spec: loraSpec, read: readLora, write: writeLora }
