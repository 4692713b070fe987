import { describe, expect, test } from 'vitest'
import { ropeIssues, ropeOf, rotaryOf } from '../../src/model/rope.ts'
import type { RopeParameters, RopeSource } from '../../src/model/rope.ts'
import { tensor } from '../../src/ops/index.ts'
import { brief, data } from '../support.ts'

const source = (rope_parameters: RopeParameters | null, max_position_embeddings = 64): RopeSource => ({
  rope_parameters,
  rope_theta: null,
  max_position_embeddings,
})

// What LlamaRotaryEmbedding of transformers 5.24 has for heads of 12.
const known: readonly (readonly [string, RopeSource, readonly number[], number])[] = [
  [
    'default',
    source(null),
    [1, 0.2154434472322464, 0.04641588404774666, 0.009999999776482582, 0.002154434332624078, 0.00046415894757956266],
    1,
  ],
  [
    'linear',
    source({ rope_theta: 1000, rope_type: 'linear', factor: 4 }),
    [0.25, 0.07905694097280502, 0.02499999850988388, 0.007905694656074047, 0.002499999711290002, 0.0007905695238150656],
    1,
  ],
  [
    'llama3, its length of training that of the model',
    source({ rope_theta: 500, type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4 }),
    [1, 0.31515002250671387, 0.02616128697991371, 0.005590170156210661, 0.001984251197427511, 0.0007043174118734896],
    1,
  ],
  [
    'yarn',
    source({ rope_theta: 1000, rope_type: 'yarn', factor: 4, original_max_position_embeddings: 64 }, 256),
    [1, 0.23717081546783447, 0.04999999329447746, 0.007905694656074047, 0.002499999711290002, 0.0007905695238150656],
    1.138629436111989,
  ],
  [
    'yarn with everything told',
    source({
      rope_theta: 1000,
      rope_type: 'yarn',
      factor: 4,
      original_max_position_embeddings: 512,
      beta_fast: 8,
      beta_slow: 2,
      mscale: 0.8,
      mscale_all_dim: 0.5,
      truncate: false,
    }),
    [1, 0.3162277638912201, 0.09999999403953552, 0.012241318821907043, 0.002499999711290002, 0.0007905695238150656],
    1.0388929752217428,
  ],
  [
    'yarn with a magnitude told',
    source({ rope_theta: 1000, rope_type: 'yarn', factor: 4, attention_factor: 1.25 }),
    [1, 0.23717081546783447, 0.04999999329447746, 0.007905694656074047, 0.002499999711290002, 0.0007905695238150656],
    1.25,
  ],
]

describe('angles are those of transformers', () => {
  test.for(known)('%s', ([, from, frequencies, scale]) => {
    expect(ropeIssues(from)).toEqual([])
    const rope = ropeOf(from, 12)
    expect(rope.scale).toBeCloseTo(scale, 12)
    // To the last two bits of a float32: an angle is this times a position.
    rope.frequencies.forEach((f, i) => expect(Math.abs(f / (frequencies[i] ?? 0) - 1)).toBeLessThan(2.4e-7))
    expect(rope.frequencies).toHaveLength(frequencies.length)
  })
})

test('an older file has the base beside the parameters; what they say goes before', () => {
  const base = (rope_theta: number, own: RopeParameters | null) =>
    ropeOf({ ...source(own), rope_theta }, 4).frequencies[1]
  expect(base(100, null)).toBeCloseTo(0.1, 6)
  expect(base(100, { rope_theta: 10_000 })).toBeCloseTo(0.01, 6)
})

test('what would turn otherwise is refused by name', () => {
  const of = (rope: object) => brief(ropeIssues(source(rope)))
  expect(of({ rope_type: 'longrope', factor: 2 })).toEqual(['UnsupportedConfig rope_parameters.rope_type'])
  expect(of({ type: 'dynamic', factor: 2 })).toEqual(['UnsupportedConfig rope_parameters.rope_type'])
  expect(of({ partial_rotary_factor: 0.5 })).toEqual(['UnsupportedConfig rope_parameters.partial_rotary_factor'])
  expect(of({ mrope_section: [2, 2] })).toEqual(['UnsupportedConfig rope_parameters.mrope_section'])
  expect(of({ rope_type: 'linear' })).toEqual(['BadConfig rope_parameters.factor'])
  expect(of({ rope_type: 'linear', factor: '2' })).toEqual(['BadConfig rope_parameters.factor'])
  expect(of({ rope_type: 7 })).toEqual(['UnsupportedConfig rope_parameters.rope_type'])
  expect(of({ rope_type: 'default', rope_theta: Number.NaN })).toEqual(['BadConfig rope_parameters.rope_theta'])
  expect(of({ rope_type: 'default', partial_rotary_factor: 1, factor: null })).toEqual([])
})

test('cosines and sines of each row’s own positions, both halves alike', () => {
  const positions = tensor(
    [
      [0, 2],
      [1, 3],
    ],
    undefined,
    'int32',
  )
  const { cos, sin } = rotaryOf(positions, tensor([1, 0.5]), 2)
  expect(cos.shape).toEqual([2, 1, 2, 4])
  const angles = [0, 2, 1, 3].flatMap((p) => [p, p / 2, p, p / 2])
  data(cos).forEach((c, i) => expect(c).toBeCloseTo(2 * Math.cos(angles[i] ?? 0), 5))
  data(sin).forEach((s, i) => expect(s).toBeCloseTo(2 * Math.sin(angles[i] ?? 0), 5))
})
