import * as t from 'io-ts'
import { initialiseField, lookup } from '../kind/index.ts'
import { gaussian, table } from '../kind/index.ts'
import { context } from '../nn/index.ts'
import { read, tensor, uniform } from '../ops/index.ts'
import { TransformFailure } from '../tree/error.ts'
import { fold, key as seedKey } from '../tree/key.ts'
import type { Key } from '../tree/key.ts'
import { param } from '../tree/leaf.ts'
import type { Param } from '../tree/leaf.ts'
import type { Selector } from '../tree/select.ts'
import type { Step, Targeted } from '../tree/types/step.ts'
import { putRows } from './embeddings.ts'
import type { EmbeddingPlace } from './embeddings.ts'
import { bareShape, roomIssues } from './room.ts'
import { may } from './options.ts'
import { targeted } from './targeted.ts'

/** Where the rows of a fresh soft prompt come from. */
export type PromptInit =
  /** N(0, 0.02²), the spread of fresh embeddings. */
  | 'random'
  /** The embeddings of tokens drawn from the whole vocabulary. */
  | 'vocabulary'
  /** The embeddings of a text's token ids, repeated or trimmed to the length. */
  | { readonly ids: ArrayLike<number> }
  /** The same, from the text itself. */
  | {
      readonly text: string
      readonly tokenizer: {
        /** The ids of a text, without what a tokenizer puts around a sentence. */
        readonly encode: (text: string) => ArrayLike<number>
      }
    }

/** How a soft prompt is put on. */
export interface PromptOptions {
  /** Number of virtual tokens; with a text, by default as many as it has. */
  readonly length?: number
  readonly init?: PromptInit
  readonly key?: Key
}

const problem = (tag: string, option: string, expected: string, found: unknown, hint: string): TransformFailure =>
  new TransformFailure([{ _tag: tag, path: `prompt.${option}`, expected, found: String(found), hint }])

// Far beyond any context window, and far from what memory would refuse.
const LONGEST = 65_536

const idsOf = (init: PromptInit): ArrayLike<number> | undefined =>
  typeof init === 'string' ? undefined : 'ids' in init ? init.ids : init.tokenizer.encode(init.text)

const requireInit = (init: PromptInit): void => {
  const known = typeof init === 'string' ? ['random', 'vocabulary'].includes(init) : 'ids' in init || 'text' in init
  if (!known)
    throw problem(
      'BadOption',
      'init',
      "'random', 'vocabulary', { ids } or { text, tokenizer }",
      JSON.stringify(init),
      'See the options of `prompt`.',
    )
}

const rowsFor = (
  model: unknown,
  { node, label, route }: EmbeddingPlace,
  options: PromptOptions,
): Param<'trainable', 'table'> => {
  const { init = 'vocabulary', key = seedKey('prompt') } = options
  requireInit(init)
  const ids = idsOf(init)
  if (ids?.length === 0)
    throw problem('BadOption', 'init', 'at least one token to begin from', 'none', 'The text has no tokens.')
  const [vocabulary, d] = bareShape(node.weight)
  const strange = ids && Array.from(ids).find((id) => !(Number.isInteger(id) && id >= 0 && id < vocabulary))
  if (strange !== undefined)
    throw problem(
      'BadOption',
      'init',
      `token ids from 0 to ${vocabulary - 1}`,
      strange,
      'Use the tokenizer of this model.',
    )
  const length = options.length ?? ids?.length
  if (length === undefined || !Number.isSafeInteger(length) || length <= 0 || length > LONGEST)
    throw problem(
      'BadDimension',
      'length',
      `a positive whole number of virtual tokens, at most ${LONGEST}`,
      length,
      'Give `length`, or a text to begin from.',
    )
  const crowded = roomIssues(model, route, length, 'prompt.length')
  if (crowded.length > 0) throw new TransformFailure(crowded)
  if (init === 'random')
    return initialiseField(table('length', 'd', gaussian(0.02)), { length, d }, key, label) as Param<
      'trainable',
      'table'
    >
  const chosen = ids === undefined ? drawn(fold(key, label), length, vocabulary) : repeated(ids, length)
  return param('table', label, lookup(tensor(chosen, [length], 'int32'), node.weight, context()))
}

/** Ids over and over until there are enough, as PEFT begins a prompt from a text. */
const repeated = (ids: ArrayLike<number>, length: number): Int32Array =>
  Int32Array.from({ length }, (_, i) => ids[i % ids.length] ?? 0)

const drawn = (key: Key, length: number, vocabulary: number): Int32Array => {
  const u = uniform(key, [length], 0, vocabulary)
  return Int32Array.from(read(u), (x) => Math.min(vocabulary - 1, Math.floor(x)))
}

/** `prompt` for the model's one token embedding, or for those a selector names. */
export interface Prompt extends Targeted<PromptOptions, 'prompt'> {
  (options: PromptOptions & { readonly at?: undefined }): Step<'**', 'prompt'>
}

const run = (model: unknown, { at = '**', ...options }: PromptOptions & { readonly at?: Selector }): unknown =>
  putRows(model, at, (place) => rowsFor(model, place, options))

/**
 * Puts trained rows before the token embeddings of every sequence, along the sequence axis.
 *
 * Logits get as many rows more, in front; positions, mask and context window count them.
 *
 * @throws TransformFailure `NoMatch`, `NotATarget`, `AlreadyAdapted`, `BadDimension`, `BadOption`, `BadSelector`,
 *   `ContextOverflow` for a prompt that leaves no room for text; of a text too long beside it, when the model runs.
 * @example
 * ```ts
 * import { count, freeze, pipe, prompt, sllm, key } from 'espalier'
 * const base = sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0))
 * count(pipe(base, freeze, prompt({ length: 14 }))).trainable // => 1_792
 * ```
 * @source Lester et al. 2021, "The Power of Scale for Parameter-Efficient Prompt Tuning", §2.
 */
export const prompt: Prompt = targeted<PromptOptions, 'prompt'>(run, {
  name: 'prompt',
  // What they must be depends on each other and on the embedding, and is checked there.
  options: { length: may(t.unknown), init: may(t.unknown) },
}) as Prompt
