"""Writes one PEFT directory: the adapter as PEFT saves it, and what PEFT computes after loading it again."""

import json
import shutil
from pathlib import Path

import peft
import torch
from safetensors.torch import load_file

from cases import flatten, main_output, make_cases, run, write
from models import MODELS
from recipe import Adapter
from sizes import seed_of
from write_models import load_model

LENGTHS = (5, 3)
TASKS = {"CausalLM": "CAUSAL_LM", "SequenceClassification": "SEQ_CLS", "TokenClassification": "TOKEN_CLS"}
MERGED = "merged"
OLD_KEYS = """auto_mapping base_model_name_or_path bias fan_in_fan_out inference_mode init_lora_weights layers_pattern
layers_to_transform lora_alpha lora_dropout modules_to_save peft_type r revision target_modules task_type""".split()


def _config(adapter: Adapter) -> peft.PeftConfig:
    task = TASKS.get(MODELS[adapter.model].head, "FEATURE_EXTRACTION")
    return adapter.kind(**dict(task_type=task) | adapter.options)


def _prune(model: peft.PeftModel, case: dict) -> None:
    """Trains as AdaLoRA is trained, so that it hands out its ranks unevenly."""
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for step in range(model.peft_config["default"].total_step):
        model(**case, labels=case["input_ids"]).loss.backward()
        optimizer.step()
        model.base_model.update_and_allocate(step)
        optimizer.zero_grad()


@torch.no_grad()
def _make_loud(model: peft.PeftModel, case: dict, base: torch.Tensor, seed: int) -> None:
    """Moves every trained parameter, further and further until the outputs differ well from the base's."""
    generator = torch.Generator().manual_seed(seed)
    trained = [(p, p.clone(), torch.randn(p.shape, generator=generator)) for p in model.parameters() if p.requires_grad]
    for scale in (0.05, 0.1, 0.2, 0.4, 0.8):
        for parameter, start, noise in trained:
            parameter.copy_(start + scale * noise)
        if _moved(model, case, base) > 0.5:
            return


def _moved(model: torch.nn.Module, case: dict, base: torch.Tensor) -> float:
    output = main_output(run(model, case))
    return _differ(output[:, -base.shape[1] :] if base.dim() == 3 else output, base)


def _differ(a: torch.Tensor, b: torch.Tensor) -> float:
    return (a - b).abs().max().item()


def _load(models: Path, adapter: Adapter, folder: Path) -> peft.PeftModel:
    return peft.PeftModel.from_pretrained(load_model(models, adapter.model), folder).eval()


def _merged(models: Path, adapter: Adapter, folder: Path) -> torch.nn.Module | None:
    model = _load(models, adapter, folder)
    if not hasattr(model.base_model, "merge_and_unload"):
        return None
    try:
        return model.merge_and_unload().eval()
    except (NotImplementedError, RuntimeError, ValueError):
        return None


@torch.no_grad()
def _expected(models: Path, adapter: Adapter, folder: Path, cases: dict) -> tuple[dict, bool, float]:
    model, merged = _load(models, adapter, folder), _merged(models, adapter, folder)
    outputs = {key: run(model, case) for key, case in cases.items()}
    moved = _moved(model, cases["plain"], main_output(run(load_model(models, adapter.model), cases["plain"])))
    if merged is None:
        return outputs, False, moved
    merges = {key: main_output(run(merged, case)) for key, case in cases.items()}
    # Where weights are tied PEFT merges into both uses of them: such a merge is no reference.
    if _differ(merges["plain"], main_output(outputs["plain"])) > 1e-3:
        return outputs, False, moved
    return {key: output | {MERGED: merges[key]} for key, output in outputs.items()}, True, moved


def write_adapter(name: str, adapter: Adapter, out: Path, seed: int) -> None:
    models, folder, own_seed = out / "models", out / "peft" / name, seed_of(name, seed)
    shutil.rmtree(folder, ignore_errors=True)
    base = load_model(models, adapter.model)
    cases = make_cases(base, own_seed, LENGTHS)
    with torch.no_grad():
        base_output = main_output(run(base, cases["plain"]))
    torch.manual_seed(own_seed)
    base.name_or_path = base.config._name_or_path = adapter.model
    model = peft.get_peft_model(base, _config(adapter)).eval()
    trainable, _ = model.get_nb_trainable_parameters()
    initial = folder.with_name("initial")
    if adapter.form == "converted":
        model.peft_config["default"].init_lora_weights = True
        model.save_pretrained(initial)
        model.peft_config["default"].init_lora_weights = adapter.options["init_lora_weights"]
    if adapter.form == "pruned":
        _prune(model, cases["plain"])
    _make_loud(model, cases["plain"], base_output, own_seed + 1)

    conversion = dict(path_initial_model_for_weight_conversion=str(initial)) if adapter.form == "converted" else {}
    model.save_pretrained(folder, **conversion)
    shutil.rmtree(initial, ignore_errors=True)
    (folder / "README.md").unlink()
    _rewrite_config(folder / "adapter_config.json", adapter.form)
    if adapter.form == "bf16":
        weights = {key: value.bfloat16() for key, value in load_file(folder / "adapter_model.safetensors").items()}
        write(weights, folder / "adapter_model.safetensors")

    # What is in the file is not what was trained: the ranks are others.
    if adapter.form in ("pruned", "converted"):
        trained = peft.PeftModel.from_pretrained(load_model(models, adapter.model), folder, is_trainable=True)
        trainable, _ = trained.get_nb_trainable_parameters()
    outputs, mergeable, moved = _expected(models, adapter, folder, cases)
    assert moved > 0.1, f"{name}: the outputs moved by {moved:.3f} only"
    write(flatten(cases, outputs), folder / "expected.safetensors")
    about = {"model": adapter.model, "type": model.peft_config["default"].peft_type.value, "trainable": trainable}
    options = [f"{key}={value!r}" for key, value in adapter.options.items()]
    about |= {"mergeable": mergeable, "options": ", ".join(filter(None, [adapter.note, adapter.form, *options]))}
    (folder / "expected.json").write_text(json.dumps(about, indent=2) + "\n")


def _rewrite_config(config_file: Path, form: str) -> None:
    """PEFT writes a set in the order of its hashes, another one in every run: here sorted."""
    config = json.loads(config_file.read_text())
    for key, value in config.items():
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            config[key] = sorted(value)
    if form == "old":
        config = {key: config[key] for key in OLD_KEYS}
    config_file.write_text(json.dumps(config, indent=2, sort_keys=True))
