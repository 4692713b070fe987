import { PromptedKind, embed, materialize, prompt, sllm } from '../../src/index.ts'
import type { Ctx, Embed, Embedded, Kind, Prompted, Tensor, Tokens, Weight } from '../../src/index.ts'
import {
  addsRows,
  hiddenRowsChangeNothing,
  lossCountsRealTokens,
  promptComesFirst,
  prompting,
} from '../../src/laws/index.ts'
import type { TokenLoss } from '../../src/laws/index.ts'
import { broadcastTo, concat, crossEntropy, full, ones, reshape, slice, transpose } from '../../src/ops/index.ts'
import { onSllm } from './broken.ts'
import type { Fault } from './broken.ts'

const prompted = prompt({ at: '**', length: 3 })

type Node = Prompted<Embed, Weight>

/** A prompt that puts its rows and its mask before the others in some way. */
const promptedBy = (join: (rows: Tensor, tokens: Embedded) => Embedded): Kind<Node, 'embed'> => ({
  ...(PromptedKind as Kind<Node, 'embed'>),
  ops: {
    embed: (n: Node, tokens: Tokens, ctx: Ctx) => {
      const inner = embed(n.base, tokens, ctx)
      const rows = materialize(n.prompt, ctx)
      const [length = 0, d = 0] = rows.shape
      return join(broadcastTo(reshape(rows, [1, length, d]), [inner.hidden.shape[0] ?? 0, length, d]), inner)
    },
  },
})

const longer = (mask: Tensor | undefined, rows: Tensor): Tensor | undefined =>
  mask && concat([ones(rows.shape.slice(0, 2), mask.dtype), mask], 1)

const right = promptedBy((rows, { hidden, mask }) => ({ hidden: concat([rows, hidden], 1), mask: longer(mask, rows) }))

// Each sequence gets the other sequences' rows, and the batch grows instead of the sequence.
const alongBatch = promptedBy((rows, { hidden, mask }) => {
  const [batch = 0, length = 0, d = 0] = hidden.shape
  const first = broadcastTo(slice(rows, [0, 0, 0], [batch, 1, d]), [batch, length, d])
  return { hidden: concat([first, hidden], 0), mask: mask && concat([mask, mask], 0) }
})

const alongFeatures = promptedBy((rows, { hidden, mask }) => ({
  hidden: concat([transpose(rows, [0, 2, 1]), hidden], 2),
  mask,
}))

const behindTokens = promptedBy((rows, { hidden, mask }) => ({
  hidden: concat([hidden, rows], 1),
  mask: mask && concat([mask, ones(rows.shape.slice(0, 2), mask.dtype)], 1),
}))

const withoutMask = promptedBy((rows, { hidden }) => ({ hidden: concat([rows, hidden], 1), mask: undefined }))

type Batch = Tokens & { readonly labels: Tensor }

/** The loss of a language model with the labels put beside its rows in some way. */
const lossBy =
  (align: (labels: Tensor, virtual: Tensor) => Tensor): TokenLoss =>
  (model: never, batch: Batch) => {
    const logits = sllm.apply(model, batch)
    const [rows = 0, length = 0, vocab = 0] = logits.shape
    const virtual = full([rows, length - (batch.labels.shape[1] ?? 0)], -100, 'int32')
    const labels = align(batch.labels, virtual)
    const from = reshape(slice(logits, [0, 0, 0], [rows, length - 1, vocab]), [rows * (length - 1), vocab])
    return crossEntropy(from, reshape(slice(labels, [0, 1], [rows, length - 1]), [rows * (length - 1)]))
  }

const behind = lossBy((labels, virtual) => concat([labels, virtual], 1))
const before = lossBy((labels, virtual) => concat([virtual, labels], 1))

const options = { declare: prompting(3) }

export const promptFaults: readonly Fault[] = [
  {
    name: 'the prompt is put along the batch',
    source: 'a concat without an axis: frameworks take the first one',
    law: addsRows,
    ...onSllm,
    options,
    broken: { transform: prompted, kinds: { Prompted: alongBatch } },
    twin: { transform: prompted, kinds: { Prompted: right } },
  },
  {
    name: 'the prompt is put along the features',
    source: 'a concat along the last axis: positions no longer fit',
    law: addsRows,
    ...onSllm,
    options,
    broken: { transform: prompted, kinds: { Prompted: alongFeatures } },
    twin: { transform: prompted, kinds: { Prompted: right } },
  },
  {
    name: 'the prompt is put behind the tokens, which then cannot see it',
    source: 'a concat with its arguments the wrong way round: shapes are right, and the loss hardly falls',
    law: promptComesFirst,
    ...onSllm,
    options,
    broken: { transform: prompted, kinds: { Prompted: behindTokens } },
    twin: { transform: prompted, kinds: { Prompted: right } },
  },
  {
    name: 'the prompt forgets the mask',
    source: 'prompt tuning code that passes embeddings on and the attention mask not: padding is attended to',
    law: hiddenRowsChangeNothing,
    ...onSllm,
    options,
    broken: { transform: prompted, kinds: { Prompted: withoutMask } },
    twin: { transform: prompted, kinds: { Prompted: right } },
  },
  {
    name: 'labels −100 are put behind the others, so that all labels shift',
    source: 'prompt tuning code that pads labels to the new length on the usual side',
    law: lossCountsRealTokens(before),
    ...onSllm,
    options,
    broken: { transform: prompted, law: lossCountsRealTokens(behind) },
    twin: { transform: prompted },
  },
]
