import type { Kind, Kinds, Weight } from '../kind/index.ts'
import { context } from '../nn/index.ts'
import { read } from '../ops/index.ts'
import { TransformFailure } from '../tree/error.ts'
import type { Issue } from '../tree/error.ts'
import { relabel } from '../tree/labels.ts'
import { BASE, leaves, showPath } from '../tree/walk.ts'
import type { ByRow } from '../weight/index.ts'
import { chainOf, otherBases, trainedBases } from './change.ts'
import type { Adaptable } from './adaptable.ts'
import { wear } from './wear.ts'
import type { Adapter, AdapterPart } from './wear.ts'

const isAdditive = ({ _tag }: Weight, kinds: Kinds): boolean =>
  (kinds[_tag] as Kind<Weight, 'weight'> | undefined)?.ops.adds !== undefined

const withoutBase = (node: Weight): Weight =>
  Object.fromEntries(Object.entries(node).filter(([name]) => name !== BASE)) as unknown as Weight

const run = (adapters: Readonly<Record<string, Adapter>>, own: Kinds): Adapter => {
  const { kinds } = context({ kinds: own })
  const carried = trainedBases(adapters)
  if (carried.length > 0) throw new TransformFailure(carried)
  const all = Object.entries(adapters)
  const issues: Issue[] = [...otherBases(adapters)]
  const nothing = Object.fromEntries(all.map(([name]) => [name, []]))
  const places = new Map<string, AdapterPart & { readonly node: ByRow }>()
  for (const [name, { parts, outline }] of all) {
    for (const { path, node } of relabel(parts, (label) => `${name}.${label}`)) {
      const at = showPath(path)
      const nodes = Object.hasOwn(outline, at) ? chainOf(node) : undefined
      if (nodes === undefined || !nodes.every((n) => isAdditive(n, kinds))) {
        issues.push({
          _tag: 'NotAdditive',
          path: at,
          expected: 'changes that add to a weight',
          found: `${(node as { readonly _tag: string })._tag} of ${name}`,
          hint: 'Run it by `mixed`, which takes any method.',
        })
        continue
      }
      for (const { label, value } of leaves(nodes))
        if (!read(value).every(Number.isFinite))
          issues.push({
            _tag: 'NonFinite',
            path: label,
            expected: 'finite numbers',
            found: 'NaN or an infinity',
            hint: 'All rows go through one product, which would carry it to the rows of others.',
          })
      const before = places.get(at)?.node.among ?? nothing
      const base = { _tag: 'Hole', label: outline[at]!.label }
      const among = {
        ...before,
        [name]: nodes.map(withoutBase),
      }
      places.set(at, { path, node: { _tag: 'ByRow', base, among } })
    }
  }
  const [first] = all
  if (first === undefined || issues.length > 0)
    throw new TransformFailure([
      ...issues,
      ...(first === undefined
        ? [{ _tag: 'BadOption', path: '', expected: 'at least one adapter', found: 'none', hint: 'byRow({ fr, de })' }]
        : []),
    ])
  return { _tag: 'Adapter', parts: [...places.values()], outline: first[1].outline }
}

/** `byRow` itself, and its form for weight variants of one's own. */
export interface ByRows {
  (adapters: Readonly<Record<string, Adapter>>): <B>(base: B) => Adaptable<B>
  /** The same with kinds of one's own, by tag. */
  readonly knowing: (own: Kinds) => ByRows
}

const byRowKnowing = (own: Kinds): ByRows =>
  Object.assign((adapters: Readonly<Record<string, Adapter>>) => wear(run(adapters, own)) as never, {
    knowing: (more: Kinds) => byRowKnowing({ ...own, ...more }),
  })

/**
 * Puts several named adapters on one base so that each row of a batch gets its own: the base is multiplied with once for all
 * rows, and each row's own small change added.
 *
 * Names go to the model as `rows`, null for the base alone. It takes methods that add to a weight (LoRA and its kin); `mixed`
 * takes any, at the price of a run for each name.
 *
 * @throws TransformFailure `NotAdditive` at each place that is no sum, `BaseTrained`, `NonFinite`, `OtherBase`, and what `wear` throws; `NoRows`, `UnknownAdapter` and
 *   `ShapeMismatch` when the model runs.
 * @example
 * ```ts
 * import { adapterOf, byRow, freeze, key, lora, pipe, sllm } from 'espalier'
 * import { tensor } from 'espalier/ops'
 * const base = freeze(sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0)))
 * const of = (seed: number) => adapterOf(pipe(base, lora({ at: '**.ln_1', rank: 2, key: key(seed) })))
 * const all = pipe(base, byRow({ fr: of(1), de: of(2) }))
 * const ids = tensor([[1, 2], [3, 4], [5, 6]], undefined, 'int32')
 * sllm.apply(all, ids, { rows: ['fr', null, 'de'] }).shape // => [3, 2, 100]
 * sllm.apply(all, ids, { rows: ['fr', null, 'dee'] }) // => Error: UnknownAdapter
 * ```
 */
export const byRow: ByRows = byRowKnowing({})
