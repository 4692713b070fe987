import * as t from 'io-ts'
import { PositiveWhole } from '../kind/number-codecs.ts'
import type { Key } from '../tree/key.ts'
import { adalora } from './adalora.ts'
import { bake } from './bake.ts'
import { bitfit } from './bitfit.ts'
import { boft } from './boft.ts'
import { bottleneck } from './bottleneck.ts'
import { detach } from './detach.ts'
import { dora } from './dora.ts'
import { fourierft } from './fourierft.ts'
import { freeze, unfreeze } from './freeze.ts'
import { hra } from './hra.ts'
import { ia3OfRecipes } from './ia3.ts'
import { loftq } from './loftq.ts'
import { loha } from './loha.ts'
import { lokr } from './lokr.ts'
import { merge } from './merge.ts'
import { miss } from './miss.ts'
import { norms } from './norms.ts'
import { oft } from './oft.ts'
import { may, must, oneOf } from './options.ts'
import type { Option } from './options.ts'
import { prefix } from './prefix.ts'
import { prompt } from './prompt.ts'
import { ptuning } from './ptuning.ts'
import { dequantize } from './quantize.ts'
import { loraOfRecipes, quantizeOfRecipes } from './recipe-forms.ts'
import { optionsOf } from './targeted.ts'
import { tokens } from './tokens.ts'
import { vera } from './vera.ts'

const Globs = t.union([t.string, t.readonlyArray(t.string)], 'a pattern or a list of patterns')
// A mistyped key must not read as "no such condition", which would select everything.
const isKnown = (query: object): boolean => Object.keys(query).every((k) => ['glob', 'except', 'kind'].includes(k))
const At = t.union(
  [Globs, t.refinement(t.partial({ glob: Globs, except: Globs, kind: t.string }), isKnown)],
  'a pattern, a list of patterns, or { glob, except, kind }',
)

type Options = Readonly<Record<string, Option>>

/** One method of recipes: its options, and the transform they stand for. */
export interface RecipeMethod {
  readonly options: Options
  readonly step: (options: never, key: Key) => (model: never) => unknown
}

type Unchecked = (options: never) => (model: never) => unknown

/** A method for the whole of a model, or with `at` for a part of it. */
const part = (whole: (model: never) => unknown, only: { readonly unchecked: Unchecked }): RecipeMethod => ({
  options: { at: may(At) },
  step: (options: { readonly at?: unknown }) => (options.at === undefined ? whole : only.unchecked(options as never)),
})

/** A method with the options of its transform, for the places that `at` selects. */
const placed = (transform: { readonly unchecked: Unchecked }): RecipeMethod => ({
  options: { at: must(At), ...optionsOf(transform) },
  step: (options: object, key) => transform.unchecked({ ...options, key } as never),
})

/** The same, for every place there is unless `at` selects some. */
const anywhere = (transform: { readonly unchecked: Unchecked }, own: Options = {}): RecipeMethod => ({
  options: { at: may(At), ...optionsOf(transform), ...own },
  step: (options: object, key) => transform.unchecked({ at: '**', ...options, key } as never),
})

// A recipe holds no tokenizer, and a prompt no length of its own without one.
const PromptInit = t.union(
  [oneOf('random', 'vocabulary'), t.type({ ids: t.readonlyArray(t.number) })],
  "'random', 'vocabulary' or { ids }",
)

/** A method for a model as a whole. */
const whole = (transform: (options: never) => (model: never) => unknown): RecipeMethod => ({
  options: optionsOf(transform),
  step: (options: object, key) => transform({ ...options, key } as never),
})

/** Every method that a recipe may name. */
export const methods: Readonly<Record<string, RecipeMethod>> = {
  freeze: part(freeze, freeze.only),
  unfreeze: part(unfreeze, unfreeze.only),
  merge: part(merge, merge.only),
  detach: part(detach, detach.only),
  bake: { options: {}, step: () => bake },
  loftq: placed(loftq),
  quantize: placed(quantizeOfRecipes),
  dequantize: part(dequantize, dequantize.only),
  oft: placed(oft),
  boft: placed(boft),
  hra: placed(hra),
  bottleneck: anywhere(bottleneck),
  bitfit: anywhere(bitfit),
  norms: anywhere(norms),
  lora: placed(loraOfRecipes),
  dora: placed(dora),
  adalora: placed(adalora),
  loha: placed(loha),
  lokr: placed(lokr),
  vera: placed(vera),
  ia3: { options: { at: may(At), inputs: may(At), layers: may(At) }, step: ia3OfRecipes },
  fourierft: placed(fourierft),
  miss: placed(miss),
  tokens: anywhere(tokens),
  prompt: anywhere(prompt, { length: must(PositiveWhole), init: may(PromptInit) }),
  prefix: whole(prefix),
  ptuning: anywhere(ptuning),
}
