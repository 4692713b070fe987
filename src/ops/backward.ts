import { fail } from '../tree/error.ts'
import type { Tensor } from '../tree/tensor.ts'
import { add } from './defs/elementwise.ts'
import type { Entry, Tape } from './interpreters.ts'
import { isHeld } from './interpreters.ts'
import { isOwned, scope } from './memory.ts'
import { asTf } from './tf.ts'

/**
 * Walks a tape back from its value, and gives the cotangent of every tensor that was tracked from the start.
 *
 * Must run in the scope that the forward pass ran in: what nothing needs any more is freed on the way, so that
 * the peak is the forward pass's own.
 *
 * @internal
 */
export const backward = (tape: Tape, value: Tensor, seed: Tensor): ReadonlyMap<Tensor, Tensor> => {
  const users = countUsers()
  const cotangents = new Map<Tensor, Tensor>()
  for (const { inputs, output } of tape.entries) users.add(...inputs, output)
  users.add(value, seed)
  if (tape.tracked.has(value)) cotangents.set(value, seed)

  const accumulate = (x: Tensor, cotangent: Tensor): void => {
    const before = cotangents.get(x)
    const sum = before === undefined ? cotangent : add(before, cotangent)
    cotangents.set(x, sum)
    users.add(sum)
    if (before !== undefined) users.remove(before)
  }

  for (let entry = tape.entries.pop(); entry !== undefined; entry = tape.entries.pop()) {
    const { inputs, output } = entry
    const dy = cotangents.get(output)
    if (dy !== undefined) {
      const needs = inputs.map((input) => tape.tracked.has(input))
      const parts = ofInputs(entry, dy, needs)
      const made = parts.filter((part) => part !== null)
      users.add(...made)
      inputs.forEach((input, i) => {
        const part = parts[i]
        if (needs[i] && part) accumulate(input, part)
      })
      cotangents.delete(output)
      users.remove(dy, ...made)
    }
    users.remove(...inputs, output)
  }
  return cotangents
}

/** How many still need each tensor; the last one to let go of one frees it, if this scope owns it. */
const countUsers = () => {
  const counts = new Map<Tensor, number>()
  return {
    add: (...tensors: readonly Tensor[]): void => {
      for (const t of tensors) counts.set(t, (counts.get(t) ?? 0) + 1)
    },
    remove: (...tensors: readonly Tensor[]): void => {
      for (const t of tensors) {
        const left = counts.get(t)! - 1
        counts.set(t, left)
        // An outer tape may differentiate this very pass.
        if (left === 0 && isOwned(t) && !isHeld(t)) asTf(t).dispose()
      }
    },
  }
}

const ofInputs = ({ op, inputs, attrs, output }: Entry, dy: Tensor, needs: readonly boolean[]) => {
  const rule = op.vjp
  if (rule === undefined) return noGradient(op.name)
  const parts = scope(() => rule({ dy, inputs, output, attrs, needs }))
  inputs.forEach((input, i) => {
    const part = parts[i]
    if (!needs[i] || !part || String(part.shape) === String(input.shape)) return
    fail({
      _tag: 'GradientMismatch',
      path: `${op.name}, input ${i}`,
      expected: `a gradient of the input's shape [${input.shape.join(', ')}]`,
      found: `[${part.shape.join(', ')}]`,
      hint: "This is a mistake in the op's vjp rule.",
    })
  })
  return parts
}

const noGradient = (name: string): never =>
  fail({
    _tag: 'NoGradient',
    path: name,
    expected: 'an op with a derivative on the way from the variables to the value',
    found: `${name}, which has none`,
    hint: 'Give the op a vjp rule, or keep what it computes from out of the variables.',
  })
