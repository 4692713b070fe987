import { fail } from '../tree/error.ts'
import type { Tensor } from '../tree/tensor.ts'
import { after, identity, identityOp } from './basic.ts'
import { throughTwin } from './defs/twin.ts'
import type { Tape } from './interpreters.ts'
import { interpreters, observe, under } from './interpreters.ts'
import { scope } from './memory.ts'
import type { Op } from './op.ts'

/**
 * Runs `f` so that a gradient keeps its inputs and its result only: the backward pass runs it again.
 *
 * `inputs` are all the tensors that `f` uses, whether it takes them as arguments or holds them. It must give the same each
 * time. Errors: `UntoldInput` when it depends on a variable that is not among them, and those of `f`.
 *
 * @source Griewank & Walther 2000, "Algorithm 799: revolve"; Chen et al. 2016, "Training Deep Nets with Sublinear Memory
 *   Cost", §3
 * @example
 * ```ts
 * import { checkpoint, gradients, item, mul, scalar } from 'espalier/ops'
 *
 * const x = scalar(3)
 * const { grads } = gradients(() => checkpoint((y) => mul(mul(y, y), y), [x]), [x])
 * item(grads[0]!) // => 27
 * ```
 */
export const checkpoint = (f: (...inputs: Tensor[]) => Tensor, inputs: readonly Tensor[]): Tensor => {
  const { tapes, recorder } = interpreters()
  const told = new Set(inputs)
  const isVariable = (x: Tensor): boolean => tapes.some(({ tracked }) => tracked.has(x))
  if (!inputs.some(isVariable)) return f(...inputs)
  const untold = new Set(tapes.flatMap(({ tracked }) => [...tracked].filter((x) => !told.has(x))))
  const probe: Tape = { tracked: untold, entries: [], held: new Set() }
  const output = under({ tapes: [probe], recorder }, () =>
    scope(() => {
      const result = identity(f(...inputs))
      if (probe.entries.length > 0) refuseUntold(probe.entries[0]!.op.name)
      return result
    }),
  )
  // It stands on tapes, and is never run: what they see of f is what it takes and gives. That a second run waits for the
  // gradient keeps a compiler from making it one with the first.
  const whole: Op = {
    ...identityOp,
    name: 'checkpoint',
    vjp: (backward) => throughTwin(backward, () => f(...inputs.map((x) => after(x, backward.dy)))),
  }
  observe(whole, [...told], {}, output)
  return output
}

const refuseUntold = (name: string): never =>
  fail({
    _tag: 'UntoldInput',
    path: 'checkpoint',
    expected: 'every variable that the function uses among its inputs',
    found: `one that is not, in ${name}`,
    hint: 'Add what the function holds to the list of inputs, reachable(model) for instance.',
  })
