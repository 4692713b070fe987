"""The small models: one config per family and head, and the forms in which old files hold the same weights."""

from dataclasses import dataclass
from typing import Callable

import transformers as hf

from sizes import Sizes


@dataclass(frozen=True)
class Recipe:
    config: Callable[[Sizes], hf.PretrainedConfig]
    head: str = "CausalLM"
    dtype: str = "float32"
    same_weights_as: str = ""
    embedding: bool = False
    shard_size: str = "5GB"


def gpt2(s: Sizes, **more):
    common = dict(n_embd=s.hidden, n_layer=s.layers, n_head=s.heads, vocab_size=s.vocab, n_positions=s.positions)
    return hf.GPT2Config(**common | dict(bos_token_id=1, eos_token_id=1, pad_token_id=0) | more)


def decoder(kind, s: Sizes, **more):
    common = dict(
        hidden_size=s.hidden,
        intermediate_size=s.ffn,
        num_hidden_layers=s.layers,
        num_attention_heads=s.heads,
        num_key_value_heads=s.kv_heads,
        vocab_size=s.vocab,
        max_position_embeddings=s.positions,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    return kind(**common | more)


def llama(s: Sizes, **more):
    return decoder(hf.LlamaConfig, s, **dict(head_dim=s.head_dim, rms_norm_eps=1e-5) | more)


def llama3_rope(s: Sizes):
    scaling = dict(factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16)
    return dict(rope_type="llama3", rope_theta=500.0, **scaling)


def encoder(kind, s: Sizes, **more):
    common = dict(
        hidden_size=s.hidden,
        intermediate_size=s.ffn,
        num_hidden_layers=s.layers,
        num_attention_heads=s.heads,
        vocab_size=s.vocab,
        max_position_embeddings=s.positions,
        type_vocab_size=2,
        num_labels=s.labels,
        pad_token_id=0,
    )
    return kind(**common | more)


def roberta(s: Sizes):
    return encoder(hf.RobertaConfig, s, max_position_embeddings=s.positions + 2, type_vocab_size=1, pad_token_id=1)


def distilbert(s: Sizes):
    common = dict(dim=s.hidden, hidden_dim=s.ffn, n_layers=s.layers, n_heads=s.heads, vocab_size=s.vocab)
    return hf.DistilBertConfig(**common, max_position_embeddings=s.positions, num_labels=s.labels, pad_token_id=0)


def gemma2(s: Sizes):
    caps = dict(final_logit_softcapping=4.0, attn_logit_softcapping=2.0, query_pre_attn_scalar=10)
    return decoder(hf.Gemma2Config, s, head_dim=s.head_dim, num_hidden_layers=4, sliding_window=s.window, **caps)


def window(s: Sizes):
    return dict(use_sliding_window=True, sliding_window=s.window, max_window_layers=1)


SEQCLS, TOKCLS, HEADLESS = "SequenceClassification", "TokenClassification", ""

MODELS: dict[str, Recipe] = {
    "gpt2": Recipe(gpt2),
    "gpt2-untied": Recipe(lambda s: gpt2(s, tie_word_embeddings=False)),
    "gpt2-options": Recipe(
        lambda s: gpt2(
            s,
            n_inner=s.ffn,
            activation_function="relu",
            layer_norm_epsilon=1e-2,
            scale_attn_by_inverse_layer_idx=True,
            scale_attn_weights=False,
        )
    ),
    "gpt2-old": Recipe(gpt2, same_weights_as="gpt2"),
    "gpt2-f16": Recipe(gpt2, dtype="float16"),
    "gpt2-text": Recipe(lambda s: gpt2(s, vocab_size=300, n_layer=1)),
    "llama": Recipe(llama),
    "llama-tied": Recipe(lambda s: llama(s, tie_word_embeddings=True)),
    "llama-options": Recipe(
        lambda s: llama(
            s,
            attention_bias=True,
            mlp_bias=True,
            hidden_act="gelu",
            rms_norm_eps=1e-2,
            rope_parameters=dict(rope_type="default", rope_theta=100.0),
        )
    ),
    "llama3": Recipe(lambda s: llama(s, rope_parameters=llama3_rope(s))),
    "llama-linear": Recipe(
        lambda s: llama(s, rope_parameters=dict(rope_type="linear", rope_theta=1000.0, factor=4.0))
    ),
    "llama-v4config": Recipe(lambda s: llama(s, rope_parameters=llama3_rope(s)), same_weights_as="llama3"),
    "llama-sharded": Recipe(llama, same_weights_as="llama", shard_size="20KB"),
    "llama-bf16": Recipe(llama, dtype="bfloat16"),
    "mistral": Recipe(
        lambda s: decoder(
            hf.MistralConfig, s, head_dim=s.head_dim, num_hidden_layers=3, sliding_window=s.window
        )
    ),
    "qwen2": Recipe(lambda s: decoder(hf.Qwen2Config, s)),
    "qwen2-window": Recipe(lambda s: decoder(hf.Qwen2Config, s, num_hidden_layers=3, **window(s))),
    "qwen3": Recipe(lambda s: decoder(hf.Qwen3Config, s, head_dim=s.head_dim, tie_word_embeddings=True)),
    "gemma": Recipe(lambda s: decoder(hf.GemmaConfig, s, head_dim=s.head_dim)),
    "gemma2": Recipe(gemma2),
    "bert": Recipe(lambda s: encoder(hf.BertConfig, s), HEADLESS),
    "bert-old": Recipe(lambda s: encoder(hf.BertConfig, s), "PreTraining"),
    "minilm": Recipe(lambda s: encoder(hf.BertConfig, s, num_hidden_layers=3), HEADLESS, embedding=True),
    "roberta": Recipe(roberta, HEADLESS, embedding=True),
    "distilbert": Recipe(distilbert, HEADLESS, embedding=True),
    "gpt2-seqcls": Recipe(lambda s: gpt2(s, num_labels=s.labels), SEQCLS),
    "llama-seqcls": Recipe(lambda s: llama(s, num_labels=s.labels), SEQCLS),
    "bert-seqcls": Recipe(lambda s: encoder(hf.BertConfig, s), SEQCLS),
    "bert-tokcls": Recipe(lambda s: encoder(hf.BertConfig, s, hidden_act="gelu_new"), TOKCLS),
    "roberta-seqcls": Recipe(roberta, SEQCLS),
    "roberta-tokcls": Recipe(roberta, TOKCLS),
    "distilbert-seqcls": Recipe(distilbert, SEQCLS),
    "distilbert-tokcls": Recipe(distilbert, TOKCLS),
}
