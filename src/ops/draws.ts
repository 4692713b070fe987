import { fold, type Key, threefry } from '../tree/key.ts'
import type { NodeAttrs } from './op.ts'

/** What the masks of dropout are drawn by. @internal */
export type DropoutAttrs = { readonly rate: number; readonly hi: number; readonly lo: number }

/** The key of a call, or that which its seed is drawn under. */
const baseOf = ({ hi, lo }: DropoutAttrs, seeded: boolean): Key => {
  const own: Key = { _tag: 'Key', hi, lo }
  return seeded ? fold(own, 'dropout seed') : own
}

/** The key of a call, with what its seed adds. @internal */
export const keyOf = (attrs: DropoutAttrs, seed: ArrayLike<number> | undefined): Key => {
  const base = baseOf(attrs, seed !== undefined)
  if (seed === undefined) return base
  const [high, low] = threefry(base.hi, base.lo, seed[0]!, seed[1]!)
  return { _tag: 'Key', hi: high, lo: low }
}

/** Whether dropout at this rate leaves the element that drew this word. @internal */
export const isKept = (word: number, rate: number): boolean => word >= rate * 2 ** 32

/** What a kernel of ours is told: how many of the 2³² words drop an element, and the key. @internal */
export const drawAttrs = (attrs: DropoutAttrs, seeded: boolean): NodeAttrs => {
  const { hi, lo } = baseOf(attrs, seeded)
  return { NS: seeded ? 1 : 0, dropped: Math.ceil(attrs.rate * 2 ** 32), hi, lo }
}

/** The lowest of the 2³² words that keeps its element. @internal */
export const droppedBelow = (rate: number): number => Math.min(Math.ceil(rate * 2 ** 32), 2 ** 32 - 1)
