import type { Ctx, Model, RoleOps, Tokens } from '../kind/index.ts'
import { context } from '../nn/index.ts'
import { read, release } from '../ops/index.ts'
import { EspalierError, explained, issue } from '../tree/error.ts'
import type { Issue } from '../tree/error.ts'
import { fold, key as seedKey } from '../tree/key.ts'
import type { Key } from '../tree/key.ts'
import type { Tensor } from '../tree/tensor.ts'
import { innermost } from '../tree/wrap.ts'
import { advance, begin } from './cache.ts'
import type { Cache, Ran } from './cache.ts'
import { modelKinds } from './families.ts'
import { requireInput } from './run.ts'
import { sample } from './sample.ts'
import type { Sampling } from './sample.ts'
import { standing } from './standing.ts'

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

const isPositive = (x: number): boolean => Number.isFinite(x) && x > 0
const isCount = (x: number): boolean => Number.isSafeInteger(x) && x > 0

const checks: Readonly<Record<string, readonly [good: (x: number) => boolean, expected: string]>> = {
  maxNewTokens: [isCount, 'a positive whole number'],
  temperature: [(x) => x === 0 || isPositive(x), 'a number >= 0'],
  topK: [isCount, 'a positive whole number'],
  topP: [(x) => x > 0 && x <= 1, 'a number in (0, 1]'],
  repetitionPenalty: [isPositive, 'a positive number'],
}

const optionIssues = (options: GenerateOptions): readonly Issue[] =>
  Object.entries(checks).flatMap(([name, [good, expected]]) => {
    const value = (options as unknown as Readonly<Record<string, unknown>>)[name]
    const fits = typeof value === 'number' ? good(value) : value === undefined && name !== 'maxNewTokens'
    return fits ? [] : [issue('BadOption', name, expected, value, 'See GenerateOptions.')]
  })

/** Whether all that is wrong is that the model has no room for so long a text. @internal */
export const isOverflow = (error: unknown): boolean =>
  error instanceof EspalierError && error.issues.every(({ _tag }) => _tag === 'ContextOverflow')

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

/**
 * Continues texts token by token: yields, step by step, the next token of each text of a batch.
 *
 * `input` holds int32 ids [batch, tokens] and, for texts of different lengths, a mask with the padding on the left. Keys and
 * values of what was read are kept, so a step costs one token. Prompts and prefixes count once. New tokens stand behind the
 * last of `positions` and are of its segment in `types`, where those are given; a text that the model has no room for is at
 * its end, and the others go on. Errors: `BadOption`, `NotCausal` for a model without a vocabulary, `RightPadding`,
 * `NonFinite` with step and row for logits that are no numbers, and, once all texts are at their end, `ContextOverflow` if
 * that was one's.
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
  const environment = context(ctx, modelKinds)
  requireCausal(model, environment)
  const tokens = requireInput(input)
  const { texts, first, following, lastAfter } = standing(tokens, environment)
  const { maxNewTokens, eos = [], key = seedKey('generate'), ...sampling } = options
  const ends = new Set([eos].flat())
  const done = texts.map(() => false)
  const begun = begin(model, first, environment)
  let last = lastAfter(begun)
  let overflow: unknown
  const further = (cache: Cache, chosen: GeneratedTokens, left: number): Ran & Cache => {
    const ids = Int32Array.from(chosen, (token) => token ?? [...ends][0] ?? 0)
    for (;;) {
      // A text at its end stays where it is, or it would need room that only the others have.
      const stands = last.map((at, row) => (done[row] === true ? at : at + 1))
      try {
        const more = advance(model, cache, () => following(ids, stands), environment, left)
        last = stands
        return more
      } catch (error) {
        if (!isOverflow(error)) throw error
        overflow = error
        const furthest = Math.max(...stands.filter((_, row) => done[row] !== true))
        for (const [row, at] of stands.entries()) if (at === furthest) done[row] = true
        if (done.every(Boolean)) throw error
      }
    }
  }
  let ran: Ran & Cache = { ...begun, spare: 0 }
  const keep = [model, input, ctx.past]
  try {
    for (let step = 1; ; step++) {
      const logits = read(ran.logits) as Float32Array
      const vocab = logits.length / texts.length
      const next = texts.map((text, row) => {
        if (done[row] === true) return null
        const own = logits.subarray(row * vocab, (row + 1) * vocab)
        const token = explained(
          () => sample(own, sampling, text, fold(fold(key, step - 1), row)),
          (i) => ({ ...i, path: `step ${step}, row ${row}` }),
        )
        text.push(token)
        if (ends.has(token)) done[row] = true
        return token
      })
      yield next
      if (done.every(Boolean) || step === maxNewTokens) break
      const old = ran
      ran = further(old, next, maxNewTokens - step)
      release(old, { keep: [ran, ...keep] })
    }
    if (overflow !== undefined) throw overflow
  } finally {
    release(ran, { keep })
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
