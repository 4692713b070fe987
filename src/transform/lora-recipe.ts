import * as E from 'fp-ts/lib/Either.js'
import type { Key } from '../tree/key.ts'
import type { Query, Selector } from '../tree/select.ts'
import { targets } from '../tree/target.ts'
import { weightsOf } from './weight-places.ts'
import { lora } from './lora.ts'
import type { MatrixLoraOptions } from './lora.ts'
import type { Option } from './options.ts'
import { attempt, optionsOf } from './targeted.ts'

type Options = MatrixLoraOptions & { readonly at: Selector; readonly key: Key }
type Patterns = Readonly<Record<string, number>>

/** Whether a pattern names weights of a form; one that is adapted already is named all the same. */
const names = (model: unknown, at: Selector, form: 'matrix' | 'table'): boolean => {
  const found = attempt(() => targets(model, at, weightsOf(form)))
  return E.isRight(found) || found.left.some((issue) => issue._tag === 'AlreadyAdapted')
}

/** Each pattern of a selector by itself, and the selector that some of them make again. */
const patternsOf = (
  at: Selector,
): { readonly each: readonly Selector[]; readonly only: (some: readonly Selector[]) => Selector } => {
  if (Array.isArray(at)) return { each: at as readonly string[], only: (some) => some as readonly string[] }
  const glob = typeof at === 'object' && 'glob' in at ? at.glob : undefined
  if (!Array.isArray(glob)) return { each: [at], only: () => at }
  const query = at as Query
  return {
    each: (glob as readonly string[]).map((g) => ({ ...query, glob: g })),
    only: (some) => ({ ...query, glob: some.map((s) => (s as { readonly glob: string }).glob) }),
  }
}

/** The patterns of ranks or alphas that name what a part of the selection is made of. */
const patternsFor = (patterns: Patterns | undefined, passes: (glob: string) => boolean): Patterns | undefined => {
  const own = Object.entries(patterns ?? {}).filter(([glob]) => passes(glob))
  return own.length === 0 ? undefined : Object.fromEntries(own)
}

/**
 * LoRA as recipes have it: a pattern that names embedding tables and no matrix means those, any other means matrices.
 *
 * Code says `lora.embedding` for the first, since the compiler must know which weights a pattern takes.
 */
const whatever = ({ at, rankPattern, alphaPattern, ...rest }: Options) => {
  const { each, only } = patternsOf(at)
  return (model: unknown): unknown => {
    const isTable = (pattern: Selector): boolean => !names(model, pattern, 'matrix') && names(model, pattern, 'table')
    const tables = each.filter(isTable)
    if (tables.length === 0) return lora.unchecked({ at, rankPattern, alphaPattern, ...rest } as Options)(model)
    const some = (passes: (glob: string) => boolean): object => ({
      rankPattern: patternsFor(rankPattern, passes),
      alphaPattern: patternsFor(alphaPattern, passes),
    })
    // Dropout and another init than the usual are for matrices: where there are none, they are refused as unknown.
    const { rank, alpha, scaling, key } = rest
    const shared = tables.length === each.length ? rest : { rank, alpha, scaling, key }
    const onTables = lora.embedding.unchecked({ ...shared, ...some(isTable), at: only(tables) } as never)(model)
    const matrices = each.filter((pattern) => !tables.includes(pattern))
    return matrices.length === 0
      ? onTables
      : lora.unchecked({ ...rest, ...some((glob) => !isTable(glob)), at: only(matrices) })(onTables)
  }
}

/** `lora` for recipes. */
export const loraOfRecipes: {
  readonly unchecked: (options: Options) => (model: unknown) => unknown
  readonly '~options': Readonly<Record<string, Option>>
} = { unchecked: whatever, '~options': optionsOf(lora) }
