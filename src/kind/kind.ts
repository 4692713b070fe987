import type { Tensor } from '../tree/tensor.ts'
import type { Fields } from './field.ts'
import type { Ctx } from './context.ts'

/*
 * What may stand at a place of a model. The optional `~role` exists for the compiler only, so that a wrapper is accepted
 * wherever what it wraps is, and an embedding is refused where a layer is wanted.
 */

/** Something that multiplies: a matrix, or a matrix in another representation. */
export interface Weight {
  readonly _tag: string
  readonly '~role'?: 'weight'
}

/** Token ids to hidden states. */
export interface Embed {
  readonly _tag: string
  readonly '~role'?: 'embed'
}

/** Hidden states to hidden states. */
export interface Layer {
  readonly _tag: string
  readonly '~role'?: 'layer'
}

/** What a sublayer has computed, and what it was given, to hidden states: BERT's dense, add and norm. */
export interface Output {
  readonly _tag: string
  readonly '~role'?: 'output'
}

/** A batch of token ids to hidden states, and those to logits. */
export interface Model {
  readonly _tag: string
  readonly '~role'?: 'model'
}

/** What a model or an embedding is given. */
export interface Tokens {
  /** int32 [batch, tokens]. */
  readonly ids: Tensor
  /** 1 for a real token, 0 for padding, [batch, tokens]; absent when nothing is padding. */
  readonly mask?: Tensor | undefined
  /** int32 [batch, tokens]: where the caller has each token stand; absent for one after the other, after the past. `at` hands it on. */
  readonly positions?: Tensor | undefined
  /** int32 [batch, tokens]: the segment of each token, in models that tell segments apart. */
  readonly types?: Tensor | undefined
}

/** What an embedding hands on; it may be longer than the tokens it was given. */
export interface Embedded {
  /** float32 [batch, length, d_model]. */
  readonly hidden: Tensor
  /** 1 for what may be attended to, [batch, length]. */
  readonly mask?: Tensor | undefined
}

/** The keys and values that one attention layer looks at besides those of its own tokens. */
export interface KeysValues {
  /** [1 or batch, heads, length, d_head]. */
  readonly keys: Tensor
  readonly values: Tensor
}

/** What every attention layer of a model has seen before the tokens at hand: a prefix, or a cache. */
export interface Past {
  readonly length: number
  /** From the first attention layer to the last. */
  readonly layers: readonly KeysValues[]
  /** 1 for what may be attended to, [batch, length]; absent when all of it may. */
  readonly mask?: Tensor | undefined
}

/** The angles by which rotary position embeddings turn queries and keys. */
export interface Rotary {
  /** [batch or 1, 1, length, d_head], the two halves alike. */
  readonly cos: Tensor
  readonly sin: Tensor
}

/** What goes around a sublayer, and what becomes of the sublayer's output. */
export interface Residual {
  /** [batch, length, d]. */
  readonly around: Tensor
  /** The sublayer's output added to it and, in models that norm after that, normed. */
  readonly join: (y: Tensor) => Tensor
}

/** Logits not yet multiplied out: x · weight + bias, softly kept below cap. */
export interface Affine {
  /** float32 [..., d]. */
  readonly x: Tensor
  /** float32 [d, classes], or [classes, d] if transpose. */
  readonly weight: Tensor
  readonly bias: Tensor | null
  readonly transpose: boolean
  /** 0 for none. */
  readonly cap: number
}

/** The operations of every representation of a weight; layers call these and nothing else. */
export interface WeightOps<N> {
  /** x [..., in] times the weight [in, out]. */
  readonly project: (x: Tensor, weight: N, ctx: Ctx) => Tensor
  /** x [..., out] times the weight transposed. */
  readonly projectT: (x: Tensor, weight: N, ctx: Ctx) => Tensor
  /** Rows of the weight by int32 ids. */
  readonly lookup: (ids: Tensor, weight: N, ctx: Ctx) => Tensor
  /** [in, out]. */
  readonly shape: (weight: N, ctx: Ctx) => readonly number[]
  /** The whole weight, dense. */
  readonly materialize: (weight: N, ctx: Ctx) => Tensor
  /** What it adds to its base; absent where the change is no sum. */
  readonly adds?: Added<N>
}

/** What a weight adds to its base, Δ [in, out], and how to multiply with it. */
export interface Added<N> {
  /** Δ itself, dense. */
  readonly delta: (weight: N, ctx: Ctx) => Tensor
  /** x [..., in] times Δ. */
  readonly times: (x: Tensor, weight: N, ctx: Ctx) => Tensor
  /** x [..., out] times Δ transposed. */
  readonly timesT: (x: Tensor, weight: N, ctx: Ctx) => Tensor
  /** Rows of Δ by int32 ids. */
  readonly rows: (ids: Tensor, weight: N, ctx: Ctx) => Tensor
}

/** What a kind of each role can do; open, so that a role can be added by declaration merging. */
export interface RoleOps<N> {
  readonly weight: WeightOps<N>
  readonly embed: {
    /** Token ids to hidden states [batch, length, d_model] and their mask. */
    readonly embed: (node: N, tokens: Tokens, ctx: Ctx) => Embedded
  }
  readonly layer: {
    /** Hidden states [..., in] to hidden states [..., out]. */
    readonly layer: (node: N, x: Tensor, ctx: Ctx) => Tensor
    /** What `layer` is to compute, where it is a product with a dense weight and no more; undefined, or absent, elsewhere. */
    readonly affine?: (node: N, x: Tensor, ctx: Ctx) => Affine | undefined
  }
  readonly output: {
    /** What a sublayer gives [..., in] and what it was given [..., out] to hidden states [..., out]. */
    readonly output: (node: N, x: Tensor, residual: Tensor, ctx: Ctx) => Tensor
  }
  readonly model: {
    /** Whether its head says which token comes next, by what came before alone. */
    readonly causal?: boolean
    /** Token ids to the hidden states before the head, and their mask. */
    readonly hidden: (node: N, tokens: Tokens, ctx: Ctx) => Embedded
    /** Hidden states [..., d_model] to logits [..., vocab], or to what the model is asked for; those themselves without a head. */
    readonly head: (node: N, hidden: Tensor, ctx: Ctx) => Tensor
    /** What `head` is to compute, as a layer's `affine`. */
    readonly affine?: (node: N, hidden: Tensor, ctx: Ctx) => Affine | undefined
  }
}

/**
 * Which sublayer of a block the nodes of a tag are, or, of an output, end; open, so that a model's file names its own by
 * declaration merging. It is what a kind's `sublayer` says, for the compiler.
 */
export interface Sublayers {}

/** The two sublayers of a block, by which the placements of the literature are found. */
export type Sublayer = 'attention' | 'feedForward'

/** The name of a role. */
export type Role = keyof RoleOps<unknown>

/**
 * A kind of node as a value: its tag, its role, its fields as data, and what it does.
 *
 * Initialiser, shape check and test generator are derived from the fields, each in a file of its own.
 */
export interface Kind<N, R extends Role = Role, D extends string = string> {
  readonly tag: string
  readonly role: R
  readonly fields: Fields
  readonly ops: RoleOps<N>[R]
  /** Which sublayer of a block it is, or, of an output, ends: an adapter there stands behind the output's `dense`. */
  readonly sublayer?: N extends { readonly _tag: keyof Sublayers } ? Sublayers[N['_tag']] : never
  /** Of attention, the fields that make queries, keys and values: one for each, or one for all; it says its `heads` as plain data. */
  readonly projections?: readonly (keyof N & string)[]
  /** Only for the compiler: the node, and the names of its dimensions. */
  readonly '~node'?: N
  readonly '~dims'?: D
}

/** A kind of which only the tag is known. */
// oxlint-disable-next-line typescript/no-explicit-any -- a kind's operations take its own node, so no one type covers all
export type AnyKind = Kind<any>

/** The kinds a program knows, by tag. */
export type Kinds = Readonly<Record<string, AnyKind>>
