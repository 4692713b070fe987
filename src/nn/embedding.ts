import { fixed, gaussian, lookup, positionsOf, shapeOf, table } from '../kind/index.ts'
import type { AnyField, DimsIn, Embed, Field, Kind, Layer, Weight } from '../kind/index.ts'
import { add, mul, slice } from '../ops/index.ts'
import { EspalierError, explained, issue } from '../tree/error.ts'
import { isParam } from '../tree/leaf.ts'
import type { Issue } from '../tree/error.ts'
import type { Table } from '../tree/leaf.ts'
import { labelOf } from '../tree/wrap.ts'

/** Token ids [batch, tokens] to their rows [batch, tokens, d]. */
export interface Embedding<W extends Weight = Weight> extends Embed {
  readonly _tag: 'Embedding'
  readonly '~role'?: 'embed'
  readonly weight: W
  /** What rows are multiplied by, where they are: Gemma has √d. */
  readonly scale?: number
}

/** The kind behind `embedding`. */
export const EmbeddingKind: Kind<Embedding, 'embed', 'vocab' | 'd'> = {
  tag: 'Embedding',
  role: 'embed',
  fields: { weight: table('vocab', 'd', gaussian(0.02)) },
  ops: {
    embed: (n, { ids, mask }, ctx) => {
      const rows = lookup(ids, n.weight, ctx)
      return { hidden: n.scale === undefined ? rows : mul(rows, n.scale), mask }
    },
  },
}

/** The kind of an embedding whose rows are multiplied by a number. */
export const ScaledEmbeddingKind: Kind<Embedding, 'embed', 'vocab' | 'd'> = {
  ...EmbeddingKind,
  fields: { ...EmbeddingKind.fields, scale: fixed(1) },
}

/** Segments to hidden states [batch, length, d], to be added to those of tokens: no prompt goes before these. */
export interface Segments<W extends Weight = Table> extends Embed {
  readonly _tag: 'Segments'
  readonly '~role'?: 'embed'
  readonly weight: W
}

/** The kind behind the segments of BERT. */
export const SegmentsKind: Kind<Segments<Weight>, 'embed', 'vocab' | 'd'> = {
  tag: 'Segments',
  role: 'embed',
  fields: EmbeddingKind.fields,
  ops: { embed: (n, { ids }, ctx) => ({ hidden: lookup(ids, n.weight, ctx) }) },
}

/**
 * A field that is a table of token embeddings, drawn from N(0, 0.02²).
 *
 * @example
 * ```ts
 * import { define, embed, embedding, key } from 'espalier'
 * import { zeros } from 'espalier/ops'
 * const Words = define('Words', { words: embedding('vocab', 'd') }, (n, ids, ctx) =>
 *   embed(n.words, { ids }, ctx).hidden)
 * Words.apply(Words.init({ vocab: 9, d: 4 }, key(0)), zeros([2, 3], 'int32')).shape // => [2, 3, 4]
 * ```
 */
export const embedding = <V extends string, D extends string>(
  vocab: V,
  d: D,
): Field<Embedding<Table<'trainable'>>, DimsIn<V | D>> =>
  ({ _tag: 'NodeField', kind: EmbeddingKind, dims: { vocab, d }, statics: {} }) satisfies AnyField

/** Adds to hidden states [batch, length, d] the learned row of each position. */
export interface Positions<W extends Weight = Table> extends Layer {
  readonly _tag: 'Positions'
  readonly '~role'?: 'layer'
  readonly weight: W
}

/** The kind behind `positions`. */
export const PositionsKind: Kind<Positions<Weight>, 'layer', 'length' | 'd'> = {
  tag: 'Positions',
  role: 'layer',
  fields: { weight: table('length', 'd', gaussian(0.02)) },
  ops: {
    layer: (n, x, ctx) => {
      const [, length = 0, d = 0] = x.shape
      const from = ctx.past?.length ?? 0
      const longest = shapeOf(n.weight, ctx)[0] ?? 0
      const overflow = (found: string): Issue =>
        issue(
          'ContextOverflow',
          labelOf(n.weight),
          `at most ${longest} positions`,
          `${found}, soft prompts and prefixes included`,
          'Shorten the text, the soft prompt or the prefix; they share the context window.',
        )
      if (ctx.positions === undefined && from + length > longest)
        throw new EspalierError([overflow(String(from + length))])
      if (ctx.positions === undefined && isParam(n.weight)) return add(x, slice(n.weight.value, [from, 0], [length, d]))
      // Where tokens are said to stand is read by nobody but the lookup, which a tape records.
      const rows = explained(
        () => lookup(positionsOf(length, ctx), n.weight, ctx),
        (i) => (i._tag === 'OutOfRange' ? overflow(`one that is ${Number.parseInt(i.found, 10)}, from 0`) : i),
      )
      return add(x, rows)
    },
  },
}

/**
 * A field that is a table of learned positions, drawn from N(0, 0.02²).
 *
 * @throws EspalierError `ContextOverflow` when it runs on more positions than it has rows, or on one that it has not.
 * @example
 * ```ts
 * import { define, key, layer, positions } from 'espalier'
 * import { zeros } from 'espalier/ops'
 * const Placed = define('Placed', { rows: positions('length', 'd') }, (n, x, ctx) => layer(n.rows, x, ctx))
 * const placed = Placed.init({ length: 3, d: 2 }, key(0))
 * Placed.apply(placed, zeros([1, 3, 2])).shape // => [1, 3, 2]
 * Placed.apply(placed, zeros([1, 4, 2])) // => Error: ContextOverflow
 * ```
 */
export const positions = <L extends string, D extends string>(
  length: L,
  d: D,
): Field<Positions<Table<'trainable'>>, DimsIn<L | D>> =>
  ({ _tag: 'NodeField', kind: PositionsKind, dims: { length, d }, statics: {} }) satisfies AnyField
