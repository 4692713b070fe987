import * as E from 'fp-ts/lib/Either.js'
import type { Key } from '../tree/key.ts'
import type { Query, Selector } from '../tree/select.ts'
import { targets } from '../tree/target.ts'
import { weightsOf } from './weight-places.ts'
import { lora } from './lora.ts'
import type { MatrixLoraOptions } from './lora.ts'
import type { Option } from './options.ts'
import { quantize } from './quantize.ts'
import type { QuantizeOptions } from './quantize.ts'
import { attempt, optionsOf } from './targeted.ts'

type LoraOfBoth = MatrixLoraOptions & { readonly at: Selector; readonly key: Key }
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

/**
 * The parts of a selector for matrices and for tables: a pattern that names embedding tables and no matrix means those, any
 * other means matrices.
 *
 * Code has a word of its own for tables, since the compiler must know which weights a pattern takes; a recipe has one for both.
 */
const byForm = (model: unknown, at: Selector) => {
  const { each, only } = patternsOf(at)
  const isTable = (pattern: Selector): boolean => !names(model, pattern, 'matrix') && names(model, pattern, 'table')
  const tables = each.filter(isTable)
  const matrices = each.filter((pattern) => !tables.includes(pattern))
  return {
    isTable,
    tables: tables.length === 0 ? undefined : only(tables),
    matrices: tables.length === 0 ? at : matrices.length === 0 ? undefined : only(matrices),
  }
}

/** The patterns of ranks or alphas that name what a part of the selection is made of. */
const patternsFor = (patterns: Patterns | undefined, passes: (glob: string) => boolean): Patterns | undefined => {
  const own = Object.entries(patterns ?? {}).filter(([glob]) => passes(glob))
  return own.length === 0 ? undefined : Object.fromEntries(own)
}

const loraOnBoth =
  ({ at, rankPattern, alphaPattern, ...rest }: LoraOfBoth) =>
  (model: unknown): unknown => {
    const { isTable, tables, matrices } = byForm(model, at)
    if (tables === undefined) return lora.unchecked({ at, rankPattern, alphaPattern, ...rest } as LoraOfBoth)(model)
    const some = (passes: (glob: string) => boolean): object => ({
      rankPattern: patternsFor(rankPattern, passes),
      alphaPattern: patternsFor(alphaPattern, passes),
    })
    // Dropout and another init than the usual are for matrices: where there are none, they are refused as unknown.
    const { rank, alpha, scaling, key } = rest
    const shared = matrices === undefined ? rest : { rank, alpha, scaling, key }
    const onTables = lora.embedding.unchecked({ ...shared, ...some(isTable), at: tables } as never)(model)
    return matrices === undefined
      ? onTables
      : lora.unchecked({ ...rest, ...some((glob) => !isTable(glob)), at: matrices })(onTables)
  }

const quantizeBoth =
  ({ at, ...how }: QuantizeOptions & { readonly at: Selector }) =>
  (model: unknown): unknown => {
    const { tables, matrices } = byForm(model, at)
    const onTables = tables === undefined ? model : quantize.tables.unchecked({ ...how, at: tables })(model)
    return matrices === undefined ? onTables : quantize.unchecked({ ...how, at: matrices })(onTables)
  }

/** A transform as recipes have it. */
interface OfRecipes<O> {
  readonly unchecked: (options: O & { readonly at: Selector }) => (model: unknown) => unknown
  readonly '~options': Readonly<Record<string, Option>>
}

/** `lora` for recipes. */
export const loraOfRecipes: OfRecipes<LoraOfBoth> = { unchecked: loraOnBoth, '~options': optionsOf(lora) }
/** `quantize` for recipes. */
export const quantizeOfRecipes: OfRecipes<QuantizeOptions> = {
  unchecked: quantizeBoth,
  '~options': optionsOf(quantize),
}
