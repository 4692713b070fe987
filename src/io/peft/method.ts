import type { ConfigSpec, HubConfig } from '../../model/hub-config.ts'
import type { AdapterPart } from '../../transform/wear.ts'
import type { Param } from '../../tree/leaf.ts'
import type { Tensor } from '../../tree/tensor.ts'
import type { Pretrained } from '../hub/pretrained.ts'
import type { Module } from './modules.ts'

/** Tensors of a file by module and suffix; a shape that is told is required, and throws `ShapeMismatch`. */
export interface Lookup {
  /** The tensor of a module under this suffix, such as `lora_A.weight`; throws `MissingTensor`. */
  readonly tensor: (module: string, suffix: string, shape?: readonly number[]) => Tensor
  /** The same, or undefined where the file has none. */
  readonly maybe: (module: string, suffix: string, shape?: readonly number[]) => Tensor | undefined
  /** A tensor that belongs to no module, such as `prompt_embeddings`; throws `MissingTensor`. */
  readonly global: (name: string, shape?: readonly number[]) => Tensor
}

/** The outermost node at each path of a model. */
export type Nodes = ReadonlyMap<string, unknown>

/** What a method is given to put an adapter of a file on a model. */
export interface ReadJob<C> extends Lookup {
  /** The base, frozen. */
  readonly model: unknown
  readonly pretrained: Pretrained<unknown>
  readonly config: C
  /** The nodes of the base. */
  readonly nodes: Nodes
  /** Every module of the base. */
  readonly modules: readonly Module[]
  /** Those that the configuration names; empty for methods that name none. */
  readonly targets: readonly Module[]
  /** Where to say that something in the configuration is wrong. */
  readonly at: (key: string) => string
}

/** What of an adapted model is to be written. */
export interface WriteJob {
  readonly model: unknown
  readonly pretrained: Pretrained<unknown>
  /** What stands on the base, outermost first. */
  readonly parts: readonly AdapterPart[]
  /** The parameters of the base that are trained in full. */
  readonly trained: readonly TrainedPart[]
  /** The nodes of the model. */
  readonly nodes: Nodes
  /** Every module of the base. */
  readonly modules: readonly Module[]
  /** The configuration that the adapter came with, where it is to be written under that again. */
  readonly kept?: HubConfig
}

/** A parameter of the base that is trained in full. */
export interface TrainedPart {
  readonly path: string
  readonly node: Param
}

/** An adapter in PEFT's terms: its configuration, and its tensors by their names in the file. */
export interface Written {
  readonly config: HubConfig
  readonly tensors: ReadonlyMap<string, Tensor>
  /** The paths of trained parameters that are written already; others become `modules_to_save`. */
  readonly taken?: ReadonlySet<string>
}

/** One `peft_type`: its configuration, and how it is read and written. */
export interface PeftMethod<C> {
  readonly type: string
  readonly spec: ConfigSpec<C>
  /** What was trained and is not in the file, in a sentence. */
  readonly lost?: (config: C) => string | undefined
  /** Puts the adapter on: what it makes is trainable, all else is the base's own. */
  readonly read: (job: ReadJob<C>) => unknown
  /** The adapter as PEFT would save it; undefined for parts that are not this method's. */
  readonly write: (job: WriteJob) => Written | undefined
}

/** A method of which only the type is known. */
// oxlint-disable-next-line typescript/no-explicit-any -- a method reads its own configuration, so no one type covers all
export type AnyPeftMethod = PeftMethod<any>
