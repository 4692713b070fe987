import {
  adapterOf,
  bake,
  bitfit,
  dequantize,
  detach,
  freeze,
  isParam,
  key,
  merge,
  norms,
  quantize,
  requantize,
  toLora,
  unfreeze,
  wear,
} from '../../../src/index.ts'
import { perturbed } from '../../../src/laws/index.ts'
import type { AnyTransform } from '../../../src/laws/index.ts'
import { Scaled } from '../table.ts'
import { nodeSteps } from './nodes.ts'
import { marked, namesParameter, onWeight } from './step.ts'
import type { PlanStep } from './step.ts'
import { weightSteps } from './weights.ts'
import { bare, changed, namesNode, nodesAt, rewritten, specsAt } from './world.ts'
import type { Attached, Spec, Status, World } from './world.ts'

interface Part {
  readonly only: { readonly unchecked: (o: { readonly at: string }) => unknown }
}

const wholeOrPart =
  (all: AnyTransform & Part): PlanStep['really'] =>
  (at) =>
    at === undefined ? all : (all.only.unchecked({ at }) as AnyTransform)

const marking = (recipe: string, all: unknown, status: Status): PlanStep => ({
  options: {},
  where: 'part',
  really: wholeOrPart(all as never),
  naively: (world, at) => (at === undefined || namesParameter(world, at) ? marked(world, at, status) : undefined),
  recipe,
  keepsOutputs: true,
})

const dense = (s: Spec): Spec => ({
  ...bare(s),
  packed: false,
  status: s.packed ? 'frozen' : s.status,
  original: false,
})

/** The rows that an encoder computes stand at its table: of all that it has, that alone is left. */
const rowsOf = (a: Attached): string => (a.tag === 'Prefixed' ? 'prefix' : 'prompt')
const isEncoded = (a: Attached | undefined): a is Attached =>
  a !== undefined && ['Prompted', 'Prefixed'].includes(a.tag) && Object.keys(a.own).length > 1

/** Rows in place of their encoder, as many and as wide as they are, with the status of its table. */
const baked = (a: Attached | undefined): Attached | undefined => {
  if (!isEncoded(a)) return a
  const rows = rowsOf(a)
  const { parameters, status } = a.own[rows]!
  // A table of the encoder of a prefix is as wide as the model; the prefix holds keys and values of 2 layers, 6 wide each.
  return {
    tag: a.tag,
    own: { [rows]: { parameters: a.tag === 'Prefixed' ? (parameters / 4) * 24 : parameters, status } },
  }
}

const isAttached = (world: World, at: string | undefined): boolean => specsAt(world, at).some((s) => s.adapter)

const merging: PlanStep = {
  options: {},
  where: 'part',
  really: wholeOrPart(merge.knowing({ Scaled })),
  naively: (world, at) => {
    const encoded = nodesAt(world, at).some((path) => isEncoded(world.nodes.get(path)))
    return at === undefined || isAttached(world, at) || encoded
      ? changed(world, at, (s) => (s.adapter ? dense(s) : s), baked)
      : undefined
  },
  // In recipes there is no telling it of a kind of one's own.
  keepsOutputs: true,
}

const baking: PlanStep = {
  options: {},
  where: 'whole',
  really: () => bake,
  naively: (world) => changed(world, undefined, (s) => s, baked),
  recipe: 'bake',
  keepsOutputs: true,
}

const detaching: PlanStep = {
  options: {},
  where: 'part',
  really: wholeOrPart(detach),
  naively: (world, at) => {
    const found = isAttached(world, at) || nodesAt(world, at).some((path) => world.nodes.get(path) !== undefined)
    return at === undefined || found ? changed(world, at, bare, () => undefined) : undefined
  },
  recipe: 'detach',
}

/** As training would: every trainable value becomes another, what is attached included. */
const training: PlanStep = {
  options: {},
  where: 'whole',
  really: (_, __, seed) => (model: never) =>
    perturbed<unknown>(model, key(seed), {
      style: 'float',
      only: (leaf) => isParam(leaf) && leaf.status === 'trainable',
    }),
  naively: (world) => changed(world, undefined, (s) => (s.status === 'trainable' ? { ...s, original: false } : s)),
}

/** An adapter put on its base again, whatever is trainable there, is what it was: what is trained is its own, the rest is frozen. */
const wearing: PlanStep = {
  options: {},
  where: 'whole',
  really: () => (model: never) => wear(adapterOf<unknown>(model))(unfreeze(detach(model))),
  naively: (world) => world,
  keepsOutputs: true,
}

const parentOf = (path: string): string => path.split('.').slice(0, -1).join('.')
const lastOf = (path: string): string => path.split('.').at(-1) ?? ''

/** A method that trains some of the parameters of the layers that a pattern names, and adds none. */
const onLayers = (recipe: string, make: (o: never) => unknown, has: (path: string) => boolean): PlanStep => ({
  options: {},
  where: 'at',
  really: (at = '**') => make({ at } as never) as AnyTransform,
  naively: (world, at) => {
    const taken = new Set([...world.parameters.keys()].filter((path) => has(path) && namesNode(at, parentOf(path))))
    if (taken.size === 0) return undefined
    return rewritten(world, (s, path) => (taken.has(path) ? { ...s, status: 'trainable' } : s))
  },
  recipe,
  keepsOutputs: true,
})

const isBias = (path: string): boolean => ['bias', 'shift'].includes(lastOf(path))
const isOfNorm = (path: string): boolean => ['scale', 'shift'].includes(lastOf(path))

const packed = (s: Spec): Spec => ({ ...s, packed: true, status: 'frozen', original: true })

const fits = ({ scheme, doubleQuant }: Readonly<Record<string, unknown>>): boolean =>
  scheme === undefined || scheme === 'nf4' || doubleQuant !== true

const quantizing: PlanStep = {
  options: { scheme: [undefined, 'nf4', 'int8', 'bf16', 'f16'], doubleQuant: [undefined, undefined, true] },
  where: 'at',
  really: (at = '**', options) => quantize.unchecked({ at, ...options }) as AnyTransform,
  naively: (world, at, options, byRecipe) => {
    const named = specsAt(world, at)
    const taken = named.filter((s) => s.form === 'matrix')
    // A recipe has one word for both.
    if (byRecipe && taken.length === 0 && named.some((s) => s.form === 'table'))
      return fits(options) ? quantizingTables.naively(world, at, options, byRecipe) : undefined
    const refused = !fits(options) || taken.some((s) => s.adapter !== undefined || s.packed)
    return taken.length === 0 || refused ? undefined : changed(world, at, (s) => (s.form === 'matrix' ? packed(s) : s))
  },
  recipe: 'quantize',
}

const words = 'embedding_block.token_embdgs'

const quantizingTables: PlanStep = {
  options: { scheme: [undefined, 'int8', 'bf16'] },
  where: 'at',
  really: (at = '**', options) => quantize.tables.unchecked({ at, ...options }) as AnyTransform,
  naively: (world, at) => {
    const { adapter, packed: already } = world.parameters.get(`${words}.weight`)!
    if (!namesNode(at, words) || adapter !== undefined || already) return undefined
    return rewritten(world, (s, path) => (path === `${words}.weight` ? packed(s) : s))
  },
  patterns: ['**', '**.token_embdgs', 'embedding_block', '**.weight'],
}

const dequantizing: PlanStep = {
  options: {},
  where: 'part',
  really: wholeOrPart(dequantize),
  naively: (world, at) =>
    at === undefined || specsAt(world, at).some((s) => s.packed)
      ? changed(world, at, (s) => (s.packed ? { ...s, packed: false, original: false } : s))
      : undefined,
  recipe: 'dequantize',
  keepsOutputs: true,
}

/** What stands on codes becomes codes again, other ones than there were. */
const requantizing: PlanStep = {
  options: {},
  where: 'whole',
  really: () => (model: never) => requantize(model, { Scaled }).model,
  naively: (world) => changed(world, undefined, (s) => (s.packed && s.adapter ? { ...bare(s), original: false } : s)),
}

const doubled = (a: Attached): Attached => onWeight('Lora', 2 * a.own['']!.parameters, a.own['']!.status)

/** A LoRA that began from a part of its weight as a plain one of twice the rank. */
const plainLora: PlanStep = {
  options: {},
  where: 'part',
  really: wholeOrPart(toLora),
  naively: (world, at) => {
    const isStarted = (s: Spec): boolean => s.adapter?.tag === 'LoraFrom'
    return at === undefined || specsAt(world, at).some(isStarted)
      ? changed(world, at, (s) => (isStarted(s) ? { ...s, adapter: doubled(s.adapter!) } : s))
      : undefined
  },
  keepsOutputs: true,
}

/**
 * Every transform with options. A method more is a line more: a weight method by what it adds to a weight [in, out], in
 * `weights.ts`; a method that wraps nodes in `nodes.ts`.
 */
export const steps: Readonly<Record<string, PlanStep>> = {
  freeze: marking('freeze', freeze, 'frozen'),
  unfreeze: marking('unfreeze', unfreeze, 'trainable'),
  merge: merging,
  bake: baking,
  detach: detaching,
  train: training,
  wear: wearing,
  bitfit: onLayers('bitfit', bitfit.unchecked, isBias),
  norms: onLayers('norms', norms.unchecked, isOfNorm),
  quantize: quantizing,
  quantizeTables: quantizingTables,
  dequantize: dequantizing,
  requantize: requantizing,
  toLora: plainLora,
  ...weightSteps,
  ...nodeSteps,
}
