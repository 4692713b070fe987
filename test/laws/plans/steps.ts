import {
  attach,
  boft,
  detach,
  freeze,
  hra,
  isParam,
  key,
  lora,
  merge,
  oft,
  prompt,
  unfreeze,
} from '../../../src/index.ts'
import { perturbed } from '../../../src/laws/index.ts'
import type { AnyTransform } from '../../../src/laws/index.ts'
import { Scaled } from '../table.ts'
import { bare, changed, nodesAt, specsAt } from './world.ts'
import type { Attached, Spec, Status, World } from './world.ts'

/** Options as a plan draws them: one of a few values each. */
export type Choices = Readonly<Record<string, readonly unknown[]>>
export type Options = Readonly<Record<string, number>>

/** A transform that plans are drawn from: what it is, and what it does to a world; undefined where it must refuse. */
export interface PlanStep {
  readonly options: Choices
  readonly really: (at: string | undefined, options: Options, seed: number) => AnyTransform
  readonly naively: (world: World, at: string | undefined, options: Options) => World | undefined
  /** Whether a recipe knows it by its name. */
  readonly inRecipes: boolean
  /** Whether outputs stay, but for rounding, whenever it is taken. */
  readonly keepsOutputs?: boolean
  /** The tag of a weight that merge makes dense again. */
  readonly merges?: string
}

interface Part {
  readonly only: { readonly unchecked: (o: { readonly at: string }) => unknown }
}

const wholeOrPart =
  (all: AnyTransform & Part): PlanStep['really'] =>
  (at) =>
    at === undefined ? all : (all.only.unchecked({ at }) as AnyTransform)

const marking = (all: unknown, status: Status): PlanStep => ({
  options: {},
  really: wholeOrPart(all as never),
  naively: (world, at) =>
    changed(
      world,
      at,
      (s) => ({ ...s, status, ...(s.adapter && { adapter: { ...s.adapter, status } }) }),
      (a) => a && { ...a, status },
    ),
  inRecipes: true,
  keepsOutputs: true,
})

const isAttached = (world: World, at: string | undefined): boolean => specsAt(world, at).some((s) => s.adapter)

const merging: PlanStep = {
  options: {},
  really: wholeOrPart(merge.knowing({ Scaled })),
  naively: (world, at) =>
    at === undefined || isAttached(world, at)
      ? changed(world, at, (s) => (s.adapter ? { ...bare(s), original: false } : s))
      : undefined,
  // In recipes there is no telling it of a kind of one's own.
  inRecipes: false,
  keepsOutputs: true,
}

const detaching: PlanStep = {
  options: {},
  really: wholeOrPart(detach),
  naively: (world, at) => {
    const found = isAttached(world, at) || nodesAt(world, at).some((path) => world.nodes.get(path) !== undefined)
    return at === undefined || found ? changed(world, at, bare, () => undefined) : undefined
  },
  inRecipes: true,
}

const trainable = (tag: string, parameters: number): Attached => ({ tag, parameters, status: 'trainable' })

/** What of a weight method a plan must know: its tag, what it adds to a weight, and which weights it cannot take. */
interface WeightMethod<O> {
  readonly tag: string
  readonly make: (o: never) => unknown
  readonly options: Choices
  /** Parameters added to a weight [in, out], by the method's own formula. */
  readonly adds: (shape: readonly [inputs: number, outputs: number], options: O) => number
  readonly fits?: (shape: readonly [inputs: number, outputs: number], options: O) => boolean
  readonly form?: Spec['form']
  readonly changes?: boolean
  readonly inRecipes?: boolean
}

/** A method that wraps weights: all that a pattern names, or none. */
const onWeights = <O>({
  tag,
  make,
  options,
  adds,
  fits = () => true,
  form = 'matrix',
  changes = false,
  inRecipes = true,
}: WeightMethod<O>): PlanStep => ({
  options,
  really: (at = '**', drawn, seed) =>
    make({ at, ...drawn, ...(inRecipes && { key: key(seed) }) } as never) as AnyTransform,
  naively: (world, at, drawn) => {
    const shapeOf = (s: Spec) => s.shape as readonly [number, number]
    const taken = specsAt(world, at).filter((s) => s.form === form)
    if (taken.length === 0 || taken.some((s) => s.adapter || !fits(shapeOf(s), drawn as O))) return undefined
    return changed(world, at, (s) =>
      s.form === form ? { ...s, adapter: trainable(tag, adds(shapeOf(s), drawn as O)) } : s,
    )
  },
  inRecipes,
  keepsOutputs: !changes,
  merges: tag,
})

/** A method that wraps nodes, such as an embedding: `parameters` each. */
const onNodes = (
  tag: string,
  make: (o: never) => unknown,
  options: Choices,
  takes: (path: string) => boolean,
  parameters: (options: Options) => number,
): PlanStep => ({
  options,
  really: (at = '**', drawn, seed) => make({ at, ...drawn, key: key(seed) } as never) as AnyTransform,
  naively: (world, at, drawn) => {
    const taken = nodesAt(world, at).filter(takes)
    if (taken.length === 0 || taken.some((path) => world.nodes.get(path) !== undefined)) return undefined
    return {
      ...world,
      nodes: new Map(
        [...world.nodes].map(([path, a]) => [path, taken.includes(path) ? trainable(tag, parameters(drawn)) : a]),
      ),
    }
  },
  inRecipes: true,
})

/** As training would: every trainable value becomes another, what is attached included. */
const training: PlanStep = {
  options: {},
  really: (_, __, seed) => (model: never) =>
    perturbed<unknown>(model, key(seed), {
      style: 'float',
      only: (leaf) => isParam(leaf) && leaf.status === 'trainable',
    }),
  naively: (world) => changed(world, undefined, (s) => (s.status === 'trainable' ? { ...s, original: false } : s)),
  inRecipes: false,
}

const isWords = (path: string): boolean => path === 'embedding_block.token_embdgs'

/**
 * Every transform with options. A method more is a line more here: a weight method by what it adds to a weight [in, out]; a
 * method that wraps nodes also names those in `start.nodes`.
 */
export const steps: Readonly<Record<string, PlanStep>> = {
  freeze: marking(freeze, 'frozen'),
  unfreeze: marking(unfreeze, 'trainable'),
  merge: merging,
  detach: detaching,
  train: training,
  lora: onWeights<{ rank: number }>({
    tag: 'Lora',
    make: lora.unchecked,
    options: { rank: [1, 3], alpha: [1, 0.5], scaling: ['alpha', 'alpha/rank'] },
    adds: ([i, o], { rank }) => rank * (i + o),
  }),
  oft: onWeights<{ blockSize: number }>({
    tag: 'Oft',
    make: oft.unchecked,
    options: { blockSize: [2, 3, 4] },
    adds: ([i], { blockSize: b }) => (i / b) * ((b * (b - 1)) / 2),
    fits: ([i], { blockSize }) => i % blockSize === 0,
  }),
  boft: onWeights<{ blockSize: number; factors: number }>({
    tag: 'Boft',
    make: boft.unchecked,
    options: { blockSize: [2, 2, 3], factors: [1, 2] },
    adds: ([i, o], { blockSize: b, factors }) => factors * (i / b) * b * b + o,
    fits: ([i], { blockSize: b, factors }) => i % (b * 2 ** (factors - 1)) === 0 && (factors === 1 || b % 2 === 0),
  }),
  hra: onWeights<{ rank: number }>({
    tag: 'Hra',
    make: hra.unchecked,
    options: { rank: [2, 3, 4] },
    adds: ([i], { rank }) => rank * i,
    fits: (_, { rank }) => rank % 2 === 0,
  }),
  scaled: onWeights<object>({
    tag: 'Scaled',
    make: attach(Scaled).unchecked,
    options: {},
    adds: ([, o]) => o,
    inRecipes: false,
  }),
  prompt: onNodes(
    'Prompted',
    prompt.unchecked,
    { length: [1, 2], init: ['random', 'vocabulary'] },
    isWords,
    ({ length }) => 4 * (length ?? Number.NaN),
  ),
}
