import { headOf, hiddenOf } from '../kind/index.ts'
import type { Ctx, KeysValues, Model, Past, RoleOps, Tokens } from '../kind/index.ts'
import { context } from '../nn/index.ts'
import { concat, ones, read, release, scope, slice, tensor } from '../ops/index.ts'
import { EspalierError, issue } from '../tree/error.ts'
import type { Issue } from '../tree/error.ts'
import { fold, key as seedKey } from '../tree/key.ts'
import type { Key } from '../tree/key.ts'
import type { Tensor } from '../tree/tensor.ts'
import { innermost } from '../tree/wrap.ts'
import { modelKinds } from './families.ts'
import { floats } from './masks.ts'
import { requireInput } from './run.ts'
import { sample } from './sample.ts'
import type { Sampling } from './sample.ts'

/** How a text is continued. */
export interface GenerateOptions extends Sampling {
  /** The most tokens that are added. */
  readonly maxNewTokens: number
  /** Tokens after which a text is at its end; they are part of it. */
  readonly eos?: number | readonly number[]
  /** What draws are made by; each step and each text has its own. */
  readonly key?: Key
}

/** One step of a generation: the token that each text of the batch has got, or null for one that is at its end. */
export type GeneratedTokens = readonly (number | null)[]

const positive = (x: number): boolean => Number.isFinite(x) && x > 0
const whole = (x: number): boolean => Number.isSafeInteger(x) && x > 0

const checks: Readonly<Record<string, readonly [good: (x: number) => boolean, expected: string]>> = {
  maxNewTokens: [whole, 'a positive whole number'],
  temperature: [(x) => x === 0 || positive(x), 'a number >= 0'],
  topK: [whole, 'a positive whole number'],
  topP: [(x) => x > 0 && x <= 1, 'a number in (0, 1]'],
  repetitionPenalty: [positive, 'a positive number'],
}

const optionIssues = (options: GenerateOptions): readonly Issue[] =>
  Object.entries(checks).flatMap(([name, [good, expected]]) => {
    const value = (options as unknown as Readonly<Record<string, unknown>>)[name]
    const fits = typeof value === 'number' ? good(value) : value === undefined && name !== 'maxNewTokens'
    return fits ? [] : [issue('BadOption', name, expected, value, 'See GenerateOptions.')]
  })

/** What one run of the model gives: logits [batch, vocab] of the next tokens, and what the cache keeps of the tokens it was given. */
interface Ran {
  readonly logits: Tensor
  readonly past: Past
  /** How many rows stood before the tokens, such as those of a prompt. */
  readonly virtual: number
}

const joined = (past: Past | undefined, own: readonly KeysValues[], mask: Tensor | undefined): Past => {
  const layers = own.map(({ keys, values }, i) => {
    const before = past?.layers[i]
    return before === undefined
      ? { keys, values }
      : { keys: concat([before.keys, keys], 2), values: concat([before.values, values], 2) }
  })
  const length = layers[0]?.keys.shape[2] ?? 0
  return { length, layers, ...(mask === undefined ? {} : { mask }) }
}

const run = (model: Model, make: () => Tokens, ctx: Ctx): Ran =>
  scope(() => {
    const tokens = make()
    const kept: KeysValues[] = []
    const { hidden, mask } = hiddenOf(model, tokens, { ...ctx, keep: (own) => void kept.push(own) })
    const [batch = 0, length = 0, d = 0] = hidden.shape
    const last = slice(hidden, [0, length - 1, 0], [batch, 1, d])
    const logits = headOf(model, last, ctx)
    const before = ctx.past?.mask
    const own = mask ?? (before === undefined ? undefined : ones([batch, length]))
    const all = before === undefined || own === undefined ? own : concat([floats(before), floats(own)], 1)
    return { logits, past: joined(ctx.past, kept, all), virtual: length - (tokens.ids.shape[1] ?? 0) }
  })

/** How many tokens of each text are no padding, and where each token stands; undefined without padding. */
const placesOf = ({ ids, mask }: Tokens): { readonly counts: number[]; readonly places?: Int32Array } => {
  const [batch = 0, length = 0] = ids.shape
  const seen = mask === undefined ? undefined : read(mask)
  if (seen === undefined || seen.every((x) => x !== 0)) return { counts: Array.from({ length: batch }, () => length) }
  const places = new Int32Array(batch * length)
  const counts = Array.from({ length: batch }, (_, row) => {
    let count = 0
    for (let i = row * length; i < (row + 1) * length; i++) {
      places[i] = Math.max(0, count - (seen[i] === 0 ? 1 : 0))
      if (seen[i] !== 0) count++
    }
    return count
  })
  return { counts, places }
}

/** The tokens of each text, without padding. */
const textsOf = ({ ids, mask }: Tokens): number[][] => {
  const [batch = 0, length = 0] = ids.shape
  const [all, seen] = [read(ids), mask === undefined ? undefined : read(mask)]
  return Array.from({ length: batch }, (_, row) => {
    const from = row * length
    return [...all.subarray(from, from + length)].filter((__, i) => seen?.[from + i] !== 0)
  })
}

const standing = (places: Int32Array | undefined, shape: readonly number[]): Pick<Tokens, 'positions'> =>
  places === undefined ? {} : { positions: tensor(places, shape) }

/** Whatever wraps a model, it is asked what it says of itself: an encoder would run, and say nothing of the next token. */
const requireCausal = (model: Model, { kinds }: Ctx): void => {
  const { _tag: tag } = innermost(model) as Model
  const ops = Object.hasOwn(kinds, tag) ? (kinds[tag]?.ops as Partial<RoleOps<unknown>['model']>) : undefined
  if (ops?.causal !== true)
    throw new EspalierError([
      issue(
        'NotCausal',
        '',
        'a language model',
        tag,
        'Only a model whose head says the next token continues texts; a kind of your own says so by `causal: true`.',
      ),
    ])
}

const requireLeftPadding = ({ ids, mask }: Tokens): void => {
  const [batch = 0, length = 0] = ids.shape
  const seen = mask === undefined ? undefined : read(mask)
  const bad = Array.from({ length: batch }, (_, row) => row).find((row) => seen?.[row * length + length - 1] === 0)
  if (bad !== undefined)
    throw new EspalierError([
      issue(
        'RightPadding',
        `mask[${bad}]`,
        'padding on the left',
        'padding at the end',
        'A text is continued after its last token: pad on the left.',
      ),
    ])
}

/**
 * Continues texts token by token: yields, step by step, the next token of each text of a batch.
 *
 * `input` holds int32 ids [batch, tokens] and, for texts of different lengths, a mask with the padding on the left. Keys and
 * values of what was read are kept, so a step costs one token. Prompts and prefixes count once. Errors: `BadOption`,
 * `NotCausal` for a model without a vocabulary, `RightPadding`, `ContextOverflow`.
 *
 * @example
 * ```ts
 * import { generateTokens, gpt2, key } from 'espalier'
 * import { tensor } from 'espalier/ops'
 * const model = gpt2.init({ vocab_size: 50, n_positions: 16, n_embd: 8, n_layer: 2, n_head: 2 }, key(0))
 * const ids = tensor([[5, 7, 9]], undefined, 'int32')
 * const steps = [...generateTokens(model, { ids }, { maxNewTokens: 4, temperature: 0.8, topK: 10, key: key(1) })]
 * steps.length // => 4
 * ```
 * @source Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration", §3.1 (top-p); Keskar et al. 2019, "CTRL", §4.1
 *   (repetition penalty); the order in which they apply is that of transformers.
 */
export function* generateTokens(
  model: Model,
  input: Tensor | Tokens,
  options: GenerateOptions,
  ctx: Partial<Ctx> = {},
): Generator<GeneratedTokens, void, void> {
  const issues = optionIssues(options)
  if (issues.length > 0) throw new EspalierError(issues)
  const whole = context(ctx, modelKinds)
  requireCausal(model, whole)
  const tokens = requireInput(input)
  requireLeftPadding(tokens)
  const { maxNewTokens, eos = [], key = seedKey('generate'), ...sampling } = options
  const ends = new Set([eos].flat())
  const [batch = 0] = tokens.ids.shape
  const texts = textsOf(tokens)
  const done = texts.map(() => false)
  const { counts, places } = placesOf(tokens)
  let ran = run(model, () => ({ ...tokens, ...standing(places, tokens.ids.shape) }), whole)
  const { virtual } = ran
  try {
    for (let step = 0; step < maxNewTokens; step++) {
      const logits = read(ran.logits) as Float32Array
      const vocab = logits.length / batch
      const next = texts.map((text, row) => {
        if (done[row] === true) return null
        const token = sample(
          logits.subarray(row * vocab, (row + 1) * vocab),
          sampling,
          text,
          fold(fold(key, step), row),
        )
        text.push(token)
        if (ends.has(token)) done[row] = true
        return token
      })
      yield next
      if (done.every(Boolean) || step + 1 === maxNewTokens) return
      const before = ran
      const ids = Int32Array.from(next, (token) => token ?? [...ends][0] ?? 0)
      const stands = places === undefined ? undefined : Int32Array.from(counts, (n) => virtual + n + step)
      const make = (): Tokens => ({ ids: tensor(ids, [batch, 1]), ...standing(stands, [batch, 1]) })
      ran = run(model, make, { ...whole, past: before.past, continued: true })
      release(before, { keep: [ran, model, input] })
    }
  } finally {
    release(ran, { keep: [model, input] })
  }
}

/**
 * Continues texts: the new tokens of each, up to the end of the text or to `maxNewTokens`.
 *
 * Errors: those of `generateTokens`.
 *
 * @example
 * ```ts
 * import { generate, gpt2, key } from 'espalier'
 * import { tensor } from 'espalier/ops'
 * const model = gpt2.init({ vocab_size: 50, n_positions: 16, n_embd: 8, n_layer: 2, n_head: 2 }, key(0))
 * const [text = []] = generate(model, tensor([[5, 7, 9]], undefined, 'int32'), { maxNewTokens: 4 })
 * text.length // => 4
 * ```
 */
export const generate = (
  model: Model,
  input: Tensor | Tokens,
  options: GenerateOptions,
  ctx: Partial<Ctx> = {},
): readonly (readonly number[])[] => {
  const texts: number[][] = []
  for (const step of generateTokens(model, input, options, ctx))
    step.forEach((token, row) => {
      const text = (texts[row] ??= [])
      if (token !== null) text.push(token)
    })
  return texts
}
