import { fail } from '../../tree/error.ts'
import type { Tensor } from '../../tree/tensor.ts'
import { isTensor } from '../../tree/tensor.ts'
import { interpreters } from '../interpreters.ts'
import { preparation } from './executable.ts'
import type { Executable, Prepare } from './executable.ts'
import { keepUsed } from './kept.ts'
import type { Kept } from './kept.ts'
import { layoutOf, replaceIn } from './layout.ts'
import type { Layout } from './layout.ts'
import { attempt, isSame, Refusal, trace } from './trace.ts'
import type { Seen, Traced } from './trace.ts'

/** How much `compile` keeps. */
export interface CompileOptions {
  /** The most graphs kept at once, one for each signature of the arguments, of those used most; 16 by default. */
  readonly keep?: number
  /** Says that it reads nothing from outside that changes: then that is not looked into now and then; false by default. */
  readonly pure?: boolean
}

/** A compiled function: called like the one it was made of. */
export interface Compiled<A extends readonly unknown[], R> {
  (...args: A): R
  /** How calls went so far: graphs in the cache, and why others ran op by op. */
  readonly report: () => CompileReport
  /** Gives back the graphs; the function can still be called. */
  readonly free: () => void
}

/** How the calls of a compiled function went. */
export interface CompileReport {
  readonly graphs: number
  /** Each reason once. */
  readonly direct: readonly string[]
}

/** A graph, and how its outputs become the function's result. */
interface Program {
  readonly executable: Executable
  readonly seen: Seen
  readonly result: (outputs: readonly Tensor[], layout: Layout) => unknown
  readonly prepare: Prepare
  calls: number
}

/**
 * A function of trees and tensors that gives the same, and on the native engine runs as one graph.
 *
 * It must be pure: the tensors of its result depend on those of its arguments alone, and on tensors it uses from outside,
 * which stay the caller's. The first call for each signature (structure, shapes, dtypes, every value that is no tensor)
 * records it by the shape rules of its ops; nothing is computed for that. It is recorded again now and then, and no graph is
 * used any more where it does something else; but it must not count on being called. What is no tensor and not made of its
 * arguments is the same object in each result. Elsewhere than on the native engine its ops run one by one; so they do while it
 * is differentiated, where it reads values back, and for signatures beyond those that are used most, and `report` says why.
 * Errors are those of the function itself, but for `NonFiniteLoss`, which is a matter of values; and `InvalidSetting`.
 *
 * @example
 * ```ts
 * import { compile, matmul, mul, tensor, toArray } from 'espalier/ops'
 *
 * const layer = compile((w: { a: ReturnType<typeof tensor>; scale: number }, x: ReturnType<typeof tensor>) =>
 *   mul(matmul(x, w.a), w.scale))
 * toArray(layer({ a: tensor([[1], [2]]), scale: 10 }, tensor([[3, 4]]))) // => [[110]]
 * ```
 */
export const compile = <A extends readonly unknown[], R>(
  f: (...args: A) => R,
  { keep = 16, pure = false }: CompileOptions = {},
): Compiled<A, R> => {
  if (!(Number.isInteger(keep) && keep >= 0)) refuseKeep(keep)
  const programs = keepUsed(keep, freeProgram)
  const refused = new Map<string, string>()
  const reasons = new Set<string>()
  let impure = false
  const programFor = (layout: Layout, args: A, prepare: Prepare): Program | string => {
    const { signature } = layout
    const make = (): Program => build(f, args, layout, prepare)
    const isStale = (found: Program): boolean =>
      found.prepare !== prepare || found.seen.graph.captures.some(({ tensor }) => tensor.isDisposed)
    const known = refused.get(signature)
    if (known !== undefined) return known
    try {
      let program = programs.get(signature, make)
      if (program !== undefined && isStale(program)) {
        programs.drop(signature)
        program = programs.get(signature, make)
      }
      if (program === undefined) return `${keep} signatures have graphs, and more are in use: ${fewer}`
      program.calls += 1
      if (pure || !isDue(program.calls) || isSame(program.seen, trace(f, args, layout, prepare))) return program
      programs.clear()
      impure = true
      return changes
    } catch (error) {
      if (!(error instanceof Refusal)) return `it throws: ${String(error).split('\n')[0]}`
      if (refused.size >= mostRefused) refused.clear()
      refused.set(signature, error.message)
      return error.message
    }
  }
  const call = (...args: A): R => {
    const prepare = preparation()
    const { tapes, recorder } = interpreters()
    if (prepare === undefined || recorder !== undefined) return f(...args)
    const direct = (reason: string): R => {
      if (reasons.size < mostReasons) reasons.add(reason)
      return f(...args)
    }
    if (tapes.length > 0) return direct('it is differentiated: compile what takes the gradient instead')
    if (impure) return direct(changes)
    const layout = layoutOf(args)
    if (typeof layout === 'string') return direct(layout)
    const program = programFor(layout, args, prepare)
    if (typeof program === 'string') return direct(program)
    const outputs = attempt(() => program.executable.run(layout.tensors))
    // What a graph refuses, such as an id out of range, the ops one by one refuse by name and place.
    return outputs instanceof Error ? direct(rejected) : (program.result(outputs, layout) as R)
  }
  const compiled = Object.assign(call, {
    report: (): CompileReport => ({ graphs: programs.size(), direct: [...reasons] }),
    free: (): void => {
      programs.clear()
      refused.clear()
      impure = false
    },
  })
  forgotten.register(compiled, programs)
  return compiled
}

const mostReasons = 16
/** Signatures are long texts. */
const mostRefused = 64

// Made out here: a closure of `compile` would hold the function, and that often what holds the compiled one.
const freeProgram = ({ executable }: Program): void => executable.free()

/** Frees the graphs of a function that nobody can call any more. */
const forgotten = new FinalizationRegistry<Kept<Program>>((programs) => programs.clear())

const rejected = 'its graph refused the values of a call, such as an id out of range'
const changes = 'what it does changes from call to call: it reads something outside that is not the same'
const fewer = 'pad batches to few lengths, and leave out numbers and texts that differ from call to call'

const refuseKeep = (keep: unknown): never =>
  fail({
    _tag: 'InvalidSetting',
    path: 'compile.keep',
    expected: 'a whole number >= 0',
    found: String(keep),
    hint: 'It is the most graphs kept at once.',
  })

/** Calls at which a function is recorded again to see whether it still does the same: ever rarer, and never no more. */
const isDue = (calls: number): boolean => calls > 1 && ((calls & (calls - 1)) === 0 || calls % 256 === 0)

const build = <A extends readonly unknown[]>(
  f: (...args: A) => unknown,
  args: A,
  layout: Layout,
  prepare: Prepare,
): Program => {
  const traced = trace(f, args, layout, prepare)
  const executable = attempt(() => prepare.executable(traced.graph))
  if (executable instanceof Error) throw new Error(`its graph cannot be made: ${executable.message}`)
  if (typeof executable === 'string') throw new Refusal(executable)
  const { graph, result } = traced
  return { executable, seen: { graph, result }, prepare, result: templateOf(traced, layout), calls: 0 }
}

const templateOf = ({ result, found, stands }: Traced, { objects }: Layout): Program['result'] => {
  const place = new Map<object, number>(objects.map((object, i) => [object, i]))
  const slot = new Map<object, number>(found.map((tensor, i) => [tensor, i]))
  const origin = new Map<object, number>()
  // What came out as it went in is the caller's own object again, whole subtrees too.
  for (const [copy, original] of stands) origin.set(copy, place.get(original)!)
  return (outputs, layout) =>
    replaceIn(result, (x) =>
      slot.has(x)
        ? { by: outputs[slot.get(x)!] }
        : origin.has(x)
          ? { by: layout.objects[origin.get(x)!] }
          : isTensor(x)
            ? { by: x }
            : undefined,
    )
}
