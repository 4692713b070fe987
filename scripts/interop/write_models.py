"""Writes one model directory: config, weights and the outputs that transformers computes with them."""

import json
import shutil
from pathlib import Path

import torch
import transformers as hf
from safetensors.torch import load_file, save_file

from cases import flatten, main_output, make_cases, masked_mean, run, write
from loud import make_loud, silent_parameters
from models import MODELS, Recipe
from sizes import Sizes, seed_of

LENGTHS = (9, 5, 1)


def auto_class(head: str):
    return hf.AutoModel if head in ("", "PreTraining") else getattr(hf, f"AutoModelFor{head}")


def load_model(models: Path, name: str) -> torch.nn.Module:
    return auto_class(MODELS[name].head).from_pretrained(models / name, dtype=torch.float32).eval()


def _fresh(recipe: Recipe, size: Sizes, seed: int) -> torch.nn.Module:
    config = recipe.config(size)
    torch.manual_seed(seed)
    make = hf.AutoModelForPreTraining if recipe.head == "PreTraining" else auto_class(recipe.head)
    model = make.from_config(config).eval()
    make_loud(model, seed)
    return model


def _version4(config_file: Path, moved: dict) -> None:
    """Rewrites a config as transformers 4 wrote it; `moved` gives what else was named otherwise."""
    config = json.loads(config_file.read_text())
    config["torch_dtype"] = config.pop("dtype")
    config["transformers_version"] = "4.40.0"
    rope = config.pop("rope_parameters", None)
    if rope is not None:
        config["rope_theta"] = rope.pop("rope_theta")
        config["rope_scaling"] = rope
    config_file.write_text(json.dumps(config | moved, indent=2, sort_keys=True) + "\n")


def _as_old_gpt2(folder: Path, size: Sizes) -> None:
    weights = load_file(folder / "model.safetensors")
    old = {key.removeprefix("transformer."): value for key, value in weights.items() if key != "lm_head.weight"}
    for layer in range(size.layers):
        causal = torch.tril(torch.ones(size.positions, size.positions))
        old[f"h.{layer}.attn.bias"] = causal[None, None].contiguous()
        old[f"h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
    save_file(old, folder / "model.safetensors", metadata={"format": "pt"})
    _version4(folder / "config.json", {"n_ctx": size.positions, "architectures": ["GPT2LMHeadModel"]})


def _as_old_bert(folder: Path, size: Sizes) -> None:
    weights = load_file(folder / "model.safetensors")

    def old(key: str) -> str:
        return key.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")

    renamed = {old(key): value for key, value in weights.items()}
    renamed["bert.embeddings.position_ids"] = torch.arange(size.positions)[None]
    renamed["cls.predictions.decoder.weight"] = weights["bert.embeddings.word_embeddings.weight"].clone()
    save_file(renamed, folder / "model.safetensors", metadata={"format": "pt"})
    _version4(folder / "config.json", {"position_embedding_type": "absolute", "gradient_checkpointing": False})


def write_model(name: str, models: Path, size: Sizes, seed: int) -> None:
    recipe, folder = MODELS[name], models / name
    shutil.rmtree(folder, ignore_errors=True)
    own_seed = seed_of(recipe.same_weights_as or name, seed)
    model = _fresh(recipe, size, own_seed)
    model.to(getattr(torch, recipe.dtype)).save_pretrained(folder, max_shard_size=recipe.shard_size)
    if name == "gpt2-old":
        _as_old_gpt2(folder, size)
    if name == "bert-old":
        _as_old_bert(folder, size)
    if name == "llama-v4config":
        _version4(folder / "config.json", {})

    model = load_model(models, name)
    cases = make_cases(model, own_seed + 1, LENGTHS, positions=True)
    outputs = {key: run(model, case) for key, case in cases.items()}
    _demand_loud(name, model, outputs)
    if recipe.embedding:
        for key, case in cases.items():
            outputs[key]["embedding"] = masked_mean(outputs[key]["last_hidden_state"], case)
    write(flatten(cases, outputs), folder / "expected.safetensors")


def _demand_loud(name: str, model: torch.nn.Module, outputs: dict) -> None:
    output = main_output(outputs["right"])
    silent = silent_parameters(model, output)
    assert not silent, f"{name}: {silent} do not show"
    assert 0.1 < output.std() < 5, f"{name}: outputs of size {output.std():.2f}"
