import { EspalierError } from '../../tree/error.ts'
import type { Tensor } from '../../tree/tensor.ts'
import { isTensor } from '../../tree/tensor.ts'
import { interpreters } from '../interpreters.ts'
import { isPromise, reachable, scope } from '../memory.ts'
import { recordIn } from '../record.ts'
import { isSymbolic } from '../symbolic.ts'
import { preparation } from './executable.ts'
import type { Executable, Prepare } from './executable.ts'
import { keepUsed } from './kept.ts'
import type { Kept } from './kept.ts'
import { layoutOf, replaceIn } from './layout.ts'
import type { Layout } from './layout.ts'

/** How much `compile` keeps. */
export interface CompileOptions {
  /** The most graphs kept at once, one for each signature of the arguments, of those used most; 16 by default. */
  readonly keep?: number
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
  readonly captured: readonly Tensor[]
  readonly result: (outputs: readonly Tensor[], layout: Layout) => unknown
  readonly prepare: Prepare
}

/**
 * A function of trees and tensors that gives the same, and on the native engine runs as one graph.
 *
 * It must be pure: the tensors of its result depend on those of its arguments alone, and on tensors it uses from outside,
 * which stay the caller's. The first call for each signature (structure, shapes, dtypes, every value that is no tensor)
 * records it by the shape rules of its ops; nothing is computed for that. What it reads from outside is read then and not
 * again, and what is no tensor and not made of its arguments is the same object in each result. Elsewhere than on the native
 * engine its ops run one by one; so they do while it is differentiated, where it reads values back, and for signatures
 * beyond those that are used most, and `report` says why. Errors are those of the function itself.
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
  { keep = 16 }: CompileOptions = {},
): Compiled<A, R> => {
  const programs = keepUsed(keep, freeProgram)
  const refused = new Map<string, string>()
  const reasons = new Set<string>()
  const programFor = (layout: Layout, args: A, prepare: Prepare): Program | string => {
    const { signature } = layout
    const make = (): Program => build(f, args, layout, prepare)
    const isStale = (found: Program): boolean =>
      found.prepare !== prepare || found.captured.some(({ isDisposed }) => isDisposed)
    const known = refused.get(signature)
    if (known !== undefined) return known
    try {
      let program = programs.get(signature, make)
      if (program !== undefined && isStale(program)) {
        programs.drop(signature)
        program = programs.get(signature, make)
      }
      return program ?? `of more than ${keep} signatures those used most have graphs: pad batches to few lengths`
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
    const layout = layoutOf(args)
    if (typeof layout === 'string') return direct(layout)
    const program = programFor(layout, args, prepare)
    if (typeof program === 'string') return direct(program)
    const outputs = attempt(() => program.executable.run(layout.tensors))
    // What a graph refuses, such as an id out of range, the ops one by one refuse by name and place.
    return outputs instanceof Error ? direct(outputs.message) : (program.result(outputs, layout) as R)
  }
  const compiled = Object.assign(call, {
    report: (): CompileReport => ({ graphs: programs.size(), direct: [...reasons] }),
    free: (): void => {
      programs.clear()
      refused.clear()
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

const attempt = <T>(run: () => T): T | Error => {
  try {
    return run()
  } catch (error) {
    if (error instanceof Error) return error
    throw error
  }
}

const build = <A extends readonly unknown[]>(
  f: (...args: A) => unknown,
  args: A,
  layout: Layout,
  prepare: Prepare,
): Program => {
  let result: unknown
  let found: readonly Tensor[] = []
  const stands = new Map<object, object>()
  const trace = (...handles: readonly Tensor[]): readonly Tensor[] => {
    const at = new Map<object, Tensor>(layout.tensors.map((tensor, i) => [tensor, handles[i]!]))
    const copies = replaceIn(args, (x) => (at.has(x) ? { by: at.get(x) } : undefined)) as A
    const inner = layoutOf(copies) as Layout
    inner.objects.forEach((copy, i) => stands.set(copy, layout.objects[i]!))
    result = f(...copies)
    if (isPromise(result)) abandon(result)
    found = reachable(result).filter((t) => !stands.has(t) && isSymbolic(t))
    requirePlain(result, found)
    return found
  }
  const graph = attempt(() => scope(() => recordIn(prepare.hasNode, trace, layout.tensors)))
  if (graph instanceof Error) throw readsBack(graph)
  const executable = prepare.executable(graph)
  if (typeof executable === 'string') throw new Refusal(executable)
  return {
    executable,
    prepare,
    captured: graph.captures.map(({ tensor }) => tensor),
    result: templateOf(result, found, stands, layout),
  }
}

/** A function that cannot be recorded. */
class Refusal extends Error {}

/** Its handles are symbolic: what it still does with them fails, and nobody is there to hear of it. */
const abandon = (promise: PromiseLike<unknown>): never => {
  promise.then(undefined, () => undefined)
  throw new Refusal('it returns a promise')
}

/** What stands in an instance of a class cannot be put there anew. */
const requirePlain = (result: unknown, tensors: readonly Tensor[]): void => {
  const seen = new Set<object>()
  replaceIn(result, (x) => {
    seen.add(x)
    return isTensor(x) ? { by: x } : undefined
  })
  if (tensors.some((t) => !seen.has(t))) throw new Refusal('its result holds tensors in an instance of a class')
}

/** Errors of the function itself are left to its run op by op, which throws them in their place. */
const readsBack = (error: Error): Error => {
  const issues = error instanceof EspalierError ? error.issues : []
  return issues.some(({ _tag }) => _tag === 'SymbolicTensor')
    ? new Refusal(`it reads a value back: ${issues[0]?.path ?? ''}`)
    : error
}

const templateOf = (
  result: unknown,
  found: readonly Tensor[],
  stands: ReadonlyMap<object, object>,
  { objects }: Layout,
): Program['result'] => {
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
