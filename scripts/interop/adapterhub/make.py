"""Makes the fixtures of AdapterHub with the real `adapters`: `python make.py --models DIR --out DIR`.

Needs adapters 1.3.0 with transformers 4.57, which the other fixtures are not made with; DIR has the folders of `models/`.
"""

import argparse
import json
import os
import shutil
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import adapters
import torch
import transformers as hf
from safetensors.torch import load_file, save_file

FIXTURES = {
    "seq-bert": ("bert", adapters.SeqBnConfig(reduction_factor=4)),
    "double-bert-seqcls": ("bert-seqcls", adapters.DoubleSeqBnConfig(reduction_factor=4)),
    "par-bert": ("bert", adapters.ParBnConfig(reduction_factor=4)),
    "learned-bert": ("bert", adapters.ParBnConfig(reduction_factor={"1": 8, "default": 4}, scaling="learned")),
    "normed-bert": ("bert", adapters.SeqBnConfig(reduction_factor=4, residual_before_ln=False, non_linearity="gelu")),
    "added-bert": ("bert", adapters.SeqBnConfig(reduction_factor=4, residual_before_ln="post_add", leave_out=[0])),
    "seq-roberta": ("roberta", adapters.SeqBnConfig(reduction_factor=4, mh_adapter=True)),
    "seq-distilbert": ("distilbert", adapters.SeqBnConfig(reduction_factor=4)),
    "double-distilbert": ("distilbert", adapters.DoubleSeqBnConfig(reduction_factor=4)),
    "par-distilbert": ("distilbert", adapters.ParBnConfig(reduction_factor=4, mh_adapter=True)),
    "seq-gpt2": ("gpt2", adapters.SeqBnConfig(reduction_factor=4)),
    "double-gpt2": ("gpt2", adapters.DoubleSeqBnConfig(reduction_factor=4)),
    "par-gpt2": ("gpt2", adapters.ParBnConfig(reduction_factor=4)),
    "seq-llama": ("llama", adapters.SeqBnConfig(reduction_factor=4, residual_before_ln=False)),
    "double-llama": ("llama", adapters.DoubleSeqBnConfig(reduction_factor=4)),
    "par-llama": ("llama", adapters.ParBnConfig(reduction_factor=4, scaling="learned")),
}


def _main(output) -> torch.Tensor:
    return output["logits"] if "logits" in output else output["last_hidden_state"]


def _load(folder: Path) -> torch.nn.Module:
    config = hf.AutoConfig.from_pretrained(folder)
    rope = json.loads((folder / "config.json").read_text()).get("rope_parameters")
    if rope is not None:
        config.rope_theta = rope["rope_theta"]
    return getattr(hf, config.architectures[0]).from_pretrained(folder, config=config, torch_dtype=torch.float32).eval()


def _cases(folder: Path) -> dict[str, dict[str, torch.Tensor]]:
    tensors = load_file(folder / "expected.safetensors")
    inputs = ("input_ids", "attention_mask", "token_type_ids")
    return {
        name: {key: tensors[f"{name}.{key}"].long() for key in inputs if f"{name}.{key}" in tensors}
        for name in ("right", "left", "plain")
    }


@torch.no_grad()
def write(name: str, models: Path, out: Path) -> None:
    base, config = FIXTURES[name]
    model, cases, folder = _load(models / base), _cases(models / base), out / name
    before = {key: _main(model(**case)) for key, case in cases.items()}
    wanted = load_file(models / base / "expected.safetensors")
    known = next(wanted[key] for key in ("plain.logits", "plain.last_hidden_state") if key in wanted)
    assert (before["plain"] - known).abs().max() < 1e-4, f"{base}: another transformers computes something else"

    model.name_or_path = model.config._name_or_path = base
    adapters.init(model)
    model.add_adapter("task", config=config)
    model.set_active_adapters("task")
    generator = torch.Generator().manual_seed(len(name))
    own = [p for key, p in model.named_parameters() if ".task." in key]
    for parameter in own:
        parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    shutil.rmtree(folder, ignore_errors=True)
    model.save_adapter(str(folder), "task", with_head=False, use_safetensors=True)
    (folder / "adapter_config.json").write_text(
        json.dumps(json.loads((folder / "adapter_config.json").read_text()), indent=2, sort_keys=True) + "\n"
    )

    flat = {}
    for key, case in cases.items():
        output = _main(model(**case))
        assert (output - before[key]).abs().max() > 0.1, f"{name}: nothing moved"
        flat |= {f"{key}.{k}": v.to(torch.int32) for k, v in case.items()}
        flat[f"{key}.logits"] = output.contiguous()
    save_file(flat, folder / "expected.safetensors", metadata={"format": "pt"})
    about = {"model": base, "trainable": sum(p.numel() for p in own)}
    (folder / "expected.json").write_text(json.dumps(about, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    hf.logging.set_verbosity_error()
    for name in FIXTURES:
        write(name, args.models.resolve(), args.out.resolve())
        print(name, flush=True)


if __name__ == "__main__":
    main()
