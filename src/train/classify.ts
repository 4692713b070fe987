import type { Ctx, Tokens } from '../kind/index.ts'
import { compile, argmax, crossEntropy, gather, item, read, scope, tensor, transpose } from '../ops/index.ts'
import type { Tensor } from '../tree/tensor.ts'
import { batches, collateTokens } from './data.ts'
import type { PadOptions } from './data.ts'
import { requireSetting } from './schedule.ts'

/** A text's token ids, and the index of its label. */
export interface ClassExample {
  readonly ids: readonly number[]
  readonly label: number
}

/** A batch of texts: int32 ids and their mask [batch, length], int32 labels [batch]. */
export interface ClassBatch extends Tokens {
  readonly mask: Tensor
  readonly label: Tensor
}

/** Classification as next-token prediction, in the pieces that `fit` wants. */
export interface Classifier<M> {
  /** Examples as one batch, filled up on the right. */
  readonly collate: (examples: readonly ClassExample[]) => ClassBatch
  /** Logits [batch, labels] of the label tokens after each text. */
  readonly logits: (model: M, tokens: Tokens, ctx?: Partial<Ctx>) => Tensor
  /** Mean cross-entropy among the label tokens. */
  readonly loss: (model: M, batch: ClassBatch, ctx?: Partial<Ctx>) => Tensor
  /** Mean loss, and the share of examples whose label token is the likeliest. */
  readonly evaluate: (
    model: M,
    examples: readonly ClassExample[],
  ) => { readonly loss: number; readonly accuracy: number }
}

/**
 * Makes a classifier of a language model: each label is a token, and the one likeliest to follow a text is its label.
 *
 * `next` gives logits [batch, vocabulary] of the token after each text, such as `sllm.nextLogits`; `labels` are the ids of
 * the label tokens. Only these compete, so nothing need be unlearnt of the rest of the vocabulary.
 *
 * Errors: `InvalidSetting` without two different labels, for a label index out of range, and for no examples.
 *
 * @example
 * ```ts
 * import { classifier, sllm, key } from 'espalier'
 * const task = classifier({ next: sllm.nextLogits, labels: [4, 5] })
 * const model = sllm.init({ ...sllm.config.seed, vocab_size: 20 }, key(0))
 * const { accuracy } = task.evaluate(model, [{ ids: [7, 8, 9], label: 0 }, { ids: [7, 8, 9], label: 1 }])
 * accuracy // => 0.5
 * ```
 * @source Schick and Schütze 2021, "Exploiting Cloze Questions for Few Shot Text Classification", §3 (verbalizers).
 */
export const classifier = <M>({
  next,
  labels,
  pad = {},
  batchSize = 64,
}: {
  readonly next: (model: M, tokens: Tokens, ctx?: Partial<Ctx>) => Tensor
  readonly labels: readonly number[]
  readonly pad?: PadOptions
  readonly batchSize?: number
}): Classifier<M> => {
  requireSetting(
    'classifier.labels',
    labels,
    new Set(labels).size === labels.length && labels.length > 1,
    'two or more different token ids',
  )

  const collate = (examples: readonly ClassExample[]): ClassBatch => {
    for (const { label } of examples)
      requireSetting('classifier.label', label, label in labels, `an index below ${labels.length}`)
    const { ids, mask } = collateTokens(examples, pad)
    return {
      ids,
      mask,
      label: tensor(
        examples.map((e) => e.label),
        [examples.length],
        'int32',
      ),
    }
  }

  const logits: Classifier<M>['logits'] = (model, tokens, ctx) =>
    transpose(gather(transpose(next(model, tokens, ctx)), tensor([...labels], [labels.length], 'int32')))

  const loss: Classifier<M>['loss'] = (model, batch, ctx) => crossEntropy(logits(model, batch, ctx), batch.label)

  const judge = compile((model: M, batch: ClassBatch) => {
    const out = logits(model, batch)
    return { loss: crossEntropy(out, batch.label), chosen: argmax(out) }
  })

  const evaluate: Classifier<M>['evaluate'] = (model, examples) => {
    requireSetting('classifier.examples', examples.length, examples.length > 0, 'at least one')
    let [total, right] = [0, 0]
    for (const part of batches(examples, { size: batchSize }))
      scope(() => {
        const judged = judge(model, collate(part))
        total += item(judged.loss) * part.length
        const chosen = read(judged.chosen)
        right += part.filter((e, i) => chosen[i] === e.label).length
      })
    return { loss: total / examples.length, accuracy: right / examples.length }
  }

  return { collate, logits, loss, evaluate }
}
