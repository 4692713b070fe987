"""The inputs on which every fixture is compared, and the running of a model on them."""

import inspect
from pathlib import Path

import torch
from safetensors.torch import save_file

Case = dict[str, torch.Tensor]
TOKEN_OUTPUTS = ("logits", "last_hidden_state", "pooler_output")


def _padded(rows: list[torch.Tensor], width: int, pad: int, left: bool) -> Case:
    def fill(row: torch.Tensor, value: int) -> torch.Tensor:
        rest = torch.full((width - len(row),), value)
        return torch.cat([rest, row] if left else [row, rest])

    ids = torch.stack([fill(row, pad) for row in rows])
    return {"input_ids": ids, "attention_mask": torch.stack([fill(torch.ones_like(row), 0) for row in rows])}


def _positions(batch: int, width: int) -> torch.Tensor:
    """Rows that start later, go in twos and go backwards."""
    steps = torch.arange(width)
    rows = [steps + 3, 2 * steps + 1, width - 1 - steps]
    return torch.stack([rows[index % 3] for index in range(batch)])


def accepts(model: torch.nn.Module, argument: str) -> bool:
    inner = getattr(model, "base_model", model)
    return all(argument in inspect.signature(m.forward).parameters for m in (model, inner))


def make_cases(model: torch.nn.Module, seed: int, lengths: tuple[int, ...], positions: bool = False) -> dict[str, Case]:
    """`right` and `left` padded, `plain` without a mask and, if asked for, `positions` given one by one."""
    config, generator = model.config, torch.Generator().manual_seed(seed)
    pad, width = config.pad_token_id, max(lengths)

    def words(length: int) -> torch.Tensor:
        ids = torch.randint(0, config.vocab_size - 1, (length,), generator=generator)
        return ids + (ids >= pad)

    rows = [words(length) for length in lengths]
    cases = {
        "right": _padded(rows, width, pad, left=False),
        "left": _padded(rows, width, pad, left=True),
        "plain": {"input_ids": torch.stack([words(width - 1), words(width - 1)])},
    }
    if getattr(config, "type_vocab_size", 1) > 1:
        mask = cases["right"]["attention_mask"]
        cases["right"]["token_type_ids"] = torch.randint(0, 2, mask.shape, generator=generator) * mask
    if positions and accepts(model, "position_ids"):
        full = {"input_ids": torch.stack([words(width) for _ in lengths])}
        full["attention_mask"] = torch.ones_like(full["input_ids"])
        full["position_ids"] = _positions(len(lengths), width)
        # RoBERTa counts from behind its padding index.
        full["position_ids"] += (pad + 1) if config.model_type == "roberta" else 0
        cases["positions"] = full
    return cases


def run(model: torch.nn.Module, case: Case) -> dict[str, torch.Tensor]:
    output = model(**case)
    return {name: output[name] for name in TOKEN_OUTPUTS if name in output}


def main_output(outputs: dict[str, torch.Tensor]) -> torch.Tensor:
    return outputs["logits"] if "logits" in outputs else outputs["last_hidden_state"]


def masked_mean(hidden: torch.Tensor, case: Case) -> torch.Tensor:
    mask = case.get("attention_mask", torch.ones_like(case["input_ids"])).unsqueeze(-1).float()
    return (hidden * mask).sum(1) / mask.sum(1)


def flatten(cases: dict[str, Case], outputs: dict[str, dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    flat = {}
    for name, case in cases.items():
        flat |= {f"{name}.{key}": value.to(torch.int32) for key, value in case.items()}
        flat |= {f"{name}.{key}": value.detach().contiguous() for key, value in outputs[name].items()}
    assert all(torch.isfinite(value).all() for value in flat.values()), "an output is not finite"
    return flat


def write(tensors: dict[str, torch.Tensor], path: Path) -> None:
    save_file(tensors, path, metadata={"format": "pt"})
