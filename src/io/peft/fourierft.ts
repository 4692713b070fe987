import { Finite, PositiveWhole } from '../../kind/number-codecs.ts'
import { orNull } from '../../model/hub-config.ts'
import type { HubConfig } from '../../model/hub-config.ts'
import { read, tensor } from '../../ops/index.ts'
import type { Tensor } from '../../tree/tensor.ts'
import { FourierftKind } from '../../weight/index.ts'
import type { Fourierft } from '../../weight/index.ts'
import { LONGEST } from '../../weight/fourierft.ts'
import { reject } from '../issues.ts'
import { Numbers, Seed } from './codecs.ts'
import { common, named, sidesAt, wornOn, wrapLayers } from './layers.ts'
import type { Worn } from './layers.ts'
import type { PeftMethod, WriteJob } from './method.ts'
import { targetingProps } from './targets.ts'
import type { Targeting } from './targets.ts'
import { torchGenerator, torchPermutation } from './torch-random.ts'

interface FourierConfig extends Targeting {
  readonly n_frequency: number
  readonly n_frequency_pattern: Readonly<Record<string, number>> | null
  readonly scaling: number
  readonly random_loc_seed: number
}

const usualSeed = 777

/** Where PEFT puts the frequencies of a layer, int32 [2, n]: it draws places of a matrix [out, in]. */
const positionsFor = (seed: number, n: number, inputs: number, outputs: number): Int32Array => {
  const places = torchPermutation(torchGenerator(seed), inputs * outputs, n)
  return Int32Array.from([...places.map((at) => at % inputs), ...places.map((at) => Math.floor(at / inputs))])
}

/** The number of frequencies of a layer; PEFT wants something before the end that a pattern matches, or the whole name. */
const frequenciesOf = ({ n_frequency, n_frequency_pattern }: FourierConfig, path: string): number => {
  const patterns = n_frequency_pattern ?? {}
  const key = Object.keys(patterns).find((pattern) => new RegExp(`^.*\\.${pattern}$`).test(path)) ?? path
  return Object.hasOwn(patterns, key) ? (patterns[key] ?? n_frequency) : n_frequency
}

const same = (a: Tensor, b: Int32Array): boolean => a.size === b.length && read(a).every((at, i) => at === b[i])

/** The seed that gives the places of all layers: the one that the adapter came with, or PEFT's own. */
const seedOf = ({ model, pretrained }: WriteJob, worn: readonly Worn<Fourierft>[]): number | undefined => {
  const { adapter = {} } = pretrained as { readonly adapter?: HubConfig }
  return [adapter['random_loc_seed'], usualSeed]
    .filter(Seed.is)
    .find((seed) =>
      worn.every(({ module, node: { positions, spectrum } }) =>
        same(positions.value, positionsFor(seed, spectrum.value.size, ...sidesAt(model, module))),
      ),
    )
}

/** FourierFT; a file holds the seed of the places where its coefficients stand, which PyTorch draws. */
export const fourierftMethod: PeftMethod<FourierConfig> = {
  type: 'FOURIERFT',
  spec: {
    props: {
      ...targetingProps,
      n_frequency: PositiveWhole,
      n_frequency_pattern: orNull(Numbers),
      scaling: Finite,
      random_loc_seed: Seed,
    },
    defaults: { n_frequency: 1000, scaling: 150, random_loc_seed: usualSeed },
    only: { bias: ['none'] },
    harmless: ['init_weights', 'fan_in_fan_out'],
  },
  read: (job) => {
    const { config, at } = job
    return wrapLayers(job, ({ path, inputs, outputs }) => {
      const frequencies = frequenciesOf(config, path)
      if (!(frequencies <= inputs * outputs) || Math.max(inputs, outputs) > LONGEST)
        reject(
          'BadConfig',
          at('n_frequency'),
          `at most ${inputs * outputs} frequencies, and sides up to ${LONGEST}`,
          `${frequencies} on ${path}, ${inputs}×${outputs}`,
          'Is this the model that the adapter was trained on?',
        )
      const positions = positionsFor(config.random_loc_seed, frequencies, inputs, outputs)
      return {
        kind: FourierftKind,
        dims: { frequencies },
        given: {
          spectrum: job.tensor(path, 'fourierft_spectrum'),
          positions: tensor(positions, [2, frequencies], 'int32'),
          scale: config.scaling,
        },
      }
    })
  },
  write: (job) => {
    const worn = wornOn<Fourierft>(job, 'Fourierft')
    if (worn === undefined) return undefined
    const seed = seedOf(job, worn)
    if (seed === undefined)
      return reject(
        'UnsupportedAdapter',
        worn[0]?.module ?? '',
        'frequencies at the places that PyTorch draws from a seed, which is all that PEFT saves of them',
        'other places',
        'Save it with saveAdapter, which takes everything; of an adapter of PEFT pass along its `adapter`, which has the seed.',
      )
    return {
      config: {
        target_modules: worn.map(({ module }) => module).toSorted(),
        n_frequency_pattern: Object.fromEntries(worn.map(({ module, node }) => [module, node.spectrum.value.size])),
        scaling: common(worn, 'scale', ({ scale }) => scale),
        random_loc_seed: seed,
      },
      tensors: named(worn.map(({ module, node }) => [module, 'fourierft_spectrum', node.spectrum.value])),
    }
  },
}
