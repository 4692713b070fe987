import type { AnyFamily } from './family.ts'
import type { Kinds } from '../kind/index.ts'
import { bertFamily } from './bert.ts'
import { distilBertFamily } from './distilbert.ts'
import { gemma2Family, gemmaFamily } from './gemma.ts'
import { gpt2Family } from './gpt2.ts'
import { llamaFamily } from './llama.ts'
import { mistralFamily } from './mistral.ts'
import { qwen2Family, qwen3Family } from './qwen.ts'
import { robertaFamily } from './roberta.ts'
import { sllm } from './sllm.ts'

/** Every architecture that a checkpoint may be of. */
export const families: readonly AnyFamily[] = [
  bertFamily,
  distilBertFamily,
  gemma2Family,
  gemmaFamily,
  gpt2Family,
  llamaFamily,
  mistralFamily,
  qwen2Family,
  qwen3Family,
  robertaFamily,
]

/** The kinds of every model here, by tag. */
export const modelKinds: Kinds = Object.assign({}, sllm.kinds, ...families.map(({ kinds }) => kinds)) as Kinds
