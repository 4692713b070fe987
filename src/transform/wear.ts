import type { Either } from 'fp-ts/lib/Either.js'
import { TransformFailure } from '../tree/error.ts'
import type { Issue } from '../tree/error.ts'
import { relabel, requireSound } from '../tree/labels.ts'
import { isHole, isLeaf, isParam } from '../tree/leaf.ts'
import type { Form, Hole, Param, Status } from '../tree/leaf.ts'
import type { Whole } from '../tree/types/step.ts'
import { childrenOf, isBranch, rebuild, showPath } from '../tree/walk.ts'
import { innermost, isPacked, isWrapper, labelOf } from '../tree/wrap.ts'
import { freeze } from './freeze.ts'
import type { Adaptable } from './adaptable.ts'
import { attempt } from './targeted.ts'

/** What stands at one place of a base, as far as an adapter cares. */
export interface Spot {
  readonly label: string
  readonly form: Form | 'constant'
  readonly shape: readonly number[]
}

/** What an adapter puts at one place: what wraps it, with a hole for what it wraps, or a parameter trained in full. */
export interface AdapterPart {
  /** Where in the base; empty for the model as a whole. */
  readonly path: readonly string[]
  readonly node: unknown
}

/** What was put on a base, without the base: plain data whose leaves are the adapter's own. */
export interface Adapter<M = unknown> {
  readonly _tag: 'Adapter'
  readonly parts: readonly AdapterPart[]
  /** What the base must look like, by path; no values. */
  readonly outline: Readonly<Record<string, Spot>>
  /** Only for the compiler: the model that the adapter makes of its base. */
  readonly '~model'?: M
}

declare module '../tree/types/rewrite.ts' {
  interface Rewrites<T> {
    readonly anyStatus: T extends Param<Status, infer F> ? Param<Status, F> : never
  }
}

/** The base that an adapted model `M` is made of, whatever is trainable in it. */
export type BaseOf<M> = unknown extends M ? never : Whole<Whole<M, 'detach'>, 'anyStatus'>

type Visit = (path: readonly string[], node: unknown) => void

/** Each place of a tree without what it wraps, and each wrapper, outermost first; a packed weight is one place. */
const walkBare = (node: unknown, path: readonly string[], { wrapper, spot }: { wrapper: Visit; spot: Visit }): void => {
  if (isWrapper(node)) wrapper(path, node)
  const bare = innermost(node)
  if (isLeaf(bare) || isPacked(bare)) spot(path, bare)
  else if (isBranch(bare))
    for (const [key, child] of childrenOf(bare)) walkBare(child, [...path, key], { wrapper, spot })
}

const spotOf = (node: unknown): Spot => {
  if (isPacked(node)) return { label: labelOf(node), form: node.form, shape: [node.rows, node.columns] }
  const leaf = node as Param
  return { label: leaf.label, form: isParam(leaf) ? leaf.form : 'constant', shape: leaf.value.shape }
}

/** The places of what a model is when everything is taken off. */
const outlineOf = (model: unknown): Readonly<Record<string, Spot>> => {
  const spots: [string, Spot][] = []
  walkBare(model, [], { wrapper: () => {}, spot: (path, node) => spots.push([showPath(path), spotOf(node)]) })
  return Object.fromEntries(spots)
}

const isTrained = (node: unknown): boolean => isParam(node) && node.status === 'trainable'

// A base that is trained in full under its wrapper belongs to the adapter.
const opened = (node: unknown): unknown =>
  isWrapper(node)
    ? { ...node, base: opened(node.base) }
    : isTrained(node)
      ? node
      : ({ _tag: 'Hole', label: labelOf(node) } satisfies Hole)

const filled = (node: unknown, base: unknown): unknown =>
  isWrapper(node) ? { ...node, base: filled(node.base, base) } : isHole(node) ? base : node

/**
 * What was put on a model, as a value of its own: all that wraps something, and the parameters of the base that are trained
 * in full.
 *
 * Nothing is copied. The base is not in it, so that one base serves any number of adapters.
 *
 * @throws TransformFailure `LabelClash`, `Disposed`, `NotPlain`.
 * @example
 * ```ts
 * import { adapterOf, bytesAtRest, freeze, key, lora, pipe, sllm } from 'espalier'
 * const base = freeze(sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0)))
 * const french = adapterOf(pipe(base, lora({ at: '**.ln_1', rank: 2 })))
 * french.parts.map(({ path }) => path.join('.'))
 * // => ['transformer_blocks.0.mlp.ln_1.weight', 'transformer_blocks.1.mlp.ln_1.weight']
 * bytesAtRest(french) // => 4_096
 * ```
 */
export const adapterOf = <M>(model: M): Adapter<M> => {
  requireSound(model)
  const parts: AdapterPart[] = []
  const wrapped = new Set<string>()
  walkBare(model, [], {
    wrapper: (path, node) => {
      wrapped.add(showPath(path))
      parts.push({ path, node: opened(node) })
    },
    spot: (path, node) => {
      if (isTrained(node) && !wrapped.has(showPath(path))) parts.push({ path, node })
    },
  })
  return { _tag: 'Adapter', parts, outline: outlineOf(model) }
}

const shown = ({ label, form, shape }: Spot): string => `${form} [${shape.join(', ')}] "${label}"`

/** All that keeps an adapter from a base. */
const misfits = (base: unknown, { outline }: Adapter): readonly Issue[] => {
  const issue = (_tag: string, path: string, expected: string, found: string, hint: string): Issue => ({
    _tag,
    path,
    expected,
    found,
    hint,
  })
  const issues: Issue[] = []
  walkBare(base, [], {
    wrapper: (path, node) =>
      issues.push(
        issue(
          'AlreadyAdapted',
          showPath(path),
          'a base without adapters',
          `${(node as { _tag: string })._tag} there`,
          'Begin from the base itself, or combine the adapters: combineAdapters([[a, 1], [b, 1]], { how: "cat" }).',
        ),
      ),
    spot: () => {},
  })
  const other = 'The adapter was made on a base that is built otherwise; put it on that one.'
  const here = outlineOf(base)
  for (const [path, spot] of Object.entries(outline)) {
    const found = Object.hasOwn(here, path) ? here[path] : undefined
    if (found === undefined) issues.push(issue('MissingTensor', path, shown(spot), 'nothing', other))
    else if (shown(found) !== shown(spot))
      issues.push(
        issue(
          found.shape.join() === spot.shape.join() ? 'LeafMismatch' : 'ShapeMismatch',
          path,
          shown(spot),
          shown(found),
          other,
        ),
      )
  }
  for (const [path, spot] of Object.entries(here))
    if (!Object.hasOwn(outline, path)) issues.push(issue('ExtraTensor', path, 'nothing', shown(spot), other))
  return issues
}

const put = (base: unknown, adapter: Adapter): unknown => {
  requireSound(base)
  const issues = misfits(base, adapter)
  if (issues.length > 0) throw new TransformFailure(issues)
  const at = new Map(adapter.parts.map(({ path, node }) => [showPath(path), node]))
  const go = (node: unknown, path: readonly string[]): unknown => {
    const here = at.get(showPath(path))
    if (isParam(here)) return here
    const keys = isBranch(node) ? new Set(childrenOf(node).map(([key]) => key)) : new Set()
    const inner = isBranch(node)
      ? rebuild(node, (child, key) => (keys.has(key) ? go(child, [...path, key]) : child))
      : node
    return here === undefined ? inner : filled(here, inner)
  }
  const worn = go(frozen(base), [])
  requireSound(worn)
  return worn
}

// What an adapter does not train is not trained: the leaves of a frozen base stay the very objects they are.
const frozen = (base: unknown): unknown => freeze(base)

/** `wear` itself, and its form that gives mistakes as a value. */
export interface Wear {
  <M>(adapter: Adapter<M>): unknown extends M ? <B>(base: B) => Adaptable<B> : (base: BaseOf<M>) => M
  /** The same with mistakes as a value. */
  readonly either: <M>(
    adapter: Adapter<M>,
  ) => unknown extends M
    ? <B>(base: B) => Either<readonly Issue[], Adaptable<B>>
    : (base: BaseOf<M>) => Either<readonly Issue[], M>
}

/**
 * Puts an adapter on a base: the model it was taken of, on the base's own tensors.
 *
 * To switch, put another adapter on the same base; without one, the base is the model. What the adapter does not train is
 * frozen. All that does not fit comes at once.
 *
 * @throws TransformFailure `MissingTensor`, `ExtraTensor`, `ShapeMismatch` and `LeafMismatch` for a base that is built
 *   otherwise, `AlreadyAdapted`, `LabelClash`, `Disposed`, `NotPlain`.
 * @example
 * ```ts
 * import { adapterOf, freeze, key, lora, pipe, sllm, wear } from 'espalier'
 * const base = freeze(sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0)))
 * const tuned = pipe(base, lora({ at: '**.ln_1', rank: 2 }))
 * const french = adapterOf(tuned)
 * const again = pipe(base, wear(french))
 * again.transformer_blocks[0]!.mlp.ln_1.weight.a === tuned.transformer_blocks[0]!.mlp.ln_1.weight.a // => true
 * again.out_head === base.out_head // => true
 * wear.either(french)(tuned as never)._tag // => 'Left'
 * ```
 */
export const wear: Wear = Object.assign((adapter: Adapter) => (base: unknown) => put(base, adapter), {
  either: (adapter: Adapter) => (base: unknown) => attempt(() => put(base, adapter)),
}) as never

/** The models that named adapters make of one base of type `B`. */
export type Worn<B, A> = {
  readonly [N in keyof A]: A[N] extends Adapter<infer M> ? (unknown extends M ? Adaptable<B> : M) : never
}

/**
 * Puts each of several named adapters on one base: a record of models, and one tree, in which the base stands once.
 *
 * The labels of what belongs to an adapter begin with its name; its values do not depend on it. The record can be counted,
 * saved and trained as any tree.
 *
 * @throws TransformFailure what `wear` throws.
 * @example
 * ```ts
 * import { adapterOf, bytesAtRest, freeze, key, lora, pipe, sllm, wearEach } from 'espalier'
 * const base = freeze(sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0)))
 * const of = (seed: number) => adapterOf(pipe(base, lora({ at: '**.ln_1', rank: 2, key: key(seed) })))
 * const models = wearEach(base, { fr: of(1), de: of(2) })
 * bytesAtRest(models) - bytesAtRest(base) // => 8_192
 * models.fr.transformer_blocks[0]!.mlp.ln_1.weight.a.label // => 'fr.transformer_blocks.0.mlp.ln_1.weight.a'
 * models.fr.out_head.weight === models.de.out_head.weight // => true
 * ```
 */
export const wearEach = <B, const A extends Readonly<Record<string, Adapter>>>(base: B, adapters: A): Worn<B, A> => {
  const shared = frozen(base)
  const models = Object.entries(adapters).map(([name, adapter]) => {
    const parts = relabel(adapter.parts, (label) => `${name}.${label}`)
    return [name, put(shared, { ...adapter, parts })] as const
  })
  return Object.fromEntries(models) as never
}
