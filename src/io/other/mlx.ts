import { join } from 'node:path'
import * as t from 'io-ts'
import { Finite, PositiveWhole, Rate } from '../../kind/number-codecs.ts'
import { families } from '../../model/families.ts'
import { decodeHubConfig } from '../../model/hub-config.ts'
import type { ConfigSpec } from '../../model/hub-config.ts'
import { attentionSizes } from '../../transform/attention-sizes.ts'
import type { Adaptable } from '../../transform/adaptable.ts'
import { freeze } from '../../transform/index.ts'
import { adapterOf } from '../../transform/wear.ts'
import { showPath } from '../../tree/walk.ts'
import type { Tensor } from '../../tree/tensor.ts'
import { DoraKind, LoraKind, scaleOf } from '../../weight/index.ts'
import type { Dora, Lora } from '../../weight/index.ts'
import { isRecord } from '../codec.ts'
import { commit } from '../files.ts'
import { inFile, io, reject, rightOr } from '../issues.ts'
import type { Io } from '../issues.ts'
import { writeJson } from '../json.ts'
import { edited, wrapWith } from '../peft/edit.ts'
import type { PeftFolder } from '../peft/folder.ts'
import { loaded } from '../peft/loaded.ts'
import type { PeftModel } from '../peft/loaded.ts'
import { nodesOf } from '../peft/layers.ts'
import { modulesOf } from '../peft/modules.ts'
import { readerOf } from '../peft/reader.ts'
import { sizedTargets } from '../peft/sizes.ts'
import type { Pretrained } from '../hub/pretrained.ts'
import { familyNamed } from '../hub/plan.ts'
import { writeThrough } from '../tensors/safetensors.ts'
import { otherModel } from '../peft/hints.ts'

/** `lora_parameters` of a configuration. */
interface MlxLora {
  readonly rank: number
  readonly scale: number
  readonly dropout: number
  readonly keys: readonly string[] | null
}

const spec: ConfigSpec<MlxLora> = {
  props: {
    rank: PositiveWhole,
    scale: Finite,
    dropout: Rate,
    keys: t.union([t.readonlyArray(t.string), t.null]) as t.Type<readonly string[] | null>,
  },
  defaults: { keys: null },
}

const knownTo = families.filter(({ mlx }) => mlx === true).map(({ name }) => name)

const requireKnown = ({ family, task }: Pretrained<unknown>): void => {
  if (task !== 'causal-lm' || !knownTo.includes(family))
    reject(
      'UnsupportedAdapter',
      '',
      `a language model of ${knownTo.join(', ')}`,
      `${family} for ${task}`,
      'MLX-LM has no names for it.',
    )
}

const block = /^model\.(?:layers|h)\.(\d+)\.(.+)$/

/** A linear layer as MLX-LM sees it: under which key of `keys` it falls, and in which block, if in one. */
interface Place {
  readonly path: string
  readonly name: string
  readonly key: string
  readonly layer: number | undefined
}

const placeOf = (path: string, body: string): Place => {
  const name = path.startsWith(`${body}.`) ? `model${path.slice(body.length)}` : path
  const [, layer, key = name] = block.exec(name) ?? []
  return { path, name, key, layer: layer === undefined ? undefined : Number(layer) }
}

/** What is adapted, by a file that has it and a configuration that leaves it out: versions of MLX-LM differ in what that means. */
const keysIn = ({ tensors }: PeftFolder): readonly string[] =>
  [...tensors.keys()]
    .filter((name) => name.endsWith('.lora_a'))
    .map((name) => placeOf(name.replace(/\.lora_a$/, ''), 'model').key)

const decoded = ({ config, configPath }: PeftFolder): MlxLora & { readonly isDora: boolean; readonly last: number } => {
  const at = (place: string): string => inFile(configPath, place)
  const { fine_tune_type: type = 'lora', num_layers: last, lora_parameters: own } = config
  if (type !== 'lora' && type !== 'dora')
    reject(
      'UnsupportedAdapter',
      at('fine_tune_type'),
      '"lora" or "dora"',
      JSON.stringify(type),
      'Load full weights as a model.',
    )
  if (typeof last !== 'number' || !Number.isInteger(last))
    return reject(
      'BadConfig',
      at('num_layers'),
      'a whole number',
      JSON.stringify(last) ?? 'nothing',
      'Older files: save it again.',
    )
  if (!isRecord(own))
    return reject(
      'BadConfig',
      at('lora_parameters'),
      'an object',
      JSON.stringify(own) ?? 'nothing',
      'Is this an adapter of MLX-LM?',
    )
  const factors = rightOr(decodeHubConfig(spec, own), (i) => ({ ...i, path: at(`lora_parameters.${i.path}`) }))
  return { ...factors, isDora: type === 'dora', last }
}

const putOn = (files: PeftFolder, pretrained: Pretrained<unknown>): unknown => {
  const { rank, scale, dropout, keys, isDora, last } = decoded(files)
  requireKnown(pretrained)
  const { body } = familyNamed(pretrained.family)
  const { layers } = attentionSizes(pretrained.model)
  // MLX-LM cuts a list from its end: 0 and less leave all of it.
  const first = last <= 0 ? 0 : Math.max(0, layers - last)
  const wanted = new Set(keys ?? keysIn(files))
  const modules = modulesOf(pretrained.model).map((module) => ({ module, place: placeOf(module.path, body) }))
  // A key may also be the whole name of a module, wherever that is.
  const isNamed = ({ name, key, layer }: Place): boolean =>
    wanted.has(name) || (layer !== undefined && layer >= first && wanted.has(key))
  const chosen = modules.filter(({ place }) => isNamed(place))
  const at = inFile(files.configPath, 'lora_parameters.keys')
  const odd = chosen.find(({ module }) => module.tag !== 'Linear')
  if (chosen.length === 0 || odd !== undefined)
    reject('NoMatch', at, 'the names of linear layers', odd?.place.name ?? JSON.stringify([...wanted]), otherModel)
  const reader = readerOf(files, body)
  const targets = sizedTargets(
    { nodes: nodesOf(pretrained.model), pretrained },
    chosen.map(({ module }) => module),
  )
  const edits = targets.map(({ path, rows, columns }): readonly [string, (node: unknown) => unknown] => {
    const { name } = placeOf(path, body)
    const given = {
      a: reader.tensor(name, 'lora_a', [rows, rank]),
      b: reader.tensor(name, 'lora_b', [rank, columns]),
      alpha: scale,
      scaling: 'alpha',
      dropout,
    }
    const m = isDora ? { magnitude: reader.tensor(name, 'm', [columns]), detachNorm: true } : {}
    return [`${path}.weight`, wrapWith(isDora ? DoraKind : LoraKind, { rank }, { ...given, ...m })]
  })
  const model = edited(freeze(pretrained.model), new Map(edits))
  reader.requireAllUsed()
  return model
}

/**
 * Puts an adapter that MLX-LM trained on its model: `adapter_config.json` and `adapters.safetensors`, LoRA or DoRA.
 *
 * `num_layers` counts from the last layer. MLX-LM itself draws what a file lacks and drops what it has too much; here both are
 * refused. Errors: `FileSystem`, `BadJson`, `BadConfig`, `UnsupportedConfig`, `UnsupportedAdapter`, `NoMatch`, `MissingTensor`,
 * `ExtraTensor`, `ShapeMismatch`.
 *
 * @example
 * ```ts
 * import { count, freeze, gpt2, key, lora, pipe } from 'espalier'
 * import { loadMlx, orThrow, saveMlx } from 'espalier/io'
 *
 * const config = { model_type: 'gpt2', architectures: ['GPT2LMHeadModel'], vocab_size: 50, n_embd: 8, n_layer: 2, n_head: 2 }
 * const model = gpt2.init({ vocab_size: 50, n_embd: 8, n_layer: 2, n_head: 2 }, key(0))
 * const base = { model, config, family: 'gpt2', task: 'causal-lm' } as const
 * const tuned = pipe(model, freeze, lora({ at: 'transformer.h.1.attn.c_attn', rank: 2, alpha: 20, scaling: 'alpha' }))
 * await orThrow(saveMlx({ ...base, model: tuned }, 'for-mlx'))
 * const again = await orThrow(loadMlx('for-mlx', base))
 * again.adapter['num_layers'] // => 1
 * count(again.model).trainable === count(tuned).trainable // => true
 * ```
 * @source MLX-LM, `mlx_lm/tuner/utils.py`, `lora.py` and `dora.py`.
 */
export const loadMlx = <M>(folder: string, pretrained: Pretrained<M>): Io<PeftModel<Adaptable<M>>> =>
  loaded(folder, { tensors: 'adapters.safetensors' }, pretrained, (files) => ({ model: putOn(files, pretrained) }))

type Change = Lora | Dora

const unwritable = (path: string, expected: string, found: string): never =>
  reject('UnsupportedAdapter', path, expected, found, 'MLX-LM has no words for it: save it with saveAdapter.')

/** The change of each linear layer, of which MLX-LM has one kind, rank, factor and dropout for all. */
const changesOf = ({
  model,
  family,
}: Pretrained<unknown>): readonly { readonly place: Place; readonly node: Change }[] => {
  const { parts } = adapterOf(model)
  const linear = new Set(modulesOf(model).flatMap(({ path, tag }) => (tag === 'Linear' ? [`${path}.weight`] : [])))
  const { body } = familyNamed(family)
  const all = parts.map(({ path, node }) => {
    const { _tag: tag } = node as { readonly _tag: string }
    const where = showPath(path)
    if ((tag !== 'Lora' && tag !== 'Dora') || !linear.has(where))
      return unwritable(where, 'Lora or Dora on linear layers alone', tag)
    return { place: placeOf(where.replace(/\.weight$/, ''), body), node: node as Change }
  })
  const said = ({ node }: { readonly node: Change }): string =>
    `${node._tag} of rank ${node.a.value.shape[1]}, factor ${scaleOf(node)}, dropout ${node.dropout}`
  const other = all.find((one) => said(one) !== said(all[0] ?? one))
  return other === undefined ? all : unwritable(other.place.path, said(all[0] ?? other), said(other))
}

/** How many layers from the last are adapted; each of them must be adapted alike. */
const lastLayers = (places: readonly Place[], layers: number): number => {
  const inBlocks = places.filter(({ layer }) => layer !== undefined)
  const keys = new Set(inBlocks.map(({ key }) => key))
  const first = Math.min(layers, ...inBlocks.map(({ layer }) => layer ?? layers))
  const missing = Array.from({ length: layers - first }, (_, i) => first + i)
    .flatMap((layer) => [...keys].map((key) => ({ layer, key })))
    .find(({ layer, key }) => !inBlocks.some((p) => p.layer === layer && p.key === key))
  if (missing !== undefined)
    unwritable(`layer ${missing.layer}`, `${missing.key} adapted there as in the layers before`, 'not adapted')
  // With none in a layer any number will do but 0, which means all.
  return Math.max(1, layers - first)
}

/**
 * Saves LoRA or DoRA on a language model as MLX-LM would, so that MLX-LM puts it on the same checkpoint.
 *
 * The last layers must be adapted alike, with one rank, factor and dropout. Errors: `UnsupportedAdapter`, `FileSystem`.
 *
 * @example
 * ```ts
 * import { freeze, gpt2, key, lora, pipe } from 'espalier'
 * import { orThrow, readHeader, saveMlx } from 'espalier/io'
 *
 * const config = { model_type: 'gpt2', architectures: ['GPT2LMHeadModel'], vocab_size: 50, n_embd: 8, n_layer: 1, n_head: 2 }
 * const base = gpt2.init({ vocab_size: 50, n_embd: 8, n_layer: 1, n_head: 2 }, key(0))
 * const model = pipe(base, freeze, lora({ at: '**.c_attn', rank: 2 }))
 * await orThrow(saveMlx({ model, config, family: 'gpt2', task: 'causal-lm' }, 'mlx'))
 * const { tensors } = await orThrow(readHeader('mlx/adapters.safetensors'))
 * tensors.get('model.h.0.attn.c_attn.lora_a')?.shape // => [8, 2]
 * ```
 * @source MLX-LM, `mlx_lm/tuner/utils.py`.
 */
export const saveMlx = (pretrained: Pretrained<unknown>, folder: string): Io<void> =>
  io(folder, async () => {
    requireKnown(pretrained)
    const changes = changesOf(pretrained)
    const places = changes.map(({ place }) => place)
    const { node: first } = changes[0] ?? unwritable('', 'Lora or Dora on linear layers', 'nothing')
    const config = {
      fine_tune_type: first._tag.toLowerCase(),
      lora_parameters: {
        dropout: first.dropout,
        keys: [...new Set(places.map(({ key }) => key))].toSorted(),
        rank: first.a.value.shape[1] ?? 0,
        scale: scaleOf(first),
      },
      num_layers: lastLayers(places, attentionSizes(pretrained.model).layers),
    }
    const tensors = new Map<string, Tensor>()
    for (const { place, node } of changes) {
      tensors.set(`${place.name}.lora_a`, node.a.value)
      tensors.set(`${place.name}.lora_b`, node.b.value)
      if (node._tag === 'Dora') tensors.set(`${place.name}.m`, node.magnitude.value)
    }
    const path = join(folder, 'adapters.safetensors')
    await commit(folder, [
      { name: 'adapters.safetensors', write: (sink) => writeThrough(tensors, { format: 'mlx' }, path, sink) },
      { name: 'adapter_config.json', write: (sink) => sink(Buffer.from(`${writeJson(config)}\n`)) },
    ])
  })
