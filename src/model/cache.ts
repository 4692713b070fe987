import { headOf, hiddenOf } from '../kind/index.ts'
import type { Ctx, Kinds, KeysValues, Model, Past, Tokens } from '../kind/index.ts'
import { compile, concat, ones, pad, scope, slice } from '../ops/index.ts'
import type { Compiled } from '../ops/index.ts'
import { preparation } from '../ops/internal.ts'
import type { Tensor } from '../tree/tensor.ts'
import { floats, present } from './masks.ts'

/** What one run of a model gives: logits [batch, vocab] of the next tokens, and what the cache keeps of all tokens up to them. */
export interface Ran {
  readonly logits: Tensor
  readonly past: Past
}

/** What a prompt's run says besides. */
export interface Begun extends Ran {
  /** How many rows stand before the tokens: of prefixes, which positions of the environment count; and of soft prompts. */
  readonly prefix: number
  readonly prompt: number
}

type Slots = (x: Tensor, axis: number) => Tensor

const mapPast = ({ layers, mask }: Past, length: number, f: Slots): Past => ({
  length,
  layers: layers.map(({ keys, values }) => ({ keys: f(keys, 2), values: f(values, 2) })),
  ...(mask === undefined ? {} : { mask: f(mask, 1) }),
})

const withoutFirst: Slots = (x, axis) =>
  slice(
    x,
    x.shape.map((_, i) => (i === axis ? 1 : 0)),
    x.shape.map((length, i) => (i === axis ? length - 1 : length)),
  )

const run = (model: Model, tokens: Tokens, ctx: Ctx): Begun => {
  const all: KeysValues[] = []
  const embedded = hiddenOf(model, tokens, { ...ctx, keep: (_, seen) => void all.push(seen) })
  const [batch = 0, length = 0, d = 0] = embedded.hidden.shape
  const last = slice(embedded.hidden, [0, length - 1, 0], [batch, 1, d])
  const known = (ctx.past?.length ?? 0) + length
  const whole = all[0]?.keys.shape[2] ?? known
  const prefix = whole - known
  const seen = present(embedded, ctx)
  // What a prefix puts before everything may be seen by all.
  const mask = seen === undefined || prefix === 0 ? seen : concat([ones([batch, prefix]), floats(seen)], 1)
  return {
    logits: headOf(model, last, ctx),
    past: { length: whole, layers: all, ...(mask === undefined ? {} : { mask }) },
    prefix,
    prompt: length - (tokens.ids.shape[1] ?? 0),
  }
}

/** The first run, over all that is known of the texts. */
export const begin = (model: Model, make: () => Tokens, ctx: Ctx): Begun => scope(() => run(model, make(), ctx))

/** How a step goes: the past gives up its first slot for the token at hand, or grows by it. */
type Step = (model: Model, tokens: Tokens, past: Past, slides: boolean, ctx: Omit<Ctx, 'kinds'>) => Ran

const stepOf =
  (kinds: Kinds): Step =>
  (model, tokens, past, slides, ctx) => {
    const { logits, past: longer } = run(model, tokens, { ...ctx, kinds, past, continued: true })
    return { logits, past: slides ? mapPast(longer, past.length, withoutFirst) : longer }
  }

interface Known {
  readonly kinds: Kinds
  readonly step: Compiled<Parameters<Step>, Ran>
}

// The one used last stands first. Models of the same kinds share one: what differs between them is in the signature.
let known: readonly Known[] = []

const sameKinds = (a: Kinds, b: Kinds): boolean =>
  Object.keys(a).length === Object.keys(b).length && Object.entries(a).every(([tag, kind]) => b[tag] === kind)

const compiledStep = (kinds: Kinds): Step => {
  const found = known.find((one) => sameKinds(one.kinds, kinds)) ?? {
    kinds,
    step: compile(stepOf(kinds), { keep: 8, pure: true }),
  }
  known = [found, ...known.filter((one) => one !== found)].slice(0, 4)
  return found.step
}

/** A cache, and how many of its first slots are unused. */
export interface Cache {
  readonly past: Past
  readonly spare: number
}

/** To make a graph takes as long as it saves in about so many tokens, measured with GPT-2 small. */
const worthwhile = 8
/** Room for a text of usual length at once; longer ones double theirs when it is full. */
const usual = 256

/**
 * With room for tokens to come, where steps run as graphs: a graph is for one length of the past, so few lengths there must be.
 *
 * Unused slots come first, hidden by the mask, so that the distance between what is used is what it would be without them.
 */
const roomy = ({ past, spare }: Cache, further: number): Cache => {
  if (spare > 0 || further < worthwhile || preparation() === undefined) return { past, spare }
  const room = 2 ** Math.ceil(Math.log2(Math.min(past.length + further, Math.max(usual, 2 * past.length))))
  const own = room - past.length
  const { mask = ones([past.layers[0]?.keys.shape[0] ?? 1, past.length]) } = past
  const before: Slots = (x, axis) =>
    pad(
      x,
      x.shape.map((_, i) => [i === axis ? own : 0, 0]),
    )
  return { past: mapPast({ ...past, mask: floats(mask) }, room, before), spare: own }
}

/** The run over one more token of each text; with it, at most `further` are to come. */
export const advance = (
  model: Model,
  cache: Cache,
  make: () => Tokens,
  environment: Ctx,
  further: number,
): Ran & Cache =>
  scope(() => {
    const { kinds, past: _past, positions: _positions, keep: _keep, ...ctx } = environment
    const { past, spare } = roomy(cache, further)
    const step = spare > 0 ? compiledStep(kinds) : stepOf(kinds)
    return { ...step(model, make(), past, spare > 0, ctx), spare: Math.max(0, spare - 1) }
  })
