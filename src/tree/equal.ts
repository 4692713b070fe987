import { isTensor } from './tensor.ts'
import type { Tensor } from './tensor.ts'
import { isBranch, isLeafOrHole } from './walk.ts'

/**
 * Structural equality of trees: tags, labels, status and plain data, with tensors compared as told.
 *
 * @example
 * ```ts
 * import { equalBy, param } from 'espalier'
 * import { ones, zeros } from 'espalier/ops'
 * const sameShape = equalBy((a, b) => a.shape.join() === b.shape.join())
 * sameShape(param('vector', 'w', zeros([2])), param('vector', 'w', ones([2]))) // => true
 * ```
 */
export const equalBy =
  (sameTensor: (a: Tensor, b: Tensor) => boolean) =>
  (a: unknown, b: unknown): boolean => {
    if (Object.is(a, b)) return true
    if (isTensor(a) || isTensor(b)) return isTensor(a) && isTensor(b) && sameTensor(a, b)
    if (!isRecord(a) || !isRecord(b) || Array.isArray(a) !== Array.isArray(b)) return false
    const [ka, kb] = [Object.keys(a), Object.keys(b)]
    return ka.length === kb.length && ka.every((k) => k in b && equalBy(sameTensor)(a[k], b[k]))
  }

const isRecord = (x: unknown): x is Readonly<Record<string, unknown>> => isBranch(x) || isLeafOrHole(x)

/**
 * Structural equality with tensors compared by reference: true means that nothing was copied.
 *
 * @example
 * ```ts
 * import { freeze, sameStructure, sllm, key } from 'espalier'
 * const base = sllm.init({ ...sllm.config.seed, vocab_size: 9 }, key(0))
 * sameStructure(freeze(base), freeze(base)) // => true
 * sameStructure(base, sllm.init({ ...sllm.config.seed, vocab_size: 9 }, key(0))) // => false
 * ```
 */
export const sameStructure: (a: unknown, b: unknown) => boolean = equalBy((a, b) => a === b)
