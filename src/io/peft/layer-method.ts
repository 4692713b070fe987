import * as t from 'io-ts'
import type { ConfigSpec, HubConfig } from '../../model/hub-config.ts'
import type { Tensor } from '../../tree/tensor.ts'
import { familyNamed } from '../hub/plan.ts'
import { reject } from '../issues.ts'
import { readBiases } from './biases.ts'
import { named, wornOn, wrapLayers } from './layers.ts'
import type { Layer, Worn, Wrap } from './layers.ts'
import type { PeftMethod, ReadJob, WriteJob, Written } from './method.ts'
import { targetNames } from './target-names.ts'
import { targetingProps } from './targets.ts'
import type { Targeting } from './targets.ts'
import { biasesOf } from './trained.ts'

/** A tensor of a module under a suffix. */
export type Part = readonly [module: string, suffix: string, value: Tensor]

/** What a type has to say of layers that it stands on: its own keys, and its tensors. */
export interface Own {
  readonly config: HubConfig
  readonly tensors: readonly Part[]
  /** Tensors that belong to no module. */
  readonly globals?: ReadonlyMap<string, Tensor>
}

/** What PEFT lets a type say of where it is and how it began. */
export interface Keys {
  /** Its word for training the biases of its layers, where it has one. */
  readonly biases?: string
  readonly exclude?: false
  /** Whether it knows layers whose weights lie [in, out], as those of GPT-2; it then says so. */
  readonly conv1d?: true
  readonly begins?: HubConfig
}

/** The rest of what PEFT writes for a type: the names of layers, the biases beside them, and what is as it is by default. */
export const writtenFor = (job: WriteJob, modules: readonly string[], own: Own, keys: Keys): Written => {
  const { target_modules, fan_in_fan_out } = targetNames(job, modules)
  const { untransposed } = familyNamed(job.pretrained.family)
  if (keys.conv1d !== true && fan_in_fan_out)
    reject(
      'UnsupportedAdapter',
      modules.find((module) => untransposed?.test(`${module}.weight`)) ?? '',
      'layers that are Linear in PyTorch',
      'a Conv1D',
      'PEFT does not put this type on it: save it with saveAdapter.',
    )
  const { bias, taken } = biasesOf(job, keys.biases === undefined ? [] : modules)
  return {
    config: {
      ...(keys.exclude === false ? {} : { exclude_modules: null }),
      ...(keys.conv1d === true ? { fan_in_fan_out } : {}),
      ...(keys.begins ?? { init_weights: true, layers_pattern: null, layers_to_transform: null }),
      ...(keys.biases === undefined ? {} : { bias: bias === 'lora_only' ? keys.biases : bias }),
      modules_to_save: null,
      target_modules,
      ...own.config,
    },
    tensors: new Map([...named(own.tensors), ...(own.globals ?? []), ...taken.tensors]),
    taken: taken.paths,
  }
}

/** A type that wraps the weights of linear layers, all alike. */
export interface LayerMethod<C, N extends { readonly _tag: string }> extends Keys {
  readonly type: string
  /** How the options of its own are read. */
  readonly spec: ConfigSpec<C>
  readonly tags: readonly N['_tag'][]
  /** What becomes of each layer. */
  readonly wrap: (job: ReadJob<C & Targeting>) => (layer: Layer) => Wrap
  readonly own: (worn: readonly Worn<N>[], job: WriteJob) => Own
}

/** How such a type is read and written. */
export const layerMethod = <C, N extends { readonly _tag: string }>(
  method: LayerMethod<C, N>,
): PeftMethod<C & Targeting> => {
  const { type, spec, biases, tags, wrap, own } = method
  const words = { none: 'none', all: 'all', ...(biases === undefined ? {} : { [biases]: 'lora_only' }) } as const
  const props = {
    ...targetingProps,
    ...spec.props,
    ...(biases === undefined ? {} : { bias: t.keyof(words) }),
  }
  return {
    type,
    spec: {
      ...spec,
      props: props as never,
      defaults: { ...spec.defaults, ...(biases === undefined ? {} : { bias: 'none' }) } as never,
      harmless: ['init_weights', 'fan_in_fan_out', ...(spec.harmless ?? [])],
    },
    read: (job) => {
      const { bias = 'none' } = job.config as { readonly bias?: keyof typeof words }
      return readBiases(wrapLayers(job, wrap(job)), job, words[bias])
    },
    write: (job) => {
      const worn = wornOn<N>(job, ...tags)
      return (
        worn &&
        writtenFor(
          job,
          worn.map(({ module }) => module),
          own(worn, job),
          method,
        )
      )
    },
  }
}
