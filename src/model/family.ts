import * as E from 'fp-ts/lib/Either.js'
import { grow } from '../kind/index.ts'
import type { AnyKind, Dims, GrowLeaf, Kinds, Model } from '../kind/index.ts'
import { drawnLeaf } from '../kind/init.ts'
import { EspalierError } from '../tree/error.ts'
import type { Key } from '../tree/key.ts'
import { decodeHubConfig } from './hub-config.ts'
import type { ConfigSpec, HubConfig } from './hub-config.ts'

export { drawnLeaf }

/** What a model is asked for: hidden states, the next token, a label for a text, a label for each token. */
export type Task = 'base' | 'causal-lm' | 'sequence-classification' | 'token-classification'

/** Whether a task has a head with a number of classes. */
export const classifies = (task: Task): boolean => task.endsWith('-classification')

/** How a model of one configuration and task is built. */
export interface Plan {
  readonly kind: AnyKind
  readonly dims: Dims
  /** Leaves that are the very leaf at another label: of a head that shares the embedding, { 'lm_head.weight': 'wte.weight' }. */
  readonly ties?: Readonly<Record<string, string>>
}

/** How a model for one task is built, and what its class is called in transformers. */
export interface TaskPlan<C> {
  readonly architecture: string
  /** `labels` is the number of classes. */
  readonly build: (config: C, labels: number) => Plan
}

/** Where AdapterHub keeps the adapter of a sublayer, within a block of its files and of our model: behind which layer it stands. */
export type AdapterSite = readonly [theirs: string, ours: string]

/** Where the adapters of AdapterHub are in a family, by the names that its configurations have for them. */
export interface AdapterSites {
  /** Where the blocks are in the body. */
  readonly blocks: string
  readonly mh_adapter: AdapterSite
  readonly output_adapter: AdapterSite
}

/** The sites of a family whose blocks have a layer for each sublayer, and whose files have the adapters beside these. */
export const besideSublayers = (blocks: string, attention: string, feedForward: string): AdapterSites => ({
  blocks,
  mh_adapter: ['attention_adapters', attention],
  output_adapter: ['output_adapters', feedForward],
})

/** A model architecture with its names on the Hugging Face Hub, as data; fields of its kinds have the names of transformers. */
export interface Family<C = never> {
  readonly name: string
  /** `model_type` of the configurations that are this family's. */
  readonly modelTypes: readonly string[]
  readonly spec: ConfigSpec<C>
  /** Every kind a model of this family is made of, besides those of nn. */
  readonly kinds: Kinds
  /** The tasks that the family has. */
  readonly plans: Partial<Readonly<Record<Task, TaskPlan<C>>>>
  /** The name of the body within a model with a head, such as `transformer`. */
  readonly body: string
  /** Labels of matrices that its files hold as [in, out], as ours are, and not as [out, in]. */
  readonly untransposed?: RegExp
  /** Parts of the body that files may lack, by the field of a configuration that leaves each out; a classifier's can be drawn. */
  readonly optional?: Readonly<Record<string, RegExp>>
  /** Names in its files that hold no parameter of a model here: buffers, and heads of other tasks. */
  readonly ignored?: RegExp
  /** The field of a configuration that says how many rows its table of positions has; absent where positions have no end. */
  readonly positions?: keyof C & string
  /** Whether MLX-LM has it, by names that are ours but for the body's. */
  readonly mlx?: boolean
  /** Where AdapterHub's adapters are; absent for a family that it does not have, or where nobody here knows. */
  readonly adapterSites?: AdapterSites
}

/** A family of which only the name is known. */
// oxlint-disable-next-line typescript/no-explicit-any -- a family's plans take its own configuration, so no one type covers all
export type AnyFamily = Family<any>

/** Grows the model of a plan, tied leaves as one. */
export const growPlan = ({ kind, dims, ties = {} }: Plan, leaf: GrowLeaf): unknown => {
  const made = new Map<string, unknown>()
  const once: GrowLeaf = (field, label, shape) => {
    const name = Object.hasOwn(ties, label) ? (ties[label] ?? label) : label
    const known = made.get(name)
    if (known !== undefined) return known
    const fresh = leaf(field, name, shape)
    made.set(name, fresh)
    return fresh
  }
  return grow(kind, dims, once)
}

/** A fresh, wholly trainable model of a family; throws `BadConfig` and `UnsupportedConfig`. */
export const initFamily = <C, M extends Model>(
  { spec, plans, name }: Family<C>,
  config: HubConfig,
  key: Key,
  { task, labels = 2 }: { readonly task: Task; readonly labels?: number },
): M => {
  const decoded = decodeHubConfig(spec, config)
  if (E.isLeft(decoded)) throw new EspalierError(decoded.left)
  const plan = plans[task]
  if (plan === undefined)
    throw new EspalierError([
      {
        _tag: 'BadOption',
        path: 'task',
        expected: `one of ${Object.keys(plans).join(', ')}, the tasks of ${name}`,
        found: task,
        hint: 'Choose a task that the family has.',
      },
    ])
  return growPlan(plan.build(decoded.right, labels), drawnLeaf(key)) as M
}
