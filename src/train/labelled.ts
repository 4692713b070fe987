import { scope } from '../ops/index.ts'
import { isTensor } from '../tree/tensor.ts'
import type { Tensor } from '../tree/tensor.ts'

/** Tensors by label: gradients, moments and updates, where a tied parameter is there once. */
export type Labelled = Readonly<Record<string, Tensor>>

/** Each tensor mapped, with its label; what is computed on the way is freed one label at a time. @internal */
export const mapLabelled = (all: Labelled, f: (tensor: Tensor, label: string) => Tensor): Labelled =>
  Object.fromEntries(Object.entries(all).map(([label, tensor]) => [label, scope(() => f(tensor, label))]))

/** Two plain values of one structure, combined tensor by tensor; what is no tensor is taken from the first. @internal */
export const zipTensors = <T>(a: T, b: T, f: (a: Tensor, b: Tensor) => Tensor): T => {
  const go = (x: unknown, y: unknown): unknown => {
    if (isTensor(x)) return f(x, y as Tensor)
    if (Array.isArray(x)) return x.map((child, i) => go(child, (y as readonly unknown[])[i]))
    if (typeof x !== 'object' || x === null) return x
    return Object.fromEntries(Object.entries(x).map(([k, child]) => [k, go(child, (y as Record<string, unknown>)[k])]))
  }
  return go(a, b) as T
}
