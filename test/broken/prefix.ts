import {
  AttentionKind,
  PositionsKind,
  PrefixedKind,
  context,
  headOf,
  hiddenOf,
  materialize,
  prefix,
  sllm,
} from '../../src/index.ts'
import type { Attention, KeysValues, Kind, Model, Prefixed, Tensor, Tokens, Weight } from '../../src/index.ts'
import {
  everyElementHasGradient,
  hiddenRowsChangeNothing,
  lossCountsRealTokens,
  prompting,
  standsForTokens,
} from '../../src/laws/index.ts'
import type { TokenLoss } from '../../src/laws/index.ts'
import { concat, crossEntropy, full, reshape, slice, transpose } from '../../src/ops/index.ts'
import type { Fault } from './broken.ts'

type Node = Prefixed<Model, Weight>
type Cut = (
  rows: Tensor,
  sizes: { readonly n: number; readonly layers: number; readonly heads: number },
) => KeysValues[]

/** A prefix that is cut into keys and values in some way. */
const prefixedBy = (cut: Cut): Kind<Node, 'model'> => ({
  ...(PrefixedKind as Kind<Node, 'model'>),
  ops: {
    hidden: (node, tokens, ctx) => {
      const rows = materialize(node.prefix, ctx)
      const n = rows.shape[0] ?? 0
      const layers = cut(rows, { n, layers: node.layers, heads: node.heads })
      return hiddenOf(node.base, tokens, { ...ctx, past: { length: n, layers } })
    },
    head: (node, hidden, ctx) => headOf(node.base, hidden, ctx),
  },
})

/** Slots [1, heads, n, d_head] by number, and which two each layer takes. */
const bySlots =
  (slotsOf: (layer: number, layers: number) => readonly [keys: number, values: number]): Cut =>
  (rows, { n, layers, heads }) => {
    const wide = (rows.shape[1] ?? 0) / (2 * layers * heads)
    const all = transpose(reshape(rows, [n, 2 * layers, heads, wide]), [1, 2, 0, 3])
    const slot = (i: number): Tensor => slice(all, [i, 0, 0, 0], [1, heads, n, wide])
    return Array.from({ length: layers }, (_, l) => {
      const [k, v] = slotsOf(l, layers)
      return { keys: slot(k), values: slot(v) }
    })
  }

const right = bySlots((l) => [2 * l, 2 * l + 1])
const swapped = bySlots((l) => [2 * l + 1, 2 * l])
const halves = bySlots((l, layers) => [l, layers + l])
// The slots are put after themselves and split into fours, of which the second half is never read.
const encoderDecoder = bySlots((l, layers) => [(4 * l) % (2 * layers), (4 * l + 1) % (2 * layers)])
const shared = bySlots(() => [0, 1])

/** Heads before slots: the same numbers, read along another axis. */
const headsFirst: Cut = (rows, { n, layers, heads }) => {
  const wide = (rows.shape[1] ?? 0) / (2 * layers * heads)
  const all = transpose(reshape(rows, [n, heads, 2 * layers, wide]), [2, 1, 0, 3])
  const slot = (i: number): Tensor => slice(all, [i, 0, 0, 0], [1, heads, n, wide])
  return Array.from({ length: layers }, (_, l) => ({ keys: slot(2 * l), values: slot(2 * l + 1) }))
}

const fromZero: typeof PositionsKind = {
  ...PositionsKind,
  ops: { layer: (n, x, ctx) => PositionsKind.ops.layer(n, x, context({ kinds: ctx.kinds })) },
}

/** The mask of the tokens with its columns for the prefix at the wrong end. */
const maskBehind: Kind<Attention, 'layer'> = {
  ...AttentionKind,
  ops: {
    layer: (n, x, ctx) => {
      const past = ctx.past?.length ?? 0
      if (ctx.mask === undefined || past === 0) return AttentionKind.ops.layer(n, x, ctx)
      const [batch = 0, , length = 0, width = 0] = ctx.mask.shape
      const tokens = slice(ctx.mask, [0, 0, 0, past], [batch, 1, length, width - past])
      const front = slice(ctx.mask, [0, 0, 0, 0], [batch, 1, length, past])
      return AttentionKind.ops.layer(n, x, { ...ctx, mask: concat([tokens, front], 3) })
    },
  },
}

type Batch = Tokens & { readonly labels: Tensor }

/** The loss of a language model whose labels were made longer by so many. */
const lossWith =
  (more: number): TokenLoss =>
  (model: never, batch: Batch) => {
    const logits = sllm.apply(model, batch)
    const [rows = 0, length = 0, vocab = 0] = logits.shape
    const labels = concat([full([rows, more], -100, 'int32'), batch.labels], 1)
    const from = reshape(slice(logits, [0, 0, 0], [rows, length - 1, vocab]), [rows * (length - 1), vocab])
    return crossEntropy(from, reshape(slice(labels, [0, 1], [rows, length - 1]), [rows * (length - 1)]))
  }

const prefixed = prefix({ length: 2 })

const fronts = { on: sllm, options: { declare: prompting(0) } } as const
const deep = { ...fronts, options: { ...fronts.options, dims: { n_layers: 2 } } } as const
const several = { ...fronts, options: { ...fronts.options, dims: { n_heads: 2, d_head: [2, 3] } } } as const

const cutAs = (cut: Cut) => ({ transform: prefixed, kinds: { Prefixed: prefixedBy(cut) } })

export const prefixFaults: readonly Fault[] = [
  {
    name: 'a prefix takes its values for keys and its keys for values',
    source: 'the two halves of a key-value cache unpacked in the wrong order: shapes are the same',
    law: standsForTokens,
    ...fronts,
    broken: cutAs(swapped),
    twin: cutAs(right),
  },
  {
    name: 'a prefix holds first all keys, then all values',
    source: 'AdapterHub and PEFT differ from code that splits the table in two halves: files of one load in the other',
    law: standsForTokens,
    ...deep,
    broken: cutAs(halves),
    twin: cutAs(right),
  },
  {
    name: 'a prefix is cut into heads before it is cut into layers',
    source: 'a view of the right size with its axes in another order',
    law: standsForTokens,
    ...several,
    broken: cutAs(headsFirst),
    twin: cutAs(right),
  },
  {
    name: 'half of the slots of a prefix are read by no layer, the others by two',
    source: 'PEFT, prefix tuning of encoder-decoder models (BART, T5): slots 4ℓ and 4ℓ + 1 of 2L',
    law: everyElementHasGradient,
    ...deep,
    broken: cutAs(encoderDecoder),
    twin: cutAs(right),
  },
  {
    name: 'all layers share the first layer’s prefix',
    source: 'a loop over layers that forgets its index',
    law: everyElementHasGradient,
    ...deep,
    broken: cutAs(shared),
    twin: cutAs(right),
  },
  {
    name: 'tokens after a prefix stand at positions from 0',
    source: 'prefix tuning code that passes a cache and no position ids',
    law: standsForTokens,
    ...fronts,
    broken: { transform: prefixed, kinds: { Positions: fromZero } },
    twin: { transform: prefixed },
  },
  {
    name: 'the mask grows behind the tokens and not before them',
    source: 'prefix tuning code that pads the mask on the usual side: padding is attended to',
    law: hiddenRowsChangeNothing,
    ...fronts,
    broken: { transform: prefixed, kinds: { Attention: maskBehind } },
    twin: { transform: prefixed },
  },
  {
    name: 'labels get −100 for a prefix, whose logits have no rows for it',
    source: 'prompt tuning code used for prefixes: labels shift by the length of the prefix',
    law: lossCountsRealTokens(lossWith(0)),
    ...fronts,
    broken: { transform: prefixed, law: lossCountsRealTokens(lossWith(1)) },
    twin: { transform: prefixed },
  },
]
