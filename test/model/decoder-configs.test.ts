import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, test } from 'vitest'
import { families } from '../../src/index.ts'
import type { AnyFamily } from '../../src/index.ts'
import { decodeHubConfig } from '../../src/model/hub-config.ts'

const familyOf = (type: string): AnyFamily => families.find(({ modelTypes }) => modelTypes.includes(type)) as AnyFamily

/** Fields that files on the Hub have, beside those that every file has. */
const files: readonly (readonly [string, Readonly<Record<string, unknown>>, Readonly<Record<string, unknown>>])[] = [
  [
    'Llama 1',
    { model_type: 'llama', max_sequence_length: 2048, num_attention_heads: 32, rms_norm_eps: 1e-6, pad_token_id: 0 },
    { num_key_value_heads: null, rope_theta: null, tie_word_embeddings: false },
  ],
  [
    'Llama 3.1',
    {
      model_type: 'llama',
      attention_bias: false,
      eos_token_id: [128001, 128008, 128009],
      num_key_value_heads: 8,
      pretraining_tp: 1,
      rope_scaling: {
        factor: 8,
        low_freq_factor: 1,
        high_freq_factor: 4,
        original_max_position_embeddings: 8192,
        rope_type: 'llama3',
      },
      rope_theta: 500_000,
    },
    { num_key_value_heads: 8, rope_theta: 500_000, rope_parameters: expect.objectContaining({ factor: 8 }) },
  ],
  [
    'SmolLM2',
    {
      model_type: 'llama',
      is_llama_config: true,
      rope_interleaved: false,
      rope_scaling: null,
      'transformers.js_config': { dtype: { fp16: 'x' } },
      tie_word_embeddings: true,
    },
    { rope_parameters: null, tie_word_embeddings: true },
  ],
  ['Mistral 0.1', { model_type: 'mistral', sliding_window: 4096, rope_theta: 10_000 }, { num_key_value_heads: 8 }],
  ['Mistral 0.3', { model_type: 'mistral', sliding_window: null, rope_theta: 1e6 }, { sliding_window: null }],
  [
    'Qwen2.5',
    {
      model_type: 'qwen2',
      max_window_layers: 21,
      sliding_window: 32768,
      use_mrope: false,
      use_sliding_window: false,
      rope_theta: 1e6,
      tie_word_embeddings: true,
    },
    { max_window_layers: 21, layer_types: null },
  ],
  [
    'Qwen3',
    {
      model_type: 'qwen3',
      attention_bias: false,
      max_window_layers: 28,
      sliding_window: null,
      use_sliding_window: false,
    },
    { head_dim: 128, sliding_window: null },
  ],
  [
    'Gemma',
    { model_type: 'gemma', hidden_act: 'gelu', hidden_activation: null, rope_scaling: null, pad_token_id: 0 },
    { hidden_act: 'gelu', head_dim: 256, tie_word_embeddings: true },
  ],
  [
    'Gemma 2',
    {
      model_type: 'gemma2',
      attn_logit_softcapping: 50,
      cache_implementation: 'hybrid',
      final_logit_softcapping: 30,
      hidden_act: 'gelu_pytorch_tanh',
      hidden_activation: 'gelu_pytorch_tanh',
      query_pre_attn_scalar: 144,
      sliding_window: 4096,
      sliding_window_size: 4096,
    },
    { query_pre_attn_scalar: 144, sliding_window: 4096, tie_word_embeddings: true },
  ],
]

const everywhere = {
  architectures: ['X'],
  bos_token_id: 1,
  eos_token_id: 2,
  initializer_range: 0.02,
  torch_dtype: 'bfloat16',
  transformers_version: '4.42.3',
  use_cache: true,
  _name_or_path: 'somewhere',
}

describe('configurations as the Hub has them', () => {
  test.for(files)('%s', ([, file, wanted]) => {
    const decoded = decodeHubConfig(familyOf(String(file['model_type'])).spec, { ...everywhere, ...file })
    expect(decoded).toMatchObject(E.right(wanted))
  })
})
