"""Greedy generation as transformers and PEFT do it: prompts, options and the ids that come out."""

from functools import partial
from pathlib import Path

import peft
import torch

from sizes import seed_of
from text import compact_json
from write_models import load_model

# What is written under a title: a model, or an adapter on one.
TITLES: dict[str, tuple[str, str | None]] = {
    **{name: (name, None) for name in ("gpt2", "llama", "mistral", "gemma2", "qwen3")},
    **{adapter: ("gpt2", adapter) for adapter in ("prompt-gpt2", "lora-gpt2", "prefix-gpt2")},
    **{adapter: ("llama", adapter) for adapter in ("prompt-llama", "prefix-llama")},
}
LENGTHS = (6, 4, 1)
NEW_TOKENS = 16
# Below this margin between the best two tokens, rounding could choose another one than the reference.
MARGIN = 1e-3


def _prompt(rows: list[torch.Tensor], pad: int) -> dict[str, torch.Tensor]:
    width = max(len(row) for row in rows)
    ids = torch.stack([torch.cat([torch.full((width - len(row),), pad), row]) for row in rows])
    mask = torch.stack([torch.cat([torch.zeros(width - len(row)), torch.ones(len(row))]).long() for row in rows])
    return {"input_ids": ids, "attention_mask": mask}


def _has_virtual_tokens(model: torch.nn.Module) -> bool:
    return isinstance(model, peft.PeftModel) and model.active_peft_config.is_prompt_learning


def _with_prefix(model: peft.PeftModel, input_ids: torch.Tensor, attention_mask=None, **_) -> dict:
    virtual = model.active_peft_config.num_virtual_tokens
    mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
    return {
        "input_ids": input_ids,
        "attention_mask": torch.cat([mask.new_ones(len(mask), virtual), mask], dim=1),
        "position_ids": (mask.cumsum(-1) - 1).clamp(min=0) + virtual,
        "past_key_values": model.get_prompt(len(input_ids)),
    }


def _step_by_step(model: torch.nn.Module, ids: torch.Tensor) -> list[int]:
    """The same without `generate`: the whole row anew for each token."""
    start = ids.shape[1]
    for _ in range(NEW_TOKENS):
        best = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[:, -1:].argmax(-1)
        ids = torch.cat([ids, best], dim=1)
    return ids[0, start:].tolist()


def _generate(model: torch.nn.Module, prompt: dict, options: dict) -> dict:
    common = dict(do_sample=False, max_new_tokens=NEW_TOKENS, return_dict_in_generate=True, output_scores=True)
    # transformers 5.24 renamed its cache, and PEFT 0.21 no longer finds it: prompts go in again at every step, and
    # prefixes are lost or grow. Without a cache prompts are right, and prefixes if they are put in anew.
    common["use_cache"] = not _has_virtual_tokens(model)
    if _has_virtual_tokens(model) and model.active_peft_config.peft_type == peft.PeftType.PREFIX_TUNING:
        model.prepare_inputs_for_generation = partial(_with_prefix, model)
    result = model.generate(**prompt, **common | options)
    finite = torch.stack(result.scores).nan_to_num(neginf=-1e9)
    best = finite.topk(2).values
    return {
        **{key: value.tolist() for key, value in prompt.items()},
        "options": dict(max_new_tokens=NEW_TOKENS) | options,
        "output_ids": result.sequences.tolist(),
        "new_ids": result.sequences[:, -len(result.scores) :].tolist(),
        "margin": (best[..., 0] - best[..., 1]).min().item(),
    }


def _cases(model: torch.nn.Module, seed: int) -> dict[str, dict]:
    """Draws prompts until no step of any of them is a close call."""
    config, generator = model.config, torch.Generator().manual_seed(seed)
    never = {"eos_token_id": None}
    for _ in range(50):
        rows = [torch.randint(3, config.vocab_size, (length,), generator=generator) for length in LENGTHS]
        single, batch = _prompt(rows[:1], config.pad_token_id), _prompt(rows, config.pad_token_id)
        free = _generate(model, single, never)
        stop = free["new_ids"][0][5]
        cases = {
            "single": free,
            "batch": _generate(model, batch, never),
            "repetition": _generate(model, single, never | {"repetition_penalty": 1.3}),
            "repetition_batch": _generate(model, batch, never | {"repetition_penalty": 1.3}),
            "stop": _generate(model, single, {"eos_token_id": stop}),
            "stop_batch": _generate(model, batch, {"eos_token_id": [stop, free["new_ids"][0][2]]}),
        }
        if min(case["margin"] for case in cases.values()) > MARGIN:
            assert _step_by_step(model, single["input_ids"]) == free["new_ids"][0], "generate and forward disagree"
            return cases
    raise AssertionError("every prompt leads to a close call")


@torch.no_grad()
def write_generation(title: str, out: Path, seed: int) -> None:
    name, adapter = TITLES[title]
    model = load_model(out / "models", name)
    if adapter:
        model = peft.PeftModel.from_pretrained(model, out / "peft" / adapter).eval()
    # The file names its own stop tokens in every case: the model's are not asked.
    model.generation_config.eos_token_id = None
    about = {"model": name, "adapter": adapter}
    (out / "generation").mkdir(exist_ok=True)
    cases = _cases(model, seed_of(f"generation/{title}", seed))
    (out / "generation" / f"{title}.json").write_text(compact_json(about | {"cases": cases}))
