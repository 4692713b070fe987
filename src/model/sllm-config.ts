import * as t from 'io-ts'
import { PositiveWhole, Rate } from '../kind/number-codecs.ts'
import { EspalierError } from '../tree/error.ts'

/** Reads a configuration that comes from outside. */
export const ConfigCodec: t.Type<SllmConfig> = t.readonly(
  t.strict({
    d_model: PositiveWhole,
    d_head: PositiveWhole,
    bias: t.boolean,
    dropout: Rate,
    context_window: PositiveWhole,
    n_heads: PositiveWhole,
    vocab_size: PositiveWhole,
    n_layers: PositiveWhole,
  }),
)

/** The sizes of an SLLM, in the chapter's names. */
export interface SllmConfig {
  readonly d_model: number
  readonly d_head: number
  /** Whether the linear layers inside the blocks and the norms have a bias; the projection out of attention and the head always do. */
  readonly bias: boolean
  readonly dropout: number
  /** Most positions, soft prompts included. */
  readonly context_window: number
  readonly n_heads: number
  readonly vocab_size: number
  readonly n_layers: number
}

/** The chapter's configuration: 13,698,976 parameters. */
export const seed: SllmConfig = {
  d_model: 128,
  d_head: 128,
  bias: false,
  dropout: 0,
  context_window: 50,
  n_heads: 2,
  vocab_size: 52_000,
  n_layers: 2,
}

/** Throws `BadConfig` with every mistake in a configuration. */
export const requireConfig = (config: SllmConfig): void => {
  const bad = ConfigCodec.decode(config)
  if (bad._tag === 'Left')
    throw new EspalierError(
      bad.left.map((e) => ({
        _tag: 'BadConfig',
        path: e.context
          .map((c) => c.key)
          .filter((k) => k !== '' && !/^\d+$/.test(k))
          .join('.'),
        expected: e.context.at(-1)?.type.name ?? 'a valid configuration',
        found: JSON.stringify(e.value) ?? 'undefined',
        hint: 'Start from sllm.config.seed and change what you need.',
      })),
    )
}
