"""Every other method of PEFT that Espalier knows, each option at least once."""

import peft

from recipe import Adapter, make

prefix = make(peft.PrefixTuningConfig, num_virtual_tokens=4)
p_tuning = make(peft.PromptEncoderConfig, num_virtual_tokens=3, encoder_hidden_size=12)
adalora = make(peft.AdaLoraConfig, init_r=6, target_r=3, lora_alpha=9, total_step=10)
vera = make(peft.VeraConfig, r=8)
loha = make(peft.LoHaConfig, r=3, alpha=5)
lokr = make(peft.LoKrConfig, r=2, alpha=5)
oft = make(peft.OFTConfig, oft_block_size=4)
boft = make(peft.BOFTConfig, boft_block_size=4)
hra = make(peft.HRAConfig, r=4)
norms = make(peft.LNTuningConfig)
tokens = make(peft.TrainableTokensConfig, token_indices=list(range(60, 2, -3)))
fourier = make(peft.FourierFTConfig, n_frequency=50, scaling=20.0)
DRAWN = "places drawn by torch and not saved: may be refused"
miss = make(peft.MissConfig, r=4)
randlora = make(peft.RandLoraConfig, r=8, randlora_alpha=20)

ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
PRUNED = dict(tinit=2, tfinal=3, deltaT=1, total_step=10)

PROMPTS: dict[str, Adapter] = {
    "prefix-gpt2": prefix("gpt2"),
    "prefix-llama": prefix("llama"),
    "prefix-projection-gpt2": prefix("gpt2", prefix_projection=True, encoder_hidden_size=10),
    "prefix-projection-llama": prefix("llama", prefix_projection=True, encoder_hidden_size=16),
    "prefix-zero": prefix("llama", init_weights="zero"),
    "prefix-mistral": prefix("mistral"),
    "prefix-qwen2": prefix("qwen2"),
    "prefix-qwen3": prefix("qwen3"),
    "prefix-gemma": prefix("gemma"),
    "prefix-gemma2": prefix("gemma2"),
    "prefix-features": prefix("minilm"),
    "ptuning-gpt2": p_tuning("gpt2", encoder_reparameterization_type="MLP"),
    "ptuning-llama": p_tuning("llama", num_virtual_tokens=6, encoder_dropout=0.1),
    "ptuning-lstm": p_tuning("gpt2", encoder_reparameterization_type="LSTM", encoder_num_layers=2),
    "ptuning-bert-seqcls": p_tuning("bert-seqcls", encoder_reparameterization_type="LSTM", encoder_num_layers=1),
}

LOW_RANK: dict[str, Adapter] = {
    "adalora-llama": adalora("llama"),
    "adalora-gpt2": adalora("gpt2", fan_in_fan_out=True, target_modules=["c_attn", "c_fc"], lora_dropout=0.1),
    "adalora-bert-seqcls": adalora("bert-seqcls", bias="all"),
    "adalora-layers": adalora("llama", layers_to_transform=[0], target_modules=ATTENTION),
    "adalora-pruned": adalora("llama", form="pruned", target_modules=ATTENTION, **PRUNED),
    "adalora-pruned-gpt2": adalora("gpt2", form="pruned", **PRUNED),
    "vera-llama": vera("llama", target_modules=ATTENTION),
    "vera-gpt2": vera("gpt2", d_initial=0.4, fan_in_fan_out=True, target_modules=["c_attn", "c_proj"]),
    "vera-bert-seqcls": vera("bert-seqcls", bias="vera_only", target_modules=["query", "intermediate.dense"]),
    "vera-layers": vera("llama", layers_to_transform=[1], projection_prng_key=7, target_modules=["up_proj", "down_proj"]),
    "vera-no-projection": vera("llama", save_projection=False, note="projections not saved: may be refused"),
    "loha-llama": loha("llama"),
    "loha-bert-seqcls": loha("bert-seqcls", rank_dropout=0.1, module_dropout=0.1),
    "loha-patterns": loha(
        "llama", target_modules=ATTENTION, rank_pattern={"q_proj": 2, "k_proj": 5}, alpha_pattern={"v_proj": 2}
    ),
    "loha-layers": loha("llama", layers_to_transform=[0], use_effective_conv2d=True, modules_to_save=["norm"]),
    "lokr-llama": lokr("llama", target_modules=[*ATTENTION, "down_proj"]),
    "lokr-bert-seqcls": lokr("bert-seqcls", target_modules=["query", "dense"]),
    "lokr-both": lokr("llama", decompose_both=True, decompose_factor=8, r=2, target_modules=["q_proj", "up_proj"]),
    "lokr-full": lokr("llama", r=100, target_modules=ATTENTION),
    "lokr-lycoris": lokr("llama", init_weights="lycoris", rank_dropout_scale=True, decompose_factor=2),
    "lokr-patterns": lokr("llama", r=3, rank_pattern={"q_proj": 1}, alpha_pattern={"layers.1.self_attn.v_proj": 7}),
    "randlora-llama": randlora("llama"),
    "randlora-gpt2": randlora("gpt2", fan_in_fan_out=True, layers_to_transform=[1], projection_prng_key=7),
    "randlora-bert-seqcls": randlora("bert-seqcls", bias="randlora_only", r=5),
    "randlora-sparse": randlora("llama", sparse=True, target_modules=["k_proj", "o_proj"], layers_to_transform=[0]),
    "randlora-very-sparse": randlora("llama", very_sparse=True, layers_to_transform=[1]),
    "randlora-no-projection": randlora("llama", save_projection=False, note="projections not saved: may be refused"),
}

# HRA starts with its vectors in equal pairs, on which Gram-Schmidt divides rounding by rounding: so not with `apply_GS`.
ORTHOGONAL: dict[str, Adapter] = {
    "oft-llama": oft("llama"),
    "oft-bert-seqcls": oft("bert-seqcls", bias="oft_only", target_modules=["query", "output.dense"]),
    "oft-cayley": oft("llama", use_cayley_neumann=False, target_modules=[*ATTENTION, "down_proj"]),
    "oft-terms": oft("llama", num_cayley_neumann_terms=3),
    "oft-terms-many": oft("llama", num_cayley_neumann_terms=7, oft_block_size=8),
    "oft-rank": oft("llama", r=2, oft_block_size=0),
    "oft-shared": oft("llama", block_share=True),
    "oft-shared-cayley": oft("llama", block_share=True, use_cayley_neumann=False, module_dropout=0.1),
    "oft-coft": oft("llama", coft=True, eps=0.3),
    "oft-coft-cayley": oft("bert-seqcls", coft=True, eps=0.2, use_cayley_neumann=False),
    "oft-layers": oft("llama", layers_to_transform=[1], exclude_modules=["v_proj"], target_modules=ATTENTION),
    "boft-llama": boft("llama"),
    "boft-bert-seqcls": boft("bert-seqcls", bias="boft_only", boft_dropout=0.1),
    "boft-factors": boft("llama", boft_n_butterfly_factor=2, target_modules=["q_proj", "gate_proj"]),
    "boft-factors-many": boft("bert-seqcls", boft_n_butterfly_factor=3, boft_block_size=2),
    "boft-blocks": boft("llama", boft_block_size=0, boft_block_num=4, layers_to_transform=[0]),
    "hra-llama": hra("llama"),
    "hra-odd": hra("llama", r=3, target_modules=[*ATTENTION, "down_proj"]),
    "hra-schmidt": hra("llama", apply_GS=True, init_weights=False),
    "hra-bert-seqcls": hra("bert-seqcls", r=5, apply_GS=True, init_weights=False, bias="hra_only", target_modules=["query", "dense"]),
    "hra-layers": hra("llama", layers_to_transform=[1], init_weights=False),
}

REST: dict[str, Adapter] = {
    "norms-llama": norms("llama"),
    "norms-gpt2": norms("gpt2", target_modules=["ln_1", "ln_f"]),
    "norms-bert-seqcls": norms("bert-seqcls", target_modules=["LayerNorm"], exclude_modules=["embeddings.LayerNorm"]),
    "norms-gemma": norms("gemma", target_modules=["input_layernorm", "norm"]),
    "tokens-llama": tokens("llama"),
    "tokens-gpt2": tokens("gpt2", target_modules=["wte"]),
    "tokens-tied": tokens("llama-tied"),
    "tokens-bert-seqcls": tokens("bert-seqcls", target_modules=["word_embeddings"]),
    "fourier-llama": fourier("llama", note=DRAWN, random_loc_seed=5),
    "fourier-gpt2": fourier("gpt2", note=DRAWN, target_modules=["c_attn"], fan_in_fan_out=True),
    "fourier-bert-seqcls": fourier("bert-seqcls", note=DRAWN, bias="fourier_only", n_frequency_pattern={"query": 20}),
    "fourier-layers": fourier("llama", note=DRAWN, layers_to_transform=[0], target_modules=ATTENTION),
    "miss-llama": miss("llama"),
    "miss-bert-seqcls": miss("bert-seqcls", bias="MiSS_only", miss_dropout=0.1),
    "miss-uneven": miss("llama", r=5, target_modules=[*ATTENTION, "up_proj"]),
    "miss-mini": miss("llama", init_weights="mini", mini_r=4),
    "miss-bat": miss("llama", init_weights="bat", target_modules=["q_proj"]),
    "miss-layers": miss("llama", layers_to_transform=[1], modules_to_save=["lm_head"]),
}

MORE: dict[str, Adapter] = PROMPTS | LOW_RANK | ORTHOGONAL | REST
