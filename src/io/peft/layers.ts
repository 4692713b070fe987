import { isParam } from '../../tree/leaf.ts'
import { places, showPath } from '../../tree/walk.ts'
import { innermost, isPacked, isWrapper } from '../../tree/wrap.ts'
import type { AnyKind, Dims } from '../../kind/index.ts'
import type { Tensor } from '../../tree/tensor.ts'
import { factorOf } from '../../weight/lora.ts'
import type { Scaling } from '../../weight/index.ts'
import { reject } from '../issues.ts'
import { edited, wrapWith } from './edit.ts'
import type { Nodes, ReadJob, WriteJob } from './method.ts'
import { tagOf } from './modules.ts'
import { requireTargets } from './targets.ts'
import type { Targeting } from './targets.ts'
import { saveOurs } from './hints.ts'

/** A linear layer that an adapter is put on. */
export interface Layer {
  readonly path: string
  readonly inputs: number
  readonly outputs: number
  readonly biased: boolean
}

interface LinearNode {
  readonly _tag: string
  readonly weight?: unknown
  readonly bias?: unknown
}

const sizeOf = (weight: unknown): readonly [number, number] | undefined =>
  isPacked(weight)
    ? [weight.rows, weight.columns]
    : isParam(weight) && weight.form === 'matrix'
      ? [weight.value.shape[0] ?? 0, weight.value.shape[1] ?? 0]
      : undefined

/** The outermost node at each path. */
export const nodesOf = (model: unknown): Nodes => {
  const nodes = new Map<string, unknown>()
  // What a wrapper wraps lies at the same path: the outermost node is met first.
  for (const { node, path } of places(model)) if (!nodes.has(showPath(path))) nodes.set(showPath(path), node)
  return nodes
}

/** Whether the layer at a path adds a bias. */
export const hasBias = (nodes: Nodes, path: string): boolean =>
  isParam((innermost(nodes.get(path)) as Partial<LinearNode>).bias)

/** How many inputs and outputs the layer at a path has, whatever is on it. */
export const sidesAt = (nodes: Nodes, path: string): readonly [inputs: number, outputs: number] =>
  sizeOf(innermost(nodes.get(`${path}.weight`))) ?? [0, 0]

/** The linear layers that a configuration names; whatever else it names is refused. */
export const targetLayers = ({ nodes, targets, config, at }: ReadJob<Targeting>): readonly Layer[] => {
  requireTargets(targets, config, at)
  return targets.map(({ path, tag }) => {
    const node = nodes.get(path) as LinearNode
    const size = tag === 'Linear' && !isWrapper(node) ? sizeOf(node.weight) : undefined
    if (size === undefined)
      return reject(
        'UnsupportedAdapter',
        at('target_modules'),
        'linear layers',
        `${path}, which is a ${tag}`,
        'PEFT has this type on linear layers only.',
      )
    return { path, inputs: size[0], outputs: size[1], biased: node.bias !== null }
  })
}

/** What an adapter makes of the weight of a layer. */
export interface Wrap {
  readonly kind: AnyKind
  readonly dims?: Dims
  readonly given: Readonly<Record<string, unknown>>
}

/** The model with the weights of the layers that the configuration names wrapped. */
export const wrapLayers = <C extends Targeting>(job: ReadJob<C>, wrap: (layer: Layer) => Wrap): unknown =>
  edited(
    job.model,
    new Map(
      targetLayers(job).map((layer) => {
        const { kind, dims = {}, given } = wrap(layer)
        return [`${layer.path}.weight`, wrapWith(kind, dims, given)]
      }),
    ),
  )

/** What stands on the weight of a module. */
export interface Worn<N> {
  readonly module: string
  readonly node: N
}

/** The parts of an adapter that are of some tags, by module. */
export const partsOf = <N extends { readonly _tag: string }>(
  { parts }: WriteJob,
  ...tags: readonly N['_tag'][]
): readonly Worn<N>[] =>
  parts
    .filter(({ node }) => (tags as readonly unknown[]).includes(tagOf(node)))
    .map(({ path, node }) => ({
      module: showPath(path.at(-1) === 'weight' ? path.slice(0, -1) : path),
      node: node as N,
    }))

/** All parts of an adapter by module, if there are any and each is of these tags. */
export const wornOn = <N extends { readonly _tag: string }>(
  job: WriteJob,
  ...tags: readonly N['_tag'][]
): readonly Worn<N>[] | undefined => {
  const worn = partsOf<N>(job, ...tags)
  return worn.length > 0 && worn.length === job.parts.length ? worn : undefined
}

/** The tensors of modules by the names PEFT gives them. */
export const named = (
  all: readonly (readonly [module: string, suffix: string, value: Tensor])[],
): Map<string, Tensor> => new Map(all.map(([module, suffix, value]) => [`base_model.model.${module}.${suffix}`, value]))

/** What PEFT divides by the rank to get the factor before a change. */
export const alphaOf = (node: { readonly alpha: number; readonly scaling: Scaling }, rank: number): number =>
  node.scaling === 'alpha/rank' ? node.alpha : factorOf(node, rank) * rank

/** The one value that all modules have in common, which PEFT's configuration says once; else the adapter cannot be written. */
export const common = <N, A>(all: readonly Worn<N>[], what: string, of: (node: N) => A): A => {
  const values = all.map(({ node }) => of(node))
  const other = values.findIndex((value) => value !== values[0])
  if (other >= 0)
    reject(
      'UnsupportedAdapter',
      all[other]?.module ?? '',
      `one ${what} for all layers, as PEFT has it`,
      `${String(values[other])} beside ${String(values[0])}`,
      saveOurs,
    )
  return values[0] as A
}
