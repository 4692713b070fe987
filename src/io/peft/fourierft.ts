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
import { layerMethod } from './layer-method.ts'
import { common, sidesAt } from './layers.ts'
import type { Worn } from './layers.ts'
import { others, usual } from './patterns.ts'
import { matchAll } from './match.ts'
import type { ReadJob, WriteJob } from './method.ts'
import { torchGenerator, torchPermutation } from './torch-random.ts'
import { otherModel, saveOurs } from './hints.ts'

interface FourierConfig {
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

/** The number of frequencies of each layer; PEFT wants something before the end that a pattern matches, or the whole name. */
const frequenciesOf = ({ config, targets, at }: ReadJob<FourierConfig>): ((path: string) => number) => {
  const entries = Object.entries(config.n_frequency_pattern ?? {})
  const found = matchAll(
    entries.map(([pattern]) => `.*\\.${pattern}$`),
    targets.map(({ path }) => path),
    at('n_frequency_pattern'),
  )
  return (path) => {
    const [, n] = entries[found.findIndex((one) => one.has(path))] ?? entries.find(([name]) => name === path) ?? []
    return n ?? config.n_frequency
  }
}

const same = (a: Tensor, b: Int32Array): boolean => a.size === b.length && read(a).every((at, i) => at === b[i])

/** The seed that gives the places of all layers: the one that the adapter came with, or PEFT's own. */
const seedOf = ({ nodes, pretrained }: WriteJob, worn: readonly Worn<Fourierft>[]): number | undefined => {
  const { adapter = {} } = pretrained as { readonly adapter?: HubConfig }
  return [adapter['random_loc_seed'], usualSeed]
    .filter(Seed.is)
    .find((seed) =>
      worn.every(({ module, node: { positions, spectrum } }) =>
        same(positions.value, positionsFor(seed, spectrum.value.size, ...sidesAt(nodes, module))),
      ),
    )
}

/** FourierFT; a file holds the seed of the places where its coefficients stand, which PyTorch draws. */
export const fourierftMethod = layerMethod<FourierConfig, Fourierft>({
  type: 'FOURIERFT',
  biases: 'fourier_only',
  conv1d: true,
  spec: {
    props: { n_frequency: PositiveWhole, n_frequency_pattern: orNull(Numbers), scaling: Finite, random_loc_seed: Seed },
    defaults: { n_frequency: 1000, scaling: 150, random_loc_seed: usualSeed },
  },
  tags: ['Fourierft'],
  wrap: (job) => {
    const { config, at } = job
    const frequenciesAt = frequenciesOf(job)
    return ({ path, inputs, outputs }) => {
      const frequencies = frequenciesAt(path)
      const fits = Number.isInteger(frequencies) && frequencies > 0 && frequencies <= inputs * outputs
      if (!fits || Math.max(inputs, outputs) > LONGEST)
        reject(
          'BadConfig',
          at('n_frequency'),
          `1 to ${inputs * outputs} frequencies, and sides up to ${LONGEST}`,
          `${frequencies} on ${path}, ${inputs}×${outputs}`,
          otherModel,
        )
      // Before anything is drawn, for it says whether the number is that of the file.
      const spectrum = job.tensor(path, 'fourierft_spectrum', [frequencies])
      const positions = positionsFor(config.random_loc_seed, frequencies, inputs, outputs)
      return {
        kind: FourierftKind,
        dims: { frequencies },
        given: {
          spectrum,
          positions: tensor(positions, [2, frequencies], 'int32'),
          scale: config.scaling,
        },
      }
    }
  },
  own: (worn, job) => {
    const modules = worn.map(({ module }) => module)
    const frequencies = worn.map(({ node }) => node.spectrum.value.size)
    const n_frequency = usual(frequencies)
    const seed =
      seedOf(job, worn) ??
      reject(
        'UnsupportedAdapter',
        modules[0] ?? '',
        'frequencies at the places that PyTorch draws from a seed, which is all that PEFT saves of them',
        'other places',
        `${saveOurs} Of an adapter of PEFT pass along its \`adapter\`, which has the seed.`,
      )
    return {
      config: {
        n_frequency,
        n_frequency_pattern: others(modules, frequencies, n_frequency),
        scaling: common(worn, 'scale', ({ scale }) => scale),
        random_loc_seed: seed,
      },
      tensors: worn.map(({ module, node }) => [module, 'fourierft_spectrum', node.spectrum.value]),
    }
  },
})
