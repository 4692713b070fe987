import { EspalierError } from '../../tree/error.ts'
import type { Tensor } from '../../tree/tensor.ts'
import { isTensor } from '../../tree/tensor.ts'
import { interpreters } from '../interpreters.ts'
import { reachable, scope } from '../memory.ts'
import { recordIn } from '../record.ts'
import { isSymbolic } from '../symbolic.ts'
import { preparation } from './executable.ts'
import type { Executable, Prepare } from './executable.ts'
import { layoutOf, replaceIn } from './layout.ts'
import type { Layout } from './layout.ts'

/** How much `compile` keeps. */
export interface CompileOptions {
  /** The most graphs kept at once, one for each signature of the arguments; 16 by default. */
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
 * records it by the shape rules of its ops; nothing is computed for that. Elsewhere than on the native engine, while
 * something is differentiated or recorded, and where a function reads values back, its ops run one by one, and `report`
 * says why. Errors are those of the function itself.
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
  const programs: Programs = new Map()
  const reasons = new Set<string>()
  const note = (reason: string): void => void (reasons.size < keep && reasons.add(reason))
  const rare = new Set<string>()
  const programFor = (layout: Layout, args: A, prepare: Prepare): Program | string => {
    const { signature } = layout
    const found = programs.get(signature)
    const isGood =
      typeof found === 'string' || (found?.prepare === prepare && !found.captured.some((t) => t.isDisposed))
    if (found !== undefined && !isGood) drop(programs, signature)
    // A graph that many calls use must not go for one that a single call would.
    if (!isGood && programs.size >= keep && !rare.has(signature)) {
      if (rare.size >= 64 * keep) rare.clear()
      rare.add(signature)
      return `more than ${keep} signatures, of which this one came once: pad batches to few lengths`
    }
    const program = found !== undefined && isGood ? found : build(f, args, layout, prepare)
    // The one used last stands last, so that the first is the one to go.
    programs.delete(signature)
    programs.set(signature, program)
    if (programs.size > keep) drop(programs, programs.keys().next().value!)
    return program
  }
  const call = (...args: A): R => {
    const prepare = preparation()
    const { tapes, recorder } = interpreters()
    if (prepare === undefined || tapes.length > 0 || recorder !== undefined) return f(...args)
    const direct = (reason: string): R => {
      note(reason)
      return f(...args)
    }
    const layout = layoutOf(args)
    if (typeof layout === 'string') return direct(layout)
    const program = programFor(layout, args, prepare)
    if (typeof program === 'string') return direct(program)
    const outputs = attempt(() => program.executable.run(layout.tensors))
    // What a graph refuses, such as an id out of range, the ops one by one refuse by name and place.
    return outputs instanceof Error ? direct(outputs.message) : (program.result(outputs, layout) as R)
  }
  const compiled = Object.assign(call, {
    report: (): CompileReport => ({
      graphs: [...programs.values()].filter((program) => typeof program === 'object').length,
      direct: [...reasons],
    }),
    free: (): void => dropAll(programs),
  })
  forgotten.register(compiled, programs)
  return compiled
}

/** The programs of one function by signature, the one used last at the end; a reason in the place of one that is none. */
type Programs = Map<string, Program | string>

const drop = (programs: Programs, signature: string): void => {
  const program = programs.get(signature)
  if (typeof program === 'object') program.executable.free()
  programs.delete(signature)
}

const dropAll = (programs: Programs): void => {
  for (const signature of programs.keys()) drop(programs, signature)
}

/** Frees the graphs of a function that nobody can call any more. */
const forgotten = new FinalizationRegistry<Programs>(dropAll)

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
): Program | string => {
  let result: unknown
  let found: readonly Tensor[] = []
  const stands = new Map<object, object>()
  const trace = (...handles: readonly Tensor[]): readonly Tensor[] => {
    const at = new Map<object, Tensor>(layout.tensors.map((tensor, i) => [tensor, handles[i]!]))
    const copies = replaceIn(args, (x) => (at.has(x) ? { by: at.get(x) } : undefined)) as A
    const inner = layoutOf(copies) as Layout
    inner.objects.forEach((copy, i) => stands.set(copy, layout.objects[i]!))
    result = f(...copies)
    if (isPromise(result)) throw new Refusal('it returns a promise')
    found = reachable(result).filter((t) => !stands.has(t) && isSymbolic(t))
    return found
  }
  const graph = attempt(() => scope(() => recordIn(prepare.hasNode, trace, layout.tensors)))
  if (graph instanceof Error) return reasonOf(graph)
  const executable = attempt(() => prepare.executable(graph))
  if (executable instanceof Error) return executable.message
  if (typeof executable === 'string') return executable
  return {
    executable,
    prepare,
    captured: graph.captures.map(({ tensor }) => tensor),
    result: templateOf(result, found, stands, layout),
  }
}

/** A function that cannot be recorded. */
class Refusal extends Error {}

const isPromise = (x: unknown): boolean =>
  typeof x === 'object' && x !== null && 'then' in x && typeof x.then === 'function'

/** Errors of the function itself are left to its run op by op, which throws them in their place. */
const reasonOf = (error: Error): string => {
  if (error instanceof Refusal) return error.message
  if (error instanceof EspalierError && error.issues.some(({ _tag }) => _tag === 'SymbolicTensor'))
    return `it reads a value back: ${error.issues[0]?.path ?? ''}`
  return `it throws: ${error.message.split('\n')[0]}`
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
