import type { Kinds } from '../kind/index.ts'
import { modelKinds } from '../model/families.ts'
import { kinds } from '../nn/index.ts'

/** The kinds that a transform knows without being told: those of layers and those of our models. */
export const known: Kinds = { ...kinds, ...modelKinds }

/** The kind of a node that is of one of those. */
export const kindOf = (node: unknown): Kinds[string] | undefined => {
  const tag = (node as { readonly _tag?: unknown } | null)?._tag
  return typeof tag === 'string' && Object.hasOwn(known, tag) ? known[tag] : undefined
}
