import type { AnyTransform } from '../../../src/laws/index.ts'
import { key } from '../../../src/index.ts'
import { below, changed, named, nodesAt, rewritten, specsAt } from './world.ts'
import type { Attached, Own, Spec, World } from './world.ts'

/** Options as a plan draws them: one of a few values each, and `undefined` for one that is not given. */
export type Choices = Readonly<Record<string, readonly unknown[]>>
export type Options = Readonly<Record<string, unknown>>

/** A transform that plans are drawn from: what it is, and what it does to a world; undefined where it must refuse. */
export interface PlanStep {
  readonly options: Choices
  readonly really: (at: string | undefined, options: Options, seed: number) => AnyTransform
  readonly naively: (world: World, at: string | undefined, options: Options, byRecipe: boolean) => World | undefined
  /** The name that recipes know it by, if they do. */
  readonly recipe?: string
  /** Whether it must be told where, is told for a part, or is for the model as a whole. */
  readonly where: 'at' | 'part' | 'whole'
  /** The patterns it is drawn with; any unless told. */
  readonly patterns?: readonly string[]
  /** Whether outputs stay, but for rounding, whenever it is taken. */
  readonly keepsOutputs?: boolean
  /** The tag of a weight that merge makes dense again. */
  readonly merges?: string
}

export const trainable = (parameters: number): Own => ({ parameters, status: 'trainable' })

export const attached = (tag: string, own: Readonly<Record<string, number>>): Attached => ({
  tag,
  own: Object.fromEntries(Object.entries(own).map(([path, n]) => [path, trainable(n)])),
})

/** What wraps a weight is named, frozen and trained as one. */
export const onWeight = (tag: string, parameters: number, status: Own['status'] = 'trainable'): Attached => ({
  tag,
  own: { '': { parameters, status } },
})

export type Shape = readonly [inputs: number, outputs: number]
export const shapeOf = (s: Spec): Shape => s.shape as Shape

/** What of a weight method a plan must know: its tag, what it adds to a weight, and which weights it cannot take. */
interface WeightMethod<O> {
  readonly tag: string
  readonly make: (o: never) => unknown
  readonly options: Choices
  /** Parameters added to a weight [in, out], by the method's own formula. */
  readonly adds: (shape: Shape, options: O) => number
  readonly fits?: (shape: Shape, options: O) => boolean
  readonly form?: Spec['form']
  /** Whether a fresh one changes outputs. */
  readonly changes?: boolean
  /** What becomes of the weight itself, such as a rounding; undefined where it cannot be taken. */
  readonly base?: (s: Spec) => Spec | undefined
  readonly recipe?: string
  readonly patterns?: readonly string[]
  /** Whether it takes a key. */
  readonly drawn?: boolean
  /** The form that a recipe takes in place of `form`, by what is named. */
  readonly formOfRecipe?: (taken: readonly Spec[]) => Spec['form']
}

/** A method that wraps weights: all that a pattern names, or none. */
export const onWeights = <O>(method: WeightMethod<O>): PlanStep => {
  const { tag, make, options, adds, fits = () => true, changes = false, base = (s) => s, drawn = true } = method
  return {
    options,
    where: 'at',
    really: (at = '**', given, seed) =>
      make({ at, ...given, ...(drawn && { key: key(seed) }) } as never) as AnyTransform,
    naively: (world, at, given, byRecipe) => {
      const named = specsAt(world, at)
      const form = (byRecipe && method.formOfRecipe?.(named)) || (method.form ?? 'matrix')
      const taken = named.filter((s) => s.form === form)
      const refuses = (s: Spec): boolean =>
        s.adapter !== undefined || !fits(shapeOf(s), given as O) || base(s) === undefined
      if (taken.length === 0 || taken.some(refuses)) return undefined
      return changed(world, at, (s) =>
        s.form === form ? { ...base(s)!, adapter: onWeight(tag, adds(shapeOf(s), given as O)) } : s,
      )
    },
    ...(method.recipe !== undefined && { recipe: method.recipe }),
    ...(method.patterns && { patterns: method.patterns }),
    keepsOutputs: !changes,
    merges: tag,
  }
}

/** What of a method that wraps nodes a plan must know: which nodes, and what it adds to each. */
interface NodeMethod<O> {
  readonly tag: string
  readonly make: (o: never) => unknown
  readonly options: Choices
  readonly takes: (path: string, options: O) => boolean
  /** Parameters added to a node, by their paths below it. */
  readonly adds: (options: O) => Readonly<Record<string, number>>
  readonly fits?: (options: O) => boolean
  readonly recipe: string
  readonly where?: PlanStep['where']
  readonly patterns?: readonly string[]
  readonly keepsOutputs?: boolean
}

/** A method that wraps nodes, such as an embedding or the model itself. */
export const onNodes = <O>(method: NodeMethod<O>): PlanStep => {
  const { tag, make, options, takes, adds, fits = () => true, recipe, where = 'at', keepsOutputs = false } = method
  return {
    options,
    where,
    really: (at = '**', given, seed) =>
      make({ ...(where !== 'whole' && { at }), ...given, key: key(seed) } as never) as AnyTransform,
    naively: (world, at, given) => {
      const taken = nodesAt(world, where === 'whole' ? undefined : at).filter((path) => takes(path, given as O))
      const refused = taken.some((path) => world.nodes.get(path) !== undefined) || !fits(given as O)
      if (taken.length === 0 || refused) return undefined
      return rewritten(
        world,
        (s) => s,
        (a, path) => (taken.includes(path) ? attached(tag, adds(given as O)) : a),
      )
    },
    recipe,
    ...(method.patterns && { patterns: method.patterns }),
    keepsOutputs,
  }
}

/** Everything that a pattern names with another status, each thing attached by its own path. */
export const marked = (
  world: World,
  at: string | undefined,
  status: Own['status'],
  which: (path: string, s?: Spec) => boolean = () => true,
): World => {
  const mark = (path: string, a: Attached): Attached => ({
    ...a,
    own: Object.fromEntries(
      Object.entries(a.own).map(([name, own]) => {
        const here = below(path, name)
        return [name, named(at)(here) && which(here) ? { ...own, status } : own]
      }),
    ),
  })
  return rewritten(
    world,
    (s, path) => {
      const own = { ...s, ...(s.adapter && { adapter: mark(path, s.adapter) }) }
      return named(at)(path) && which(path, s) && !s.packed ? { ...own, status } : own
    },
    (a, path) => a && mark(path, a),
  )
}

/** Whether a pattern names a parameter, of the base or of what is attached; packed weights are none. */
export const namesParameter = (world: World, at: string | undefined): boolean =>
  specsAt(world, at).some((s) => !s.packed || s.adapter !== undefined) ||
  [...world.nodes].some(([path, a]) => Object.keys(a?.own ?? {}).some((name) => named(at)(below(path, name))))
