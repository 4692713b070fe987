import { fail } from '../tree/error.ts'
import type { Tensor } from '../tree/tensor.ts'
import { isTensor } from '../tree/tensor.ts'
import { interpreters } from './interpreters.ts'
import { isSymbolic } from './symbolic.ts'
import { asTf, tf } from './tf.ts'

/**
 * Counts what is alive: tensors, and the bytes of their elements; two handles on the same elements count twice.
 *
 * @example
 * ```ts
 * import { memory, release, zeros } from 'espalier/ops'
 *
 * const before = memory()
 * const x = zeros([2, 3])
 * memory().bytes - before.bytes // => 24
 * release(x, { keep: [] })
 * memory().tensors - before.tensors // => 0
 * ```
 */
export const memory = (): { readonly tensors: number; readonly bytes: number } => {
  const { numTensors, numBytes } = tf.engine().state
  return { tensors: numTensors, bytes: numBytes }
}

/**
 * Lists each tensor that a value holds once, in the order met: in records, arrays, Maps and Sets, however deep.
 *
 * @example
 * ```ts
 * import { reachable, scalar } from 'espalier/ops'
 *
 * const one = scalar(1)
 * reachable({ tied: [one, one], names: new Map([['b', scalar(2)]]) }).length // => 2
 * ```
 */
export const reachable = (x: unknown): readonly Tensor[] => {
  const seen = new Set<unknown>()
  const found: Tensor[] = []
  // An explicit stack: a list linked ten thousand deep is legal data.
  const waiting: unknown[] = [x]
  while (waiting.length > 0) {
    const value = waiting.pop()
    if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value) || seen.has(value)) continue
    seen.add(value)
    if (isTensor(value)) found.push(value)
    else for (const child of children(value).toReversed()) waiting.push(child)
  }
  return found
}

const children = (value: object): readonly unknown[] => {
  if (Array.isArray(value) || value instanceof Set) return [...(value as Iterable<unknown>)]
  if (value instanceof Map) return [...value].flat()
  return Object.values(value)
}

/**
 * Runs `f` and frees everything it allocated that its result does not hold; when `f` throws, everything.
 *
 * Afterwards, live = live before + reachable from the result. Nobody else's tensor is touched. Errors: `AsyncScope` if
 * `f` returns a promise, for what runs after an `await` is outside of every scope.
 *
 * @example
 * ```ts
 * import { item, memory, mul, scalar, scope } from 'espalier/ops'
 *
 * const before = memory().tensors
 * const { cube } = scope(() => {
 *   const x = scalar(3)
 *   return { cube: mul(mul(x, x), x) }
 * })
 * item(cube) // => 27
 * memory().tensors - before // => 1
 * ```
 */
export const scope = <T>(f: () => T): T => {
  const starts = new Map(interpreters().tapes.map((tape) => [tape, tape.entries.length]))
  const close = (kept: readonly Tensor[]): void => tf.engine().endScope(kept.map(asTf))
  // A backward pass still to come needs what it has seen here: that goes to the scope outside of this one.
  const held = (): readonly Tensor[] =>
    [...starts].flatMap(([tape, start]) =>
      tape.entries
        .slice(start)
        .flatMap(({ inputs, output }) => [...inputs, output])
        .filter((t) => !isSymbolic(t)),
    )
  tf.engine().startScope()
  let result: T
  try {
    result = f()
    if (isPromise(result)) refusePromise(result)
  } catch (error) {
    close([])
    throw error
  }
  close([...reachable(result).filter((t) => !isSymbolic(t)), ...held()])
  return result
}

/** @internal */
export const isPromise = (x: unknown): x is PromiseLike<unknown> =>
  typeof x === 'object' && x !== null && 'then' in x && typeof x.then === 'function'

const refusePromise = (promise: PromiseLike<unknown>): void => {
  // What it still does fails on tensors that are freed, and nobody would be there to hear of it.
  promise.then(undefined, () => undefined)
  fail({
    _tag: 'AsyncScope',
    path: 'scope',
    expected: 'a function that returns its result',
    found: 'one that returns a promise',
    hint: 'Do the waiting outside, and put each synchronous part into a scope of its own.',
  })
}

/** True for what the innermost open scope would free at its end. @internal */
export const isOwned = (t: Tensor): boolean =>
  !isSymbolic(t) && asTf(t).scopeId === (tf.engine().state.activeScope?.id ?? -1)

/**
 * Frees the tensors that `old` holds and `keep` does not.
 *
 * What is freed already is passed over, so that two values which share tensors can be released one after the other.
 *
 * @example
 * ```ts
 * import { release, scalar } from 'espalier/ops'
 *
 * const shared = scalar(1)
 * const old = { shared, own: scalar(2) }
 * release(old, { keep: { shared } })
 * old.own.isDisposed // => true
 * shared.isDisposed // => false
 * ```
 */
export const release = (old: unknown, { keep }: { readonly keep: unknown }): void => {
  const kept = new Set(reachable(keep))
  for (const t of reachable(old)) if (!kept.has(t) && !isSymbolic(t)) asTf(t).dispose()
}
