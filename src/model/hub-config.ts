import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import { PositiveWhole } from '../kind/number-codecs.ts'
import { activationNames } from '../nn/index.ts'
import type { ActivationName } from '../nn/index.ts'
import { issue } from '../tree/error.ts'
import type { Issue } from '../tree/error.ts'
import { didYouMean } from '../tree/nearest.ts'

/** A configuration as it lies beside a checkpoint: `config.json`, decoded from JSON and no further. */
export type HubConfig = Readonly<Record<string, unknown>>

/** What a family reads in a configuration, and what it needs to know of the rest. */
export interface ConfigSpec<C> {
  /** The fields that the mathematics depends on. */
  readonly props: { readonly [K in keyof C]-?: t.Decoder<unknown, C[K]> }
  /** What a field is when the file leaves it out, as transformers has it. */
  readonly defaults: Partial<C>
  /** Fields that would change the mathematics, each with the only values that are supported. */
  readonly only?: Readonly<Record<string, readonly unknown[]>>
  /** Fields of this family that change nothing that is computed here. */
  readonly harmless?: readonly string[]
  /** Other names of fields, as older files have them; what they say goes before. */
  readonly aliases?: Readonly<Record<string, string>>
  /** What is wrong with fields together that are right one by one. */
  readonly check?: (config: C) => readonly Issue[]
}

/** A name that `activate` knows. */
export const Activation: t.Type<ActivationName> = new t.Type<ActivationName>(
  `one of ${activationNames.join(', ')}`,
  (u): u is ActivationName => (activationNames as readonly unknown[]).includes(u),
  (u, c) => ((activationNames as readonly unknown[]).includes(u) ? t.success(u as ActivationName) : t.failure(u, c)),
  (a) => a,
)

// Of every configuration: how it was made, what generation and training begin with, how results are handed over.
const harmless: ReadonlySet<string> = new Set(
  `_name_or_path _attn_implementation _attn_implementation_autoset _commit_hash _num_labels architectures attn_implementation auto_map bad_words_ids begin_suppress_tokens
  bos_token_id chunk_size_feed_forward cls_token_id decoder_start_token_id diversity_penalty do_sample dtype early_stopping
  encoder_no_repeat_ngram_size eos_token_id exponential_decay_length_penalty finetuning_task forced_bos_token_id
  forced_eos_token_id gradient_checkpointing id2label initializer_range keys_to_ignore_at_inference label2id length_penalty model_max_length neftune_noise_alpha
  max_length max_new_tokens min_length model_type no_repeat_ngram_size num_beam_groups num_beams num_labels
  num_return_sequences output_attentions output_hidden_states output_past output_scores pad_token_id prefix
  problem_type remove_invalid_values repetition_penalty return_dict return_dict_in_generate sep_token_id suppress_tokens
  task_specific_params temperature tf_legacy_loss tokenizer_class unsloth_fixed unsloth_version use_bfloat16 top_k top_p torch_dtype torchscript
  transformers_version typical_p use_cache classifier_dropout`.split(/\s+/),
)

// Of every configuration: what would change the mathematics, with the values that do not.
const only: Readonly<Record<string, readonly unknown[]>> = {
  quantization_config: [],
  pruned_heads: [],
  is_encoder_decoder: [false],
  cross_attention_hidden_size: [],
  add_cross_attention: [false],
}

const isNothing = (value: unknown): boolean =>
  value === null ||
  value === undefined ||
  value === false ||
  (typeof value === 'object' && Object.keys(value).length === 0)

/**
 * A family's own view of a configuration, or every field that is wrong or would change what is computed and is not supported.
 *
 * A field that nobody here knows is refused unless it is empty: what it does is not known either.
 */
export const decodeHubConfig = <C>(
  { props, defaults, only: own = {}, harmless: ours = [], aliases = {}, check }: ConfigSpec<C>,
  config: HubConfig,
): E.Either<readonly Issue[], C> => {
  const old = Object.entries(config).filter(([key, value]) => Object.hasOwn(aliases, key) && !isNothing(value))
  const renamed: HubConfig = {
    ...Object.fromEntries(Object.entries(config).filter(([key]) => !Object.hasOwn(aliases, key))),
    ...Object.fromEntries(old.map(([key, value]) => [aliases[key], value])),
  }
  const fields = Object.keys(props)
  const limits = { ...only, ...own }
  const refused = Object.entries(renamed).flatMap(([key, value]): readonly Issue[] => {
    const allowed = Object.hasOwn(limits, key) ? limits[key] : undefined
    if (allowed !== undefined)
      return isNothing(value) || allowed.includes(value)
        ? []
        : [
            issue(
              'UnsupportedConfig',
              key,
              allowed.length === 0 ? 'nothing' : allowed.map((a) => JSON.stringify(a)).join(' or '),
              clipped(value),
              'This changes what the model computes in a way that is not supported here.',
            ),
          ]
    if (fields.includes(key) || harmless.has(key) || ours.includes(key) || isNothing(value)) return []
    return [
      issue(
        'UnsupportedConfig',
        key,
        'a field that is known here',
        clipped(value),
        `It might change what the model computes. ${didYouMean(key, fields)} If it changes nothing, remove it from config.json.`,
      ),
    ]
  })
  // A null is what it says where a field may be null, and else what is left out.
  const given = (key: string): boolean =>
    renamed[key] !== undefined && (renamed[key] !== null || E.isRight(props[key as keyof C].decode(null)))
  const filled = Object.fromEntries(
    fields.map((key) => [
      key,
      given(key) ? renamed[key] : ((defaults as Readonly<Record<string, unknown>>)[key] ?? null),
    ]),
  )
  const decoded = (t.strict(props as unknown as t.Props) as unknown as t.Type<C>).decode(filled)
  const wrong = E.isRight(decoded)
    ? []
    : decoded.left.map(({ context, value }) => {
        const [, field] = context.map(({ key }) => key)
        return issue(
          'BadConfig',
          field ?? '',
          context.at(-1)?.type.name ?? 'another value',
          clipped(value),
          'See the configuration of this family in transformers.',
        )
      })
  const issues = [...refused, ...wrong, ...(E.isRight(decoded) ? (check?.(decoded.right) ?? []) : [])]
  return E.isLeft(decoded) || issues.length > 0 ? E.left(issues) : decoded
}

const clipped = (value: unknown): string => {
  // JSON has no word for the infinities.
  const text = typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? 'nothing')
  return text.length > 80 ? `${text.slice(0, 77)}…` : text
}

/** A number of layers; a bound, since so many are made before a file can be held against them. */
export const LayerCount: t.Type<number> = t.refinement(
  PositiveWhole,
  (n) => n <= 10_000,
  'a positive whole number up to 10,000',
)

/** A field that may be absent. */
export const orNull = <A>(codec: t.Type<A>): t.Type<A | null> => t.union([codec, t.null]) as t.Type<A | null>

/** A width that is no multiple of the number of heads. */
export const headIssues = (field: string, width: number, heads: number): readonly Issue[] =>
  width % heads === 0
    ? []
    : [issue('BadConfig', field, `a multiple of ${heads}, the heads`, width, 'All heads are alike.')]
