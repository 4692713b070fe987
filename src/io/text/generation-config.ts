import { join } from 'node:path'
import * as t from 'io-ts'
import { Finite, Whole } from '../../kind/number-codecs.ts'
import type { HubConfig } from '../../model/hub-config.ts'
import type { Sampling } from '../../model/sample.ts'
import { describe, inFile, io, issue, refuse } from '../issues.ts'
import type { Io } from '../issues.ts'
import { orAbsent, readJsonFile } from '../json-file.ts'

/** What the files of a model say of how it continues texts, as options of `generateText`. */
export interface GenerationDefaults extends Sampling {
  /** Tokens after which a text is at its end; absent where the files name none. */
  readonly eos?: readonly number[]
  /** What fills up shorter prompts. */
  readonly pad?: number
}

const Ids = t.union([Whole, t.readonlyArray(Whole)], 'a token id or a list of them')
const NotNegative = t.refinement(Finite, (n) => n >= 0, 'a number >= 0')
const Share = t.refinement(Finite, (n) => n > 0 && n <= 1, 'a number in (0, 1]')
const Positive = t.refinement(Finite, (n) => n > 0, 'a positive number')

const tokenFields = { eos_token_id: Ids, pad_token_id: Whole }
const samplingFields = {
  do_sample: t.boolean,
  temperature: NotNegative,
  top_k: Whole,
  top_p: Share,
  repetition_penalty: Positive,
}

// What would choose other tokens and is not done here, each with the values that change nothing.
const only: Readonly<Record<string, readonly unknown[]>> = {
  num_beams: [1],
  num_beam_groups: [1],
  penalty_alpha: [],
  min_p: [0],
  typical_p: [1],
  epsilon_cutoff: [0],
  eta_cutoff: [0],
  diversity_penalty: [0],
  encoder_repetition_penalty: [1],
  no_repeat_ngram_size: [0],
  encoder_no_repeat_ngram_size: [0],
  bad_words_ids: [],
  sequence_bias: [],
  min_length: [0],
  min_new_tokens: [0],
  forced_bos_token_id: [],
  forced_eos_token_id: [],
  exponential_decay_length_penalty: [],
  suppress_tokens: [],
  begin_suppress_tokens: [],
  guidance_scale: [1],
  watermarking_config: [],
  constraints: [],
  force_words_ids: [],
  dola_layers: [],
}

const isNothing = (value: unknown): boolean =>
  value === null || value === undefined || (Array.isArray(value) && value.length === 0)

/** The fields that these codecs read, those that are there. */
const read = <P extends Readonly<Record<string, t.Mixed>>>(
  props: P,
  config: HubConfig,
  path: string,
): { readonly [K in keyof P]?: t.TypeOf<P[K]> } => {
  const given = Object.entries(props).filter(([key]) => !isNothing(config[key]))
  refuse(
    given
      .filter(([key, codec]) => !codec.is(config[key]))
      .map(([key, codec]) =>
        issue('BadConfig', inFile(path, key), codec.name, describe(config[key]), 'Mend the file, or remove the field.'),
      ),
  )
  return Object.fromEntries(given.map(([key]) => [key, config[key]])) as never
}

const unsupported = (config: HubConfig, path: string) =>
  Object.entries(only)
    .filter(([key, values]) => !isNothing(config[key]) && !values.includes(config[key]))
    .map(([key, values]) =>
      issue(
        'UnsupportedConfig',
        inFile(path, key),
        values.length === 0 ? 'nothing' : values.join(' or '),
        describe(config[key]),
        'It would choose other tokens: leave `sampling` out and say yourself how tokens are chosen.',
      ),
    )

/** As transformers reads it: without `do_sample` the likeliest token is taken, whatever else the file says. */
const samplingOf = (config: HubConfig, path: string): Sampling => {
  refuse(unsupported(config, path))
  const {
    do_sample = false,
    temperature = 1,
    top_k = 50,
    top_p,
    repetition_penalty,
  } = read(samplingFields, config, path)
  return {
    ...(do_sample ? { temperature } : {}),
    ...(do_sample && top_k > 0 ? { topK: top_k } : {}),
    ...(do_sample && top_p !== undefined ? { topP: top_p } : {}),
    ...(repetition_penalty === undefined ? {} : { repetitionPenalty: repetition_penalty }),
  }
}

/**
 * Reads how a model on the Hugging Face Hub says that its texts end: `generation_config.json`, or `config.json` without it.
 *
 * What the file says of sampling is used only with `{ sampling: true }`: temperature, top-k and top-p where it samples at all, and
 * the repetition penalty; fields that would choose other tokens and are not known here are refused by name. Errors:
 * `FileSystem`, `BadJson`, `BadConfig`, `UnsupportedConfig`.
 *
 * @example
 * ```ts
 * import { loadGeneration, orThrow } from 'espalier/io'
 * import { mkdirSync, writeFileSync } from 'node:fs'
 *
 * mkdirSync('chatty', { recursive: true })
 * const said = { eos_token_id: [2, 7], pad_token_id: 0, do_sample: true, temperature: 0.6, top_p: 0.9 }
 * writeFileSync('chatty/generation_config.json', JSON.stringify(said))
 * await orThrow(loadGeneration('chatty')) // => { eos: [2, 7], pad: 0 }
 * await orThrow(loadGeneration('chatty', { sampling: true })) // => { eos: [2, 7], pad: 0, temperature: 0.6, topK: 50, topP: 0.9 }
 * ```
 * @source transformers 5, `generation/configuration_utils.py`.
 */
export const loadGeneration = (
  folder: string,
  { sampling = false }: { readonly sampling?: boolean } = {},
): Io<GenerationDefaults> =>
  io(folder, async () => {
    const own = join(folder, 'generation_config.json')
    const found = await orAbsent(readJsonFile(own))
    const path = found === undefined ? join(folder, 'config.json') : own
    const config = found ?? (await readJsonFile(path))
    const { eos_token_id: eos, pad_token_id: pad } = read(tokenFields, config, path)
    return {
      ...(eos === undefined ? {} : { eos: typeof eos === 'number' ? [eos] : eos }),
      ...(pad === undefined ? {} : { pad }),
      ...(sampling ? samplingOf(config, path) : {}),
    }
  })
