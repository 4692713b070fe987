import type { Tensor, TensorSpec } from '../tree/tensor.ts'
import type { Attrs, Op } from './op.ts'

/** One op that ran (or was recorded) on a tracked input. */
export interface Entry {
  readonly op: Op
  readonly inputs: readonly Tensor[]
  readonly attrs: Attrs
  readonly output: Tensor
}

/** What the differentiating interpreter remembers: what depends on its variables, and how it came to be. */
export interface Tape {
  readonly tracked: Set<Tensor>
  readonly entries: Entry[]
  /** Every tensor that an entry mentions: none of them may be freed before the backward pass. */
  readonly held: Set<Tensor>
}

/** The recording interpreter: a shape rule in, a symbolic handle out. */
export interface Recorder {
  readonly record: (op: Op, inputs: readonly Tensor[], attrs: Attrs, output: TensorSpec) => Tensor
}

/** Which interpreters the next op meets: everything that is run or recorded passes all tapes. */
export interface Interpreters {
  readonly tapes: readonly Tape[]
  readonly recorder: Recorder | undefined
}

let active: Interpreters = { tapes: [], recorder: undefined }

/** The interpreters in force. @internal */
export const interpreters = (): Interpreters => active

/** Runs `f` under other interpreters, and puts the present ones back whatever happens. @internal */
export const under = <T>(next: Interpreters, f: () => T): T => {
  const before = active
  active = next
  try {
    return f()
  } finally {
    active = before
  }
}

/** Lets every tape see an op, after its output is there. @internal */
export const observe = (op: Op, inputs: readonly Tensor[], attrs: Attrs, output: Tensor): void => {
  for (const tape of active.tapes) {
    // Only float32 carries a gradient: what comes out of argmax or a comparison is a constant to the tape.
    if (output.dtype !== 'float32' || !inputs.some((input) => tape.tracked.has(input))) continue
    tape.tracked.add(output)
    tape.held.add(output)
    for (const input of inputs) tape.held.add(input)
    tape.entries.push({ op, inputs, attrs, output })
  }
}

/** True while a backward pass still to come will look at this tensor. @internal */
export const isHeld = (t: Tensor): boolean => active.tapes.some((tape) => tape.held.has(t))
