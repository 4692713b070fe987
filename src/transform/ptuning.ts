import { gaussian, initialise, initialiseField, table } from '../kind/index.ts'
import type { Embed, Weight } from '../kind/index.ts'
import { PositiveWhole } from '../kind/number-codecs.ts'
import { PromptLstmKind, PromptMlpKind } from '../nn/index.ts'
import type { PromptLstm, PromptMlp, Prompted } from '../nn/index.ts'
import { TransformFailure } from '../tree/error.ts'
import type { Issue } from '../tree/error.ts'
import { key as seedKey } from '../tree/key.ts'
import type { Key } from '../tree/key.ts'
import type { Selector } from '../tree/select.ts'
import type { Step, Targeted } from '../tree/types/step.ts'
import { putRows } from './embeddings.ts'
import type { EmbeddingPlace } from './embeddings.ts'
import { may, must, oneOf } from './options.ts'
import type { OptionTable } from './options.ts'
import { bareShape, roomIssues, sizeIssues } from './room.ts'
import { targeted } from './targeted.ts'

/** How P-tuning is put on. */
export interface PtuningOptions {
  /** Number of virtual tokens. */
  readonly length: number
  /** What makes the rows: three linear layers (the default), or bidirectional LSTM layers and two linear ones. */
  readonly encoder?: 'mlp' | 'lstm'
  /** Width of the encoder, by default the model's. */
  readonly hidden?: number
  /** LSTM layers, by default 2. */
  readonly layers?: number
  /** What the table and the encoder are drawn from, folded by label. */
  readonly key?: Key
}

declare module '../tree/types/rewrite.ts' {
  interface Rewrites<T> {
    readonly ptuning: T extends Embed & { readonly _tag: 'Embedding' }
      ? Prompted<T, PromptMlp | PromptLstm>
      : T extends { readonly _tag: 'Prompted' }
        ? Keep
        : never
  }
}

const options: OptionTable<PtuningOptions> = {
  length: must(PositiveWhole),
  encoder: may(oneOf('mlp', 'lstm')),
  hidden: may(PositiveWhole),
  layers: may(PositiveWhole),
}

const withoutLayers: Issue = {
  _tag: 'BadOption',
  path: 'ptuning.layers',
  expected: "no number of layers with encoder 'mlp'",
  found: 'one',
  hint: "An MLP encoder has three linear layers; say encoder: 'lstm', or leave `layers` out.",
}

const encoded = (model: unknown, { node, route, label }: EmbeddingPlace, given: PtuningOptions): Weight => {
  const [, d] = bareShape(node.weight)
  const { length, encoder = 'mlp', hidden = d, layers = 2, key = seedKey('ptuning') } = given
  const issues = [
    ...roomIssues(model, route, length, 'ptuning.length'),
    ...sizeIssues({ 'ptuning.length': length * d, 'ptuning.hidden': 16 * hidden * Math.max(hidden, d) }),
    ...(encoder === 'mlp' && given.layers !== undefined ? [withoutLayers] : []),
  ]
  if (issues.length > 0) throw new TransformFailure(issues)
  const base = initialiseField(table('length', 'd', gaussian(1)), { length, d }, key, label)
  const dims = { in: length, out: d, hidden, more: layers - 1 }
  const { _tag, ...fields } = (
    encoder === 'mlp'
      ? initialise(PromptMlpKind, dims, key, {}, label)
      : // A list of no layers has no length that could be given.
        initialise(PromptLstmKind, dims, key, layers === 1 ? { rest: [] } : {}, label)
  ) as { readonly _tag: string }
  return { _tag, base, ...fields } as Weight
}

/** `ptuning` for the model's one token embedding, or for those a selector names. */
export interface Ptuning extends Targeted<PtuningOptions, 'ptuning'> {
  (options: PtuningOptions & { readonly at?: undefined }): Step<'**', 'ptuning'>
}

/**
 * Puts rows before the token embeddings that an encoder computes from a trained table; table and encoder are trained.
 *
 * The encoder is part of the tree: it is saved with the adapter, so that training can be taken up again, and `bake` makes
 * plain rows of it for use.
 *
 * @throws TransformFailure `NoMatch`, `NotATarget`, `AlreadyAdapted`, `BadDimension`, `BadOption`, `BadSelector`,
 *   `ContextOverflow` for rows that leave no room for text.
 * @example
 * ```ts
 * import { bake, count, freeze, pipe, ptuning, sllm, key } from 'espalier'
 * const base = freeze(sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0)))
 * const tuned = ptuning({ length: 20, hidden: 64 })(base)
 * count(tuned).trainable // => 23_296
 * count(bake(tuned)).trainable // => 2_560
 * ```
 * @source Liu et al. 2021, "GPT Understands, Too", §3.2.
 */
export const ptuning: Ptuning = targeted<PtuningOptions, 'ptuning'>(
  (model, { at = '**', ...given }: PtuningOptions & { readonly at?: Selector }) =>
    putRows(model, at, (place) => encoded(model, place, given)),
  { name: 'ptuning', options },
) as Ptuning
