"""Bottleneck adapters as AdapterHub saves them: `python adapterhub.py --out DIR`, beside the models that make.py wrote.

The package `adapters` asks for transformers 4, so it has an environment of its own: requirements-adapterhub.txt.
"""

import argparse
import json
import os
import shutil
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "MKL_CBWR": "COMPATIBLE", "HF_HUB_OFFLINE": "1"}

import adapters
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification

BOTTLENECKS = {
    "seq-bn": adapters.SeqBnConfig(reduction_factor=4),
    "double-seq-bn": adapters.DoubleSeqBnConfig(reduction_factor=8),
    "par-bn": adapters.ParBnConfig(reduction_factor=4),
    "scaled": adapters.SeqBnConfig(reduction_factor=4, scaling="learned"),
    "scaled-parallel": adapters.ParBnConfig(reduction_factor=2, scaling="learned"),
    "channel": adapters.SeqBnConfig(reduction_factor=8, scaling="channel", non_linearity="gelu"),
    "per-layer": adapters.SeqBnConfig(reduction_factor={"default": 4, "1": 8}),
    "leave-out": adapters.DoubleSeqBnConfig(reduction_factor=8, leave_out=[0]),
}
# The inputs are those of an adapter that PEFT wrote for the same model.
INPUTS = "lora-bert-seqcls"
MODEL = "bert-seqcls"


@torch.no_grad()
def write_bottleneck(name: str, config: adapters.BnConfig, out: Path) -> None:
    folder = out / "adapterhub" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    torch.manual_seed(len(name))
    model = AutoModelForSequenceClassification.from_pretrained(MODEL).eval()
    adapters.init(model)
    model.add_adapter(name, config=config)
    model.train_adapter(name)
    model.eval()
    generator = torch.Generator().manual_seed(len(name))
    trained = [parameter for key, parameter in model.named_parameters() if f".{name}." in key]
    for parameter in trained:
        parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    model.save_adapter(folder, name, with_head=False, use_safetensors=True)

    tensors = load_file(out / "peft" / INPUTS / "expected.safetensors")
    flat = {key: value for key, value in tensors.items() if not key.endswith(("logits", "merged"))}
    for case in sorted({key.split(".")[0] for key in flat}):
        inputs = {key.split(".")[1]: value.long() for key, value in flat.items() if key.startswith(f"{case}.")}
        model.set_active_adapters(None)
        base = model(**inputs).logits
        model.set_active_adapters(name)
        flat[f"{case}.logits"] = model(**inputs).logits
        assert (flat[f"{case}.logits"] - base).abs().max() > 0.1, f"{name} does not show"
    save_file(flat, folder / "expected.safetensors", metadata={"format": "pt"})
    about = {"model": MODEL, "trainable": sum(parameter.numel() for parameter in trained)}
    (folder / "expected.json").write_text(json.dumps(about, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out.resolve()
    # The file names its base by what it was loaded from: here a folder beside it, on no particular machine.
    os.chdir(out / "models")
    for name, config in BOTTLENECKS.items():
        write_bottleneck(name, config, out)
        print(f"adapterhub/{name}", flush=True)


if __name__ == "__main__":
    main()
