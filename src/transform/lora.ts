import type { Either } from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import { Finite, Rate } from '../kind/number-codecs.ts'
import { LoraFromKind, LoraKind, LoraTableKind } from '../weight/index.ts'
import { factorOf } from '../weight/lora.ts'
import type { Scaling } from '../weight/index.ts'
import { TransformFailure, explained } from '../tree/error.ts'
import type { Issue } from '../tree/error.ts'
import type { Key } from '../tree/key.ts'
import type { Selector } from '../tree/select.ts'
import type { Globs } from '../tree/types/paths.ts'
import type { After, AtOption, Legal, Rewritten, Step, Targeted } from '../tree/types/step.ts'
import { weightMethod } from './attach.ts'
import { shiftLayers } from './lora-bias.ts'
import { drawnFactors, initIssues, isStart, startOf } from './lora-init.ts'
import type { AnyLoraInit, LoraInit, LoraStart } from './lora-init.ts'
import { Dimension, Numbers, Ranks, may, must, oneOf } from './options.ts'
import type { OptionTable } from './options.ts'
import { targeted } from './targeted.ts'

/** What LoRA and its kin have in common: how a low-rank change is put on. */
export interface LoraOptions {
  /** Columns of A and rows of B: a positive whole number. */
  readonly rank: number
  /** The factor before A·B, by default 1. */
  readonly alpha?: number
  /** How alpha is read: as it is (the default, as in the chapter), divided by the rank, or by its square root. */
  readonly scaling?: Scaling
  /** Dropout on the input of A in training, in [0, 1). */
  readonly dropout?: number
  /** Other ranks for the weights that patterns name; the first pattern that names a weight counts. */
  readonly rankPattern?: Readonly<Record<string, number>>
  /** Other alphas for the weights that patterns name. */
  readonly alphaPattern?: Readonly<Record<string, number>>
  /** What A is drawn from, folded by each weight's label. */
  readonly key?: Key
}

/** How LoRA is put on weight matrices. */
export interface MatrixLoraOptions<
  I extends AnyLoraInit = AnyLoraInit,
  B extends boolean = boolean,
> extends LoraOptions {
  /** What A and B begin as: `'kaiming'` unless told otherwise. */
  readonly init?: I
  /** Whether B has a bias: a trained shift of each layer's outputs, which `merge` leaves where it is; not with a start from W. */
  readonly bias?: B
}

/** LoRA on embedding tables. */
export type EmbeddingLoraOptions = Omit<LoraOptions, 'dropout'>

/** The options that LoRA and its kin have in common. */
export const loraOptions: OptionTable<LoraOptions> = {
  rank: must(Dimension),
  alpha: may(Finite),
  scaling: may(oneOf('alpha', 'alpha/rank', 'alpha/sqrt(rank)')),
  dropout: may(Rate),
  rankPattern: may(Ranks),
  alphaPattern: may(Numbers),
}

/** What the options of LoRA and its kin are when left out. */
export const loraDefaults: Required<Pick<LoraOptions, 'alpha' | 'scaling' | 'dropout'>> = {
  alpha: 1,
  scaling: 'alpha',
  dropout: 0,
}

type Settled = LoraOptions & typeof loraDefaults

/** The plain data of a node. */
export const dataOf = ({ alpha, scaling, dropout }: Settled): typeof loraDefaults => ({ alpha, scaling, dropout })

const described = {
  ...loraOptions,
  init: may(oneOf<AnyLoraInit>('kaiming', 'gaussian', 'random', 'orthogonal', 'pissa', 'olora')),
  bias: may(t.boolean),
}

const drawn = weightMethod<LoraOptions & { readonly init: LoraInit }, 'lora', keyof typeof loraDefaults>('lora', {
  kind: LoraKind,
  options: described,
  defaults: loraDefaults,
  dims: ({ rank }) => ({ rank }),
  refuse: (options, place) => initIssues(options.init, options.rank, factorOf(options, options.rank), place),
  given: (options, place) => ({ ...dataOf(options), ...drawnFactors(options.init, options.rank, place) }),
})

const started = weightMethod<LoraOptions & { readonly init: LoraStart }, 'loraFrom', keyof typeof loraDefaults>(
  'lora',
  {
    kind: LoraFromKind,
    options: described,
    defaults: loraDefaults,
    dims: ({ rank }) => ({ rank }),
    refuse: (options, place) => initIssues(options.init, options.rank, factorOf(options, options.rank), place),
    given: (options, place) => {
      const { a, b } = startOf(options.init, options.rank, factorOf(options, options.rank), place)
      return { ...dataOf(options), a, b, a0: a, b0: b }
    },
  },
)

type Placed = LoraOptions & { readonly init: AnyLoraInit; readonly at: Selector }

const plainly = ({ init, ...options }: Placed): ((model: unknown) => unknown) =>
  isStart(init) ? started.unchecked({ ...options, init }) : drawn.unchecked({ ...options, init })

const towardsTables = (found: Issue): Issue =>
  found._tag === 'NotATarget' && /Embedding|a table/.test(found.found)
    ? { ...found, hint: `Embedding tables have a form of their own: lora.embedding({ at: …, rank: … }). ${found.hint}` }
    : found

const biasOfStart = (init: LoraStart): TransformFailure =>
  new TransformFailure([
    {
      _tag: 'BadOption',
      path: 'lora.bias',
      expected: 'a bias on a LoRA that is drawn',
      found: `init '${init}'`,
      hint: "A bias begins at zero, not at a part of the weight: take another `init`, or train the layer's own bias.",
    },
  ])

const embedding = weightMethod<EmbeddingLoraOptions, 'loraEmbedding', 'alpha' | 'scaling'>('lora.embedding', {
  kind: LoraTableKind,
  form: 'table',
  options: {
    rank: loraOptions.rank,
    alpha: loraOptions.alpha,
    scaling: loraOptions.scaling,
    rankPattern: loraOptions.rankPattern,
    alphaPattern: loraOptions.alphaPattern,
  },
  defaults: { alpha: loraDefaults.alpha, scaling: loraDefaults.scaling },
  dims: ({ rank }) => ({ rank }),
  given: ({ alpha, scaling }) => ({ alpha, scaling }),
})

// With an init that is known at run time only, a weight may be wrapped in either.
type WrappedBy<I extends AnyLoraInit, B extends boolean> = B extends true
  ? 'loraBias'
  : I extends LoraStart
    ? 'loraFrom'
    : 'lora'

/** `lora` and its forms, as those of any `Targeted`: what wraps a weight depends on `init`; and `lora.embedding`. */
export interface LoraTransform {
  <
    M,
    const G extends Globs<M, WrappedBy<I, B>>,
    const I extends AnyLoraInit = 'kaiming',
    const B extends boolean = false,
  >(
    options: MatrixLoraOptions<I, B> & { readonly at: G | readonly G[] },
  ): (model: M) => Rewritten<M, G, WrappedBy<I, B>>
  <const G extends string = string, const I extends AnyLoraInit = 'kaiming', const B extends boolean = false>(
    options: MatrixLoraOptions<I, B> & AtOption<G>,
  ): Step<G, WrappedBy<I, B>>
  /** The same with mistakes as values. */
  readonly either: {
    <
      M,
      const G extends Globs<M, WrappedBy<I, B>>,
      const I extends AnyLoraInit = 'kaiming',
      const B extends boolean = false,
    >(
      options: MatrixLoraOptions<I, B> & { readonly at: G | readonly G[] },
    ): (model: M) => Either<readonly Issue[], Rewritten<M, G, WrappedBy<I, B>>>
    <const G extends string = string, const I extends AnyLoraInit = 'kaiming', const B extends boolean = false>(
      options: MatrixLoraOptions<I, B> & AtOption<G>,
    ): <M>(model: M & Legal<M, G, WrappedBy<I, B>>) => Either<readonly Issue[], After<M, G, WrappedBy<I, B>>>
  }
  /** The same without the check of patterns by the compiler. */
  readonly unchecked: <
    const G extends string = string,
    const I extends AnyLoraInit = 'kaiming',
    const B extends boolean = false,
  >(
    options: MatrixLoraOptions<I, B> & AtOption<G>,
  ) => <M>(model: M) => After<M, G, WrappedBy<I, B>>
  /**
   * LoRA on embedding tables: a table E [vocab, d] becomes E + s·A·B, with A [vocab, rank] zero and B from N(0, 1).
   *
   * `'**'` means every table here, and every matrix for `lora` itself; what a lookup costs grows with the ids, not with the vocabulary.
   */
  readonly embedding: Targeted<EmbeddingLoraOptions, 'loraEmbedding'>
}

/**
 * Adds a low-rank change to weight matrices: W becomes W + s·A·B, with A from U(±1/√in), B zero, and s from alpha.
 *
 * A fresh adapter changes nothing. A glob that names a layer takes all its matrices, so `'**'` is "all linear layers".
 * A rank above min(in, out) is legal, if wasteful. With `init: 'pissa'` or `'olora'` A and B begin from a part of W, which
 * stays as it is: the adapter holds what it began from, and adds what has changed since.
 *
 * @throws TransformFailure `NoMatch` with the nearest names, also for a pattern of `rankPattern` that names no weight of `at`;
 *   `NotATarget` for what has no weight matrix, `AlreadyAdapted`, `TiedWeight`, `BadDimension` for a rank that is not a
 *   positive whole number or does not fit the init, `NonFinite` for a weight to begin from, `BadOption`, `BadSelector`.
 * @example
 * ```ts
 * import { count, freeze, lora, pipe, sllm, key } from 'espalier'
 * const base = sllm.init(sllm.config.seed, key(0))
 * const tuned = pipe(base, freeze, lora({ at: ['**.ln_1', '**.c_proj'], rank: 16, alpha: 30, key: key(1) }))
 * count(tuned) // => { parameters: 13_715_360, trainable: 16_384, frozen: 13_698_976 }
 * const rows = pipe(base, freeze, lora.embedding({ at: '**.token_embdgs', rank: 4 }))
 * count(rows).trainable // => 208_512
 * ```
 * @source Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models", §4.1.
 */
export const lora: LoraTransform = Object.assign(
  targeted<MatrixLoraOptions, 'lora'>(
    (model, { init = 'kaiming', bias = false, ...options }) => {
      if (!bias) return explained(() => plainly({ ...options, init })(model), towardsTables)
      if (isStart(init)) throw biasOfStart(init)
      return shiftLayers((at) => plainly({ ...options, init, at }))(model, options.at)
    },
    { name: 'lora', options: described },
  ) as Targeted<MatrixLoraOptions, 'lora'> & Omit<LoraTransform, 'embedding'>,
  { embedding },
)
