"""The Python side of `npm run interop`.

`check.py split DIR`    writes the input of every case of DIR/fixtures as a file of its own into DIR/inputs
`check.py compare DIR`  compares what Espalier made of them in DIR/ours, and what PEFT and transformers make of its files
"""

import json
import os
import sys
import warnings
from pathlib import Path
from typing import Callable, Iterator

os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}

import peft
import torch
import transformers as hf
from safetensors.torch import load_file

from cases import Case, main_output, run, write
from models import MODELS
from write_adapters import MERGED
from write_models import auto_class, load_model

TOLERANCE = 1e-4
INPUTS = ("input_ids", "attention_mask", "token_type_ids", "position_ids")


def fixtures(root: Path) -> Iterator[tuple[str, Path]]:
    for group in ("models", "peft"):
        for folder in sorted((root / "fixtures" / group).glob("*/expected.safetensors")):
            yield f"{group}/{folder.parent.name}", folder.parent


def by_case(folder: Path) -> dict[str, dict[str, torch.Tensor]]:
    cases: dict[str, dict[str, torch.Tensor]] = {}
    for key, value in load_file(folder / "expected.safetensors").items():
        case, name = key.split(".")
        cases.setdefault(case, {})[name] = value
    return cases


def inputs(case: dict[str, torch.Tensor]) -> Case:
    return {name: case[name] for name in INPUTS if name in case}


def split(root: Path) -> None:
    for name, folder in fixtures(root):
        target = root / "inputs" / name
        target.mkdir(parents=True, exist_ok=True)
        for case, tensors in by_case(folder).items():
            write(inputs(tensors), target / f"{case}.safetensors")


def difference(case: dict[str, torch.Tensor], actual: torch.Tensor, expected: torch.Tensor) -> float:
    """The greatest difference at real tokens; what stands at padding is nobody's answer."""
    if actual.shape != expected.shape:
        raise ValueError(f"shape {list(actual.shape)}, expected {list(expected.shape)}")
    gap = (actual - expected).abs()
    mask = case.get("attention_mask")
    if gap.dim() == 3 and mask is not None:
        rows = torch.ones(gap.shape[:2], dtype=torch.bool)
        rows[:, gap.shape[1] - mask.shape[1] :] = mask.bool()
        gap = gap[rows]
    return gap.max().item()


def from_files(ours: Path, suffix: str) -> Callable[[str, dict], torch.Tensor]:
    if not any(ours.glob(f"*{suffix}.safetensors")):
        raise FileNotFoundError("Espalier wrote nothing")

    def read(case: str, _: dict) -> torch.Tensor:
        return main_output(load_file(ours / f"{case}{suffix}.safetensors"))

    return read


def from_model(model: torch.nn.Module) -> Callable[[str, dict], torch.Tensor]:
    def compute(_: str, tensors: dict) -> torch.Tensor:
        longs = {name: value.long() for name, value in inputs(tensors).items()}
        with torch.no_grad():
            return main_output(run(model, longs))

    return compute


def written(folder: Path) -> Path:
    if not folder.is_dir():
        raise FileNotFoundError("Espalier wrote nothing")
    return folder


def checks(root: Path, name: str, folder: Path) -> Iterator[tuple[str, str, Callable]]:
    """What is compared for one fixture: a title, the expected tensor's name ("" for the plain output), who computes."""
    ours, models = root / "ours" / name, root / "fixtures" / "models"
    yield "logits", "", lambda: from_files(ours, "")
    if not name.startswith("peft/"):
        return
    about = json.loads((folder / "expected.json").read_text())
    base = about["model"]
    yield "PEFT loads ours", "", lambda: from_model(
        peft.PeftModel.from_pretrained(load_model(models, base), written(ours / "peft")).eval()
    )
    if about["mergeable"]:
        kind = auto_class(MODELS[base].head)
        yield "merged logits", MERGED, lambda: from_files(ours, ".merged")
        yield "transformers loads merged", MERGED, lambda: from_model(
            kind.from_pretrained(written(ours / "merged"), dtype=torch.float32).eval()
        )


def compare(root: Path) -> dict[str, int]:
    passed = failed = 0
    for name, folder in fixtures(root):
        cases = by_case(folder)
        refusal = root / "ours" / name / "refused"
        if refusal.exists():
            passed += 1
            continue
        for title, key, make in checks(root, name, folder):
            try:
                compute = make()
                worst = max(
                    difference(case, compute(label, case), case[key] if key else main_output(case))
                    for label, case in cases.items()
                )
                problem = "" if worst <= TOLERANCE else f"differs by {worst:.2g}"
            except Exception as error:  # noqa: BLE001: whatever goes wrong is the finding
                problem = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            passed, failed = (passed, failed + 1) if problem else (passed + 1, failed)
            if problem:
                print(f"FAIL {name}: {title}: {problem}", flush=True)
    return {"passed": passed, "failed": failed}


def main() -> None:
    task, root = sys.argv[1], Path(sys.argv[2]).resolve()
    warnings.simplefilter("ignore")
    hf.logging.set_verbosity_error()
    hf.logging.disable_progress_bar()
    if task == "split":
        return split(root)
    (root / "result.json").write_text(json.dumps(compare(root)))


if __name__ == "__main__":
    main()
