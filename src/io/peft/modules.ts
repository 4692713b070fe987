import { childrenOf, isBranch } from '../../tree/walk.ts'
import { innermost } from '../../tree/wrap.ts'

/** A node of a model by the name that PyTorch has for it: our paths are the names of transformers. */
export interface Module {
  readonly path: string
  readonly tag: string
}

/** The tag of a node, or undefined for what has none. */
export const tagOf = (node: unknown): unknown => (node as { readonly _tag?: unknown } | null)?._tag

/** Every module of a model, parents before children, as `named_modules` lists them. */
export const modulesOf = (model: unknown): readonly Module[] => {
  const visit = (node: unknown, path: string): readonly Module[] => {
    const bare = innermost(node)
    if (!isBranch(bare)) return []
    const tag = tagOf(bare)
    return [
      { path, tag: typeof tag === 'string' ? tag : '' },
      ...childrenOf(bare).flatMap(([key, child]) => visit(child, path === '' ? key : `${path}.${key}`)),
    ]
  }
  return visit(model, '').slice(1)
}
