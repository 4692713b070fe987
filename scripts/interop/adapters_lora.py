"""LoRA, IA3 and prompt tuning: one adapter per option."""

import peft

from recipe import Adapter, make

lora = make(peft.LoraConfig, r=4, lora_alpha=6)
ia3 = make(peft.IA3Config)
prompt = make(peft.PromptTuningConfig, num_virtual_tokens=3)

# What interop.mjs lets our side refuse says so in its note.
SVD = "the base is a residual that PEFT decomposes anew on loading: may be refused"
EVERY_LLAMA_LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]

FIRST: dict[str, Adapter] = {
    "lora-gpt2": lora("gpt2"),
    "lora-llama": lora("llama", target_modules=["q_proj", "v_proj"]),
    "lora-bert-seqcls": lora("bert-seqcls"),
    "ia3-gpt2": ia3("gpt2"),
    "ia3-llama": ia3("llama"),
    "ia3-bert-seqcls": ia3("bert-seqcls"),
    "prompt-gpt2": prompt("gpt2"),
    "prompt-llama": prompt("llama", num_virtual_tokens=5),
    "prompt-bert-seqcls": prompt("bert-seqcls"),
}

LORA: dict[str, Adapter] = {
    "lora-rslora": lora("llama", use_rslora=True, r=5),
    "lora-dora": lora("llama", use_dora=True, target_modules=EVERY_LLAMA_LINEAR),
    "lora-dora-gpt2": lora("gpt2", use_dora=True, target_modules=["c_attn", "c_proj"], fan_in_fan_out=True),
    "lora-dora-bert": lora("bert-seqcls", use_dora=True, use_rslora=True, target_modules=["query", "dense"]),
    "lora-dora-embedding": lora("llama", use_dora=True, target_modules=["embed_tokens", "v_proj"]),
    "lora-patterns": lora(
        "llama",
        target_modules=["q_proj", "k_proj", "v_proj", "o_proj"],
        rank_pattern={"layers.1.self_attn.q_proj": 7, "v_proj": 2, r"layers\.0\..*o_proj": 3},
        alpha_pattern={"q_proj": 10, "layers.0.self_attn.v_proj": 1, "^model.layers.1.self_attn.k_proj": 3},
    ),
    "lora-patterns-rslora": lora("gpt2", use_rslora=True, rank_pattern={"h.0.attn.c_attn": 2}, alpha_pattern={"h.1.attn.c_attn": 3}),
    "lora-layers": lora("llama", layers_to_transform=[1], target_modules=["q_proj", "gate_proj"]),
    "lora-layers-pattern": lora(
        "gpt2", layers_to_transform=0, layers_pattern="h", target_modules=["c_attn", "c_fc"], fan_in_fan_out=True
    ),
    "lora-regex": lora("llama", target_modules=r".*layers\.(0\.self_attn\.[qk]|1\.self_attn\.[vo])_proj"),
    "lora-exclude": lora("llama", target_modules=["q_proj", "v_proj"], exclude_modules=["layers.0.self_attn.v_proj"]),
    "lora-exclude-regex": lora("gpt2", target_modules=["c_attn", "c_proj"], exclude_modules=r".*\.1\.mlp\..*"),
    "lora-full-names": lora("llama", target_modules=["model.layers.1.mlp.up_proj", "model.layers.0.self_attn.k_proj"]),
    "lora-all-linear-llama": lora("llama", target_modules="all-linear", r=2),
    "lora-all-linear-gpt2": lora("gpt2", target_modules="all-linear", r=2),
    "lora-all-linear-bert": lora("bert-seqcls", target_modules="all-linear", r=2),
    "lora-bias-factor": lora("llama", lora_bias=True, target_modules=["q_proj", "down_proj"]),
    "lora-bias-factor-gpt2": lora("gpt2", lora_bias=True, use_rslora=True),
    "lora-bias-all": lora("bert-seqcls", bias="all"),
    "lora-bias-all-gpt2": lora("gpt2", bias="all"),
    "lora-bias-only": lora("gpt2", bias="lora_only", target_modules=["c_attn", "c_fc"], fan_in_fan_out=True),
    "lora-bias-only-bert": lora("bert-seqcls", bias="lora_only"),
    "lora-save-head": lora("gpt2-untied", modules_to_save=["lm_head"]),
    "lora-save-norms": lora("llama", modules_to_save=["norm", "input_layernorm"]),
    "lora-save-embedding": lora("llama", modules_to_save=["embed_tokens"]),
    "lora-save-more": lora("bert-seqcls", modules_to_save=["pooler", "classifier"]),
    "lora-seqcls-llama": lora("llama-seqcls"),
    "lora-seqcls-gpt2": lora("gpt2-seqcls"),
    "lora-seqcls-roberta": lora("roberta-seqcls"),
    "lora-seqcls-distilbert": lora("distilbert-seqcls", target_modules=["q_lin", "v_lin", "out_lin"]),
    "lora-tokcls-bert": lora("bert-tokcls"),
    "lora-tokcls-roberta": lora("roberta-tokcls", target_modules=["query", "key", "value"]),
    "lora-tokcls-distilbert": lora("distilbert-tokcls", target_modules=["q_lin", "lin1", "lin2"]),
    "lora-features": lora("minilm", task_type="FEATURE_EXTRACTION"),
    "lora-embedding": lora("llama", target_modules=["embed_tokens", "q_proj"]),
    "lora-embedding-gpt2": lora("gpt2-untied", target_modules=["wte", "wpe"]),
    "lora-embedding-bert": lora("bert-seqcls", target_modules=["word_embeddings", "value"]),
    "lora-tokens": lora("llama", trainable_token_indices=[3, 7, 11, 20]),
    "lora-tokens-tied": lora("gpt2", trainable_token_indices={"wte": [5, 0, 33]}),
    "lora-head-untied": lora("llama", target_modules=["lm_head", "q_proj"]),
    "lora-head-tied": lora("gpt2", target_modules=["lm_head"], fan_in_fan_out=False),
    "lora-tied-ensured": lora("llama-tied", target_modules=["embed_tokens"], ensure_weight_tying=True),
    "lora-mapping": lora("llama", task_type=None),
    "lora-mapping-bert": lora("bert-seqcls", task_type=None, target_modules=["query"]),
    "lora-pissa": lora("llama", note=SVD, init_lora_weights="pissa"),
    "lora-pissa-converted": lora("llama", init_lora_weights="pissa", form="converted"),
    "lora-pissa-gpt2": lora("gpt2", note=SVD, init_lora_weights="pissa"),
    "lora-olora": lora("llama", note=SVD, init_lora_weights="olora"),
    "lora-olora-converted": lora("llama", init_lora_weights="olora", form="converted"),
    "lora-gaussian": lora("qwen3", init_lora_weights="gaussian", lora_dropout=0.1),
    "lora-orthogonal": lora("qwen2", init_lora_weights="orthogonal"),
    "lora-mistral": lora("mistral", target_modules="all-linear", r=2),
    "lora-gemma": lora("gemma", target_modules=["q_proj", "o_proj"]),
    "lora-gemma2": lora("gemma2", target_modules=["k_proj", "gate_proj"]),
    "lora-bf16": lora("llama-bf16", form="bf16"),
    "lora-old": lora("gpt2-old", form="old"),
    "lora-old-bert": lora("bert-seqcls", form="old", bias="lora_only"),
    "lora-random": lora("gpt2", init_lora_weights=False),
    "lora-replication": lora("llama", layer_replication=[[0, 2], [1, 2]], note="a base with layers repeated: may be refused"),
    "lora-parameters": lora("llama", target_modules=[], target_parameters=["q_proj.weight"], note="a parameter as target: may be refused"),
}

IA3: dict[str, Adapter] = {
    "ia3-gpt2-forward": ia3("gpt2", target_modules=["c_attn", "c_fc", "mlp.c_proj"], feedforward_modules=["c_fc", "mlp.c_proj"], fan_in_fan_out=True),
    "ia3-llama-all": ia3("llama", target_modules=["q_proj", "k_proj", "v_proj", "up_proj", "down_proj"], feedforward_modules=["down_proj", "up_proj"]),
    "ia3-regex": ia3("llama", target_modules=r".*\.(v_proj|down_proj)", feedforward_modules=r".*\.1\.mlp\.down_proj"),
    "ia3-no-forward": ia3("bert-seqcls", target_modules=["key", "value", "intermediate.dense"], feedforward_modules=[]),
    "ia3-save": ia3("llama", modules_to_save=["lm_head"], exclude_modules=["layers.0.self_attn.k_proj"]),
    "ia3-tokcls": ia3("distilbert-tokcls", init_ia3_weights=False, target_modules=["k_lin", "v_lin", "lin2"], feedforward_modules=["lin2"]),
    "ia3-seqcls-llama": ia3("llama-seqcls"),
}

PROMPT: dict[str, Adapter] = {
    "prompt-text": prompt(
        "gpt2-text",
        prompt_tuning_init="TEXT",
        prompt_tuning_init_text="The card was charged",
        tokenizer_name_or_path="gpt2-text",
    ),
    "prompt-sample": prompt("llama", prompt_tuning_init="SAMPLE_VOCAB"),
    "prompt-gemma": prompt("gemma"),
    "prompt-gemma2": prompt("gemma2"),
    "prompt-mistral": prompt("mistral", num_virtual_tokens=4),
    "prompt-qwen3": prompt("qwen3"),
    "prompt-tokcls-bert": prompt("bert-tokcls"),
    "prompt-seqcls-gpt2": prompt("gpt2-seqcls"),
    "prompt-seqcls-llama": prompt("llama-seqcls"),
    "prompt-seqcls-roberta": prompt("roberta-seqcls"),
    "prompt-features": prompt("minilm"),
}

LORA_IA3_PROMPT: dict[str, Adapter] = FIRST | LORA | IA3 | PROMPT
