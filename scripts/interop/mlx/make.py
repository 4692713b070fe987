"""Makes the fixtures of MLX-LM with the real mlx-lm, which runs on CPUs too: `python make.py --models DIR --out DIR`.

Needs mlx, mlx-cpu 0.32 and mlx-lm 0.32; DIR has the folders of `models/`.
"""

import argparse
import importlib
import json
import shutil
from pathlib import Path

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten
from mlx_lm.tuner.utils import linear_to_lora_layers, load_adapters
from safetensors.numpy import load_file, save_file

FIXTURES = {
    "lora-llama": ("llama", "lora", -1, {"rank": 3, "scale": 7.0, "dropout": 0.0}),
    "lora-last": ("llama", "lora", 1, {"rank": 2, "scale": 20.0, "dropout": 0.1, "keys": ["self_attn.k_proj", "mlp.down_proj"]}),
    "lora-head": ("llama", "lora", 1, {"rank": 2, "scale": 1.5, "dropout": 0.0, "keys": ["lm_head", "self_attn.o_proj"]}),
    "dora-llama": ("llama", "dora", 1, {"rank": 2, "scale": 5.0, "dropout": 0.0}),
    "lora-gpt2": ("gpt2", "lora", 2, {"rank": 2, "scale": 3.0, "dropout": 0.0}),
    "dora-gpt2": ("gpt2", "dora", 1, {"rank": 2, "scale": 3.0, "dropout": 0.0, "keys": ["attn.c_proj", "mlp.c_fc"]}),
    "lora-qwen3": ("qwen3", "lora", 1, {"rank": 2, "scale": 10.0, "dropout": 0.0}),
}


def load(folder: Path):
    config = json.loads((folder / "config.json").read_text())
    config |= {k: v for k, v in (config.get("rope_parameters") or {}).items() if k == "rope_theta"}
    if config["model_type"] == "gpt2":
        config["n_ctx"] = config["n_positions"]
    module = importlib.import_module(f"mlx_lm.models.{config['model_type']}")
    model = module.Model(module.ModelArgs.from_dict(config))
    # The GPT-2 that mlx-lm knows is the Hub's own, the names of which have no `transformer`.
    stored = mx.load(str(folder / "model.safetensors"))
    weights = {k.removeprefix("transformer."): v.astype(mx.float32) for k, v in stored.items()}
    model.load_weights(list(model.sanitize(weights).items()) if hasattr(model, "sanitize") else list(weights.items()))
    model.eval()
    return model


def write(name: str, models: Path, out: Path) -> None:
    base, kind, last, lora = FIXTURES[name]
    folder = out / name
    expected = load_file(models / base / "expected.safetensors")
    ids = expected["plain.input_ids"]
    model = load(models / base)
    before = np.array(model(mx.array(ids)))
    apart = np.abs(before - expected["plain.logits"]).max()
    assert apart < 1e-3, f"{base}: mlx-lm computes something else, by {apart}"

    linear_to_lora_layers(model, last, lora, use_dora=kind == "dora")
    mx.random.seed(len(name))
    own = [(k, v) for k, v in tree_flatten(model.parameters()) if k.rsplit(".", 1)[-1] in ("lora_a", "lora_b", "m")]
    moved = {k: v + 0.1 * mx.random.normal(v.shape) for k, v in own}
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    mx.save_safetensors(str(folder / "adapters.safetensors"), moved)
    config = {"fine_tune_type": kind, "num_layers": last, "lora_parameters": lora, "model": base, "iters": 1}
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=4, sort_keys=True))

    adapted = load_adapters(load(models / base), str(folder))
    adapted.eval()
    logits = np.array(adapted(mx.array(ids)))
    assert np.abs(logits - before).max() > 0.1, f"{name}: nothing moved"
    save_file({"plain.input_ids": ids, "plain.logits": logits}, folder / "expected.safetensors", {"format": "pt"})
    about = {"model": base, "trainable": sum(v.size for v in moved.values())}
    (folder / "expected.json").write_text(json.dumps(about, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    for name in FIXTURES:
        write(name, args.models.resolve(), args.out.resolve())
        print(name, flush=True)


if __name__ == "__main__":
    main()
