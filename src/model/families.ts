import type { AnyFamily } from './family.ts'
import type { CausalRun } from './run.ts'
import type { Kinds, Model } from '../kind/index.ts'
import { bertFamily } from './bert.ts'
import { causalRunOf } from './run.ts'
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

/**
 * Runs whatever model of ours it is given, each node by its own tag; of a model without a head, `apply` gives hidden states.
 *
 * @throws EspalierError `ShapeMismatch`, `ContextOverflow`, `UnknownKind`.
 * @example
 * ```ts
 * import { anyModel, gpt2, key } from 'espalier'
 * import { tensor } from 'espalier/ops'
 * const model = gpt2.init({ vocab_size: 50, n_positions: 16, n_embd: 8, n_layer: 2, n_head: 2 }, key(0))
 * anyModel.apply(model, tensor([[5, 7, 9]], undefined, 'int32')).shape // => [1, 3, 50]
 * ```
 */
export const anyModel: CausalRun<Model> = causalRunOf<Model>(modelKinds)
