import * as t from 'io-ts'
import { lookup } from '../kind/index.ts'
import type { Embed, Weight } from '../kind/index.ts'
import { context } from '../nn/index.ts'
import type { Embedding } from '../nn/index.ts'
import { tensor } from '../ops/index.ts'
import { TokenRowsKind } from '../weight/index.ts'
import type { TokenRows, TokenRowsValues } from '../weight/index.ts'
import type { Issue } from '../tree/error.ts'
import type { Param, Status } from '../tree/leaf.ts'
import type { Selector } from '../tree/select.ts'
import { targets } from '../tree/target.ts'
import type { Wrapping } from '../tree/types/rewrite.ts'
import type { Step, Targeted } from '../tree/types/step.ts'
import { showPath } from '../tree/walk.ts'
import type { Packed } from '../tree/wrap.ts'
import { weightMethod } from './attach.ts'
import { tokenTables } from './embeddings.ts'
import type { Sized } from './weight-places.ts'
import { must } from './options.ts'
import { targeted } from './targeted.ts'

/** Which tokens are trained. */
export interface TokensOptions {
  /** Their ids, each once. */
  readonly ids: readonly number[]
}

declare module '../tree/types/rewrite.ts' {
  interface Rewrites<T> {
    readonly tokens: T extends Embed & { readonly _tag: 'Embedding'; readonly weight: infer W extends Weight }
      ? W extends Param<Status, 'table'> | Packed<'table'>
        ? Embedding<TokenRows<W>>
        : Keep
      : never
  }
}

const problem = (path: string, expected: string, found: unknown): Issue => ({
  _tag: 'BadOption',
  path,
  expected,
  found: String(found),
  hint: 'The tokenizer of this model tells the ids of its tokens.',
})

const refuse = ({ ids }: TokensOptions, { path, rows }: Sized): readonly Issue[] => {
  const twice = ids.find((id, i) => ids.indexOf(id) !== i)
  const strange = ids.find((id) => !Number.isSafeInteger(id) || id < 0 || id >= rows)
  return [
    ...(ids.length > 0 ? [] : [problem('tokens.ids', 'at least one token id', 'none')]),
    ...(twice === undefined ? [] : [problem('tokens.ids', 'each token id once', `${twice} twice`)]),
    ...(strange === undefined ? [] : [problem('tokens.ids', `token ids from 0 to ${rows - 1}, of ${path}`, strange)]),
  ]
}

const onTables = weightMethod<TokensOptions, Wrapping<'TokenRows', TokenRowsValues, 'table'>>('tokens', {
  kind: TokenRowsKind,
  form: 'table',
  options: { ids: must(t.readonlyArray(t.number, 'a list of token ids')) },
  dims: ({ ids }) => ({ tokens: Math.max(1, ids.length) }),
  refuse,
  given: ({ ids }, { weight }) => {
    const at = tensor(Int32Array.from(ids), [ids.length], 'int32')
    return { ids: at, rows: lookup(at, weight, context()) }
  },
})

/** `tokens` for the model's token embedding, or for those a selector names. */
export interface TokensTransform extends Targeted<TokensOptions, 'tokens'> {
  (options: TokensOptions & { readonly at?: undefined }): Step<'**', 'tokens'>
}

// A table of positions is looked up by row as well, but its rows are no tokens.
const run = (model: unknown, { at = '**', ids }: TokensOptions & { readonly at?: Selector }): unknown => {
  const paths = new Set(targets(model, at, tokenTables).map((p) => showPath([...p.path, 'weight'])))
  return onTables.unchecked({ at: (path: string) => paths.has(path), ids })(model)
}

/**
 * Trains the embeddings of some tokens, and of those only: their rows are replaced by trained ones.
 *
 * The rows begin as those of the table, so a fresh one changes nothing, bit for bit. `at` may be left out: then it is the
 * token embedding of the model.
 *
 * @throws TransformFailure `BadOption` for ids that are out of range or twice there, `NoMatch`, `NotATarget`, `AlreadyAdapted`,
 *   `TiedWeight` where the head is the same leaf, `BadSelector`.
 * @example
 * ```ts
 * import { count, freeze, key, pipe, sllm, tokens } from 'espalier'
 * const base = sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0))
 * count(pipe(base, freeze, tokens({ ids: [98, 99] }))).trainable // => 256
 * ```
 */
export const tokens: TokensTransform = targeted<TokensOptions, 'tokens'>(run, {
  name: 'tokens',
  options: { ids: must(t.readonlyArray(t.number, 'a list of token ids')) },
}) as TokensTransform
