import type { Rotary } from '../kind/index.ts'
import { cast, concat, cos, mul, reshape, sin, tensor } from '../ops/index.ts'
import type { Tensor } from '../tree/tensor.ts'
import { issue } from '../tree/error.ts'
import type { Issue } from '../tree/error.ts'

/** How far each pair of features turns from one position to the next, in the names of transformers. */
export interface RopeParameters {
  /** `default`, `linear`, `llama3` or `yarn`; older files call it `type`. */
  readonly rope_type?: string | null
  readonly type?: string | null
  /** The base of the angles; 10,000 unless told otherwise. */
  readonly rope_theta?: number | null
  /** How many times longer texts may be than in training. */
  readonly factor?: number | null
  readonly low_freq_factor?: number | null
  readonly high_freq_factor?: number | null
  /** The longest text in training; `max_position_embeddings` unless told otherwise. */
  readonly original_max_position_embeddings?: number | null
  readonly attention_factor?: number | null
  readonly beta_fast?: number | null
  readonly beta_slow?: number | null
  readonly mscale?: number | null
  readonly mscale_all_dim?: number | null
  readonly truncate?: boolean | null
  readonly partial_rotary_factor?: number | null
}

/** What a rope is computed of. */
export interface RopeSource {
  readonly rope_parameters: RopeParameters | null
  /** Where older files have the base. */
  readonly rope_theta: number | null
  readonly max_position_embeddings: number
}

/** A rope as a body holds it. */
export interface Rope {
  /** Radians from one position to the next, for each pair of features. */
  readonly frequencies: Float32Array
  /** What cosines and sines are multiplied by. */
  readonly scale: number
}

// What each type must be told, besides what it may be.
const needed: Readonly<Record<string, readonly (keyof RopeParameters)[]>> = {
  default: [],
  linear: ['factor'],
  llama3: ['factor', 'low_freq_factor', 'high_freq_factor'],
  yarn: ['factor'],
}

const numbers: readonly string[] = [
  'rope_theta',
  'factor',
  'low_freq_factor',
  'high_freq_factor',
  'original_max_position_embeddings',
  'attention_factor',
  'beta_fast',
  'beta_slow',
  'mscale',
  'mscale_all_dim',
]

const typeOf = ({ rope_type, type }: RopeParameters): string => rope_type ?? type ?? 'default'

/** Everything in the parameters of a rope that is wrong or not supported here. */
export const ropeIssues = ({ rope_parameters }: RopeSource): readonly Issue[] => {
  const given: Readonly<Record<string, unknown>> = { ...rope_parameters }
  const at = (key: string): string => `rope_parameters.${key}`
  const type = typeOf(rope_parameters ?? {})
  const wanted = Object.hasOwn(needed, type) ? needed[type] : undefined
  if (wanted === undefined)
    return [
      issue(
        'UnsupportedConfig',
        at('rope_type'),
        Object.keys(needed).join(', '),
        type,
        'Other ropes compute other angles, and are not supported here.',
      ),
    ]
  const bad = Object.entries(given).flatMap(([key, value]): readonly Issue[] => {
    if (value === null || value === undefined || key === 'rope_type' || key === 'type') return []
    if (numbers.includes(key))
      return typeof value === 'number' && Number.isFinite(value) && value > 0
        ? []
        : [issue('BadConfig', at(key), 'a number above 0', value, 'See RopeParameters in transformers.')]
    if (key === 'truncate')
      return typeof value === 'boolean' ? [] : [issue('BadConfig', at(key), 'true or false', value, '')]
    return key === 'partial_rotary_factor' && value === 1
      ? []
      : [
          issue(
            'UnsupportedConfig',
            at(key),
            'nothing',
            value,
            'It changes angles in a way that is not supported here.',
          ),
        ]
  })
  const missing = wanted
    .filter((key) => given[key] === undefined || given[key] === null)
    .map((key) => issue('BadConfig', at(key), 'a number above 0', 'nothing', `A rope of type ${type} needs it.`))
  return [...bad, ...missing]
}

const { fround } = Math

/** The angle of each pair without any stretching, rounded at each step as transformers rounds it in float32. */
const plain = (theta: number, width: number): Float32Array =>
  Float32Array.from({ length: width / 2 }, (_, i) => 1 / fround(theta ** fround((2 * i) / width)))

/** Slow pairs are slowed by the factor, fast ones are left, those between are mixed. */
const llama3 = (frequencies: Float32Array, rope: RopeParameters, trained: number): Float32Array => {
  const { factor = 1, low_freq_factor: low = 1, high_freq_factor: high = 1 } = rope as Readonly<Record<string, number>>
  return frequencies.map((f) => {
    const turns = (trained * f) / (2 * Math.PI)
    if (turns > high) return f
    if (turns < low) return f / factor
    const share = (turns - low) / (high - low)
    return ((1 - share) * f) / factor + share * f
  })
}

/** Between two numbers of turns that a pair makes in a text of training, its angle goes from as it is to divided by the factor. */
const yarn = (theta: number, width: number, rope: RopeParameters, trained: number): Float32Array => {
  const pairAt = (turns: number): number => (width * Math.log(trained / (turns * 2 * Math.PI))) / (2 * Math.log(theta))
  const [first, last] = [pairAt(rope.beta_fast ?? 32), pairAt(rope.beta_slow ?? 1)]
  const whole = rope.truncate ?? true
  const low = Math.max(whole ? Math.floor(first) : first, 0)
  const high = Math.min(whole ? Math.ceil(last) : last, width - 1)
  const span = high === low ? 0.001 : high - low
  return plain(theta, width).map((f, i) => {
    const slowed = Math.min(Math.max((i - low) / span, 0), 1)
    return f * (1 - slowed) + (f / (rope.factor ?? 1)) * slowed
  })
}

const magnitude = (factor: number, by = 1): number => (factor <= 1 ? 1 : 0.1 * by * Math.log(factor) + 1)

const yarnScale = ({ attention_factor, factor, mscale, mscale_all_dim }: RopeParameters): number => {
  if (typeof attention_factor === 'number') return attention_factor
  const stretched = factor ?? 1
  return typeof mscale === 'number' && typeof mscale_all_dim === 'number'
    ? magnitude(stretched, mscale) / magnitude(stretched, mscale_all_dim)
    : magnitude(stretched)
}

/**
 * The angles that a configuration asks for, for heads of this width.
 *
 * @source Su et al. 2021, "RoFormer", §3.4; linear: Chen et al. 2023, "Extending Context Window of Large Language Models via
 *   Position Interpolation"; llama3: Llama Team 2024, "The Llama 3 Herd of Models"; yarn: Peng et al. 2023, "YaRN", §3.
 */
export const ropeOf = ({ rope_parameters, rope_theta, max_position_embeddings }: RopeSource, width: number): Rope => {
  const rope = rope_parameters ?? {}
  const theta = rope.rope_theta ?? rope_theta ?? 10_000
  const trained = rope.original_max_position_embeddings ?? max_position_embeddings
  const frequencies = plain(theta, width)
  switch (typeOf(rope)) {
    case 'linear':
      return { frequencies: frequencies.map((f) => f / (rope.factor ?? 1)), scale: 1 }
    case 'llama3':
      return { frequencies: llama3(frequencies, rope, trained), scale: 1 }
    case 'yarn':
      return { frequencies: yarn(theta, width, rope, trained), scale: yarnScale(rope) }
    default:
      return { frequencies, scale: 1 }
  }
}

/** The angles as a constant of a body. */
export const frequenciesOf = ({ frequencies }: Rope): Tensor => tensor(frequencies, [frequencies.length])

/** Cosines and sines of positions int32 [1 or batch, length] for frequencies [pairs], each [1 or batch, 1, length, 2·pairs]. */
export const rotaryOf = (positions: Tensor, frequencies: Tensor, scale: number): Rotary => {
  const [batch = 0, length = 0] = positions.shape
  const angles = mul(reshape(cast(positions, 'float32'), [batch, 1, length, 1]), frequencies)
  const twice = (x: Tensor): Tensor => {
    const scaled = scale === 1 ? x : mul(x, scale)
    return concat([scaled, scaled], 3)
  }
  return { cos: twice(cos(angles)), sin: twice(sin(angles)) }
}
