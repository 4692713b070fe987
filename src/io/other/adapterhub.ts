import * as t from 'io-ts'
import { grow } from '../../kind/index.ts'
import type { GrowLeaf } from '../../kind/index.ts'
import { Finite, Rate } from '../../kind/number-codecs.ts'
import { families } from '../../model/families.ts'
import { decodeHubConfig } from '../../model/hub-config.ts'
import type { ConfigSpec } from '../../model/hub-config.ts'
import { BottleneckKind } from '../../nn/index.ts'
import type { Activation, AdapterMode } from '../../nn/index.ts'
import { widthsOf } from '../../nn/width.ts'
import { transpose } from '../../ops/index.ts'
import { attentionSizes } from '../../transform/attention-sizes.ts'
import type { Adaptable } from '../../transform/adaptable.ts'
import { freeze } from '../../transform/index.ts'
import { param } from '../../tree/leaf.ts'
import type { Tensor } from '../../tree/tensor.ts'
import { isRecord } from '../codec.ts'
import { inFile, reject, rightOr } from '../issues.ts'
import type { Io } from '../issues.ts'
import { edited } from '../peft/edit.ts'
import type { AdapterFiles, PeftFolder } from '../peft/folder.ts'
import { loaded } from '../peft/loaded.ts'
import type { PeftModel } from '../peft/loaded.ts'
import { readerOf } from '../peft/reader.ts'
import type { Reader } from '../peft/reader.ts'
import type { Pretrained } from '../hub/pretrained.ts'
import { familyNamed } from '../hub/plan.ts'
import { otherModel } from '../peft/hints.ts'

/** What of a bottleneck's configuration the mathematics depends on. */
interface BottleneckConfig {
  readonly mh_adapter: boolean
  readonly output_adapter: boolean
  readonly non_linearity: string
  readonly original_ln_before: boolean
  readonly original_ln_after: true
  readonly residual_before_ln: boolean | 'post_add'
  readonly is_parallel: boolean
  readonly scaling: number | 'learned'
  readonly dropout: number
  readonly leave_out: readonly number[]
}

const activations: Readonly<Record<string, Activation>> = {
  relu: 'relu',
  gelu: 'gelu',
  silu: 'silu',
  swish: 'silu',
  tanh: 'tanh',
}

const isScaling = (u: unknown): boolean => u === 'learned' || Finite.is(u)

const oneOf = <const A extends readonly unknown[]>(...all: A): t.Decoder<unknown, A[number]> =>
  t.refinement(t.unknown, (u) => all.includes(u), all.map(String).join(' or ')) as never

const spec: ConfigSpec<BottleneckConfig> = {
  props: {
    mh_adapter: t.boolean,
    output_adapter: t.boolean,
    non_linearity: t.keyof(activations, `one of ${Object.keys(activations).join(', ')}`),
    original_ln_before: t.boolean,
    residual_before_ln: oneOf(true, false, 'post_add'),
    original_ln_after: oneOf(true),
    is_parallel: t.boolean,
    scaling: t.refinement(t.unknown, isScaling, "a number or 'learned'") as t.Decoder<unknown, number | 'learned'>,
    dropout: Rate,
    leave_out: t.readonlyArray(t.number),
  },
  defaults: {
    original_ln_before: false,
    original_ln_after: true,
    residual_before_ln: true,
    is_parallel: false,
    scaling: 1,
    dropout: 0,
    leave_out: [],
  },
  only: {
    ln_before: [false],
    ln_after: [false],
    use_gating: [false],
    inv_adapter: [],
    cross_adapter: [false],
    phm_layer: [false],
    stochastic_depth: [0],
  },
  harmless: `adapter_residual_before_ln factorized_phm_W factorized_phm_rule hypercomplex_nonlinearity init_weights
    init_weights_seed inv_adapter_reduction_factor learn_phm phm_bias phm_c_init phm_dim phm_init_range phm_rank reduction_factor
    shared_W_phm shared_phm_rule`.split(/\s+/),
}

const modeOf = ({ is_parallel, original_ln_before, residual_before_ln }: BottleneckConfig): AdapterMode => {
  if (is_parallel) return 'residual'
  if (!original_ln_before) return 'sequential'
  return residual_before_ln === 'post_add' ? 'after-add' : residual_before_ln ? 'joined' : 'after-norm'
}

/** The configuration of a bottleneck; everything else that AdapterHub has is refused by its name. */
const decoded = ({ config, configPath }: PeftFolder, { config: model }: Pretrained<unknown>): BottleneckConfig => {
  const { config: own, version, model_type } = config
  const at = (place: string): string => inFile(configPath, place)
  // What wrote files without a version had other names for non-linearities.
  if (typeof version !== 'string' || !version.startsWith('adapters.'))
    reject(
      'UnsupportedAdapter',
      at('version'),
      '"adapters.…"',
      JSON.stringify(version) ?? 'nothing',
      'Save it again with adapters 1.',
    )
  if (model_type !== model['model_type'])
    reject(
      'UnsupportedAdapter',
      at('model_type'),
      `"${String(model['model_type'])}", as the model`,
      JSON.stringify(model_type) ?? 'nothing',
      otherModel,
    )
  if (!isRecord(own))
    return reject(
      'BadJson',
      at('config'),
      'an object',
      JSON.stringify(own) ?? 'nothing',
      'Save it again with adapters 1.',
    )
  const architecture = own['architecture'] ?? null
  if (architecture !== null)
    reject(
      'UnsupportedAdapter',
      at('config.architecture'),
      'a bottleneck',
      JSON.stringify(architecture),
      'Bottlenecks are read and no other method; LoRA is read as PEFT writes it.',
    )
  const { architecture: _, ...fields } = own
  return rightOr(decodeHubConfig(spec, fields), (i) => ({ ...i, path: at(`config.${i.path}`) }))
}

/** One bottleneck of a file, the parameters of which are trainable. */
const bottleneckOf = (
  reader: Reader,
  module: string,
  width: number,
  { label, name, config }: { readonly label: string; readonly name: string; readonly config: BottleneckConfig },
): unknown => {
  const narrow = reader.tensor(module, 'adapter_down.0.bias').shape[0] ?? 0
  const stored: Readonly<Record<string, () => Tensor>> = {
    'down.weight': () => transpose(reader.tensor(module, 'adapter_down.0.weight', [narrow, width])),
    'down.bias': () => reader.tensor(module, 'adapter_down.0.bias', [narrow]),
    'up.weight': () => transpose(reader.tensor(module, 'adapter_up.weight', [width, narrow])),
    'up.bias': () => reader.tensor(module, 'adapter_up.bias', [width]),
    scale: () => reader.tensor(module, 'scaling', [1]),
  }
  const leaf: GrowLeaf = (field, here) => {
    const made = stored[here.slice(label.length + 1)]
    if (made === undefined || field._tag !== 'ParamField') throw new Error('unreachable')
    return param(field.form, here, made())
  }
  const learned = config.scaling === 'learned'
  const given = {
    name,
    activation: activations[config.non_linearity],
    dropout: config.dropout,
    scaling: learned ? 1 : config.scaling,
    ...(learned ? {} : { scale: null }),
  }
  return grow(BottleneckKind, { in: width, width: narrow, out: width }, leaf, given, label)
}

const knownTo = families.filter(({ adapterSites }) => adapterSites !== undefined).map(({ name }) => name)

const putOn = (files: PeftFolder, pretrained: Pretrained<unknown>): unknown => {
  const family = familyNamed(pretrained.family)
  const config = decoded(files, pretrained)
  const sites =
    family.adapterSites ??
    reject(
      'UnsupportedAdapter',
      inFile(files.configPath, 'model_type'),
      knownTo.join(', '),
      family.name,
      'Where AdapterHub has the adapters of other models is not known here.',
    )
  const reader = readerOf(files, family.body)
  const name = String(files.config['name'])
  const root = pretrained.task === 'base' ? '' : `${family.body}.`
  const { layers } = attentionSizes(pretrained.model)
  const used = (['mh_adapter', 'output_adapter'] as const).filter((key) => config[key])
  const edits = Array.from({ length: layers }, (_, i) => i)
    .filter((i) => !config.leave_out.includes(i))
    .flatMap((i) =>
      used.map((key): readonly [string, (node: unknown) => unknown] => {
        const [theirs, ours] = sites[key]
        const block = `${root}${sites.blocks}.${i}`
        const path = `${block}.${ours}`
        const module = `${block}.${theirs}.adapters.${name}`
        const label = [path, 'adapter', name].join('.')
        return [
          path,
          (node) => {
            const adapter = bottleneckOf(reader, module, widthsOf(node)?.out ?? 0, { label, name, config })
            return { _tag: 'Adapted', base: node, adapter, mode: modeOf(config) }
          },
        ]
      }),
    )
  const model = edited(freeze(pretrained.model), new Map(edits))
  reader.requireAllUsed()
  return model
}

const hubFiles: AdapterFiles = {
  tensors: 'adapter.safetensors',
  pickle: 'pytorch_adapter.bin',
  safely: 'use_safetensors=True',
}

/**
 * Puts a bottleneck adapter that AdapterHub's `adapters` saved on the model it was trained on: `adapter_config.json` and
 * `adapter.safetensors`.
 *
 * Sequential, double and parallel bottlenecks on BERT, RoBERTa, DistilBERT, GPT-2, Llama and Mistral, with a factor that is fixed or
 * learned; the base is frozen and shared, the adapter is trainable. Heads lie in files of their own and are not read. What else
 * there is (invertible layers, gates, Compacter, prefixes, ReFT, unions) is refused by name. Errors: `FileSystem`, `BadJson`,
 * `UnsupportedAdapter`, `UnsupportedConfig`, `UnsupportedFile` for a pickle, `MissingTensor`, `ExtraTensor`, `ShapeMismatch`.
 *
 * @example
 * ```ts
 * import { gpt2, key } from 'espalier'
 * import { loadAdapterHub } from 'espalier/io'
 *
 * const config = { model_type: 'gpt2', architectures: ['GPT2LMHeadModel'], vocab_size: 50, n_embd: 8, n_layer: 1, n_head: 2 }
 * const base = { model: gpt2.init({ vocab_size: 50, n_embd: 8, n_layer: 1, n_head: 2 }, key(0)), config, family: 'gpt2', task: 'causal-lm' } as const
 * const nowhere = await loadAdapterHub('no/such/folder', base)()
 * nowhere._tag // => 'Left'
 * ```
 * @source Poth et al. 2023, "Adapters: A Unified Library for Parameter-Efficient and Modular Transfer Learning"; its version 1.3.
 */
export const loadAdapterHub = <M>(folder: string, pretrained: Pretrained<M>): Io<PeftModel<Adaptable<M>>> =>
  loaded(folder, hubFiles, pretrained, (files) => ({ model: putOn(files, pretrained) }))
