import { formOf, innermost } from '../../tree/wrap.ts'
import { childrenOf, isBranch } from '../../tree/walk.ts'

/** How a module uses its weight: x·W, a row for each id, or x·Wᵀ with the table of the embedding. */
export type Use = 'linear' | 'embedding' | 'head'

/** A node of a model by the name that PyTorch has for it: our paths are the names of transformers. */
export interface Module {
  readonly path: string
  readonly tag: string
  /** Of a module whose weight an adapter can be put on. */
  readonly use?: Use
}

const useOf = (node: unknown, tag: unknown): Use | undefined => {
  const form = formOf((node as { readonly weight?: unknown }).weight)
  if (form === 'matrix') return 'linear'
  if (form !== 'table') return undefined
  return tag === 'TiedHead' ? 'head' : 'embedding'
}

/** The tag of a node, or undefined for what has none. */
export const tagOf = (node: unknown): unknown => (node as { readonly _tag?: unknown } | null)?._tag

/** Every module of a model, parents before children, as `named_modules` lists them. */
export const modulesOf = (model: unknown): readonly Module[] => {
  const visit = (node: unknown, path: string): readonly Module[] => {
    const bare = innermost(node)
    if (!isBranch(bare)) return []
    const tag = tagOf(bare)
    const use = useOf(bare, tag)
    return [
      { path, tag: typeof tag === 'string' ? tag : '', ...(use === undefined ? {} : { use }) },
      ...childrenOf(bare).flatMap(([key, child]) => visit(child, path === '' ? key : `${path}.${key}`)),
    ]
  }
  return visit(model, '').slice(1)
}
