"""PyTorch with transformers and PEFT as a contestant: one task on one model, float32, all cores."""

import os
from collections.abc import Callable

import peft
import torch
import transformers
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from torch.nn import functional
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from serve import ids_of, serve, timed

ADAPTED = {
    "gpt2": ["c_attn"],
    "sllm": ["Wq", "Wk", "Wv", "projection_out", "ln_1", "c_proj"],
}


def load(case: dict, **options: object) -> torch.nn.Module:
    if case["model"] == "sllm":
        from sllm_torch import load as load_sllm

        return load_sllm(case["folder"], case["sizes"])
    return AutoModelForCausalLM.from_pretrained(case["folder"], dtype=torch.float32, **options)


def quantised(case: dict) -> torch.nn.Module:
    """In NF4 by bitsandbytes; that says itself what it needs where it is not installed."""
    config = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.float32)
    return load(case, quantization_config=config, device_map="cpu")


def with_lora(model: torch.nn.Module, case: dict) -> torch.nn.Module:
    gpt2 = case["model"] == "gpt2"
    config = LoraConfig(r=case["rank"], lora_alpha=16, target_modules=ADAPTED[case["model"]], fan_in_fan_out=gpt2)
    tuned = get_peft_model(model, config)
    drawn = load_file(f"{case['folder']}/lora.safetensors")
    modules = dict(tuned.base_model.model.named_modules())
    with torch.no_grad():
        for label, a in drawn.items():
            modules[label.removesuffix(".weight.a")].lora_A["default"].weight.copy_(a.T)
    return tuned


def loss_of(model: torch.nn.Module, case: dict, ids: torch.Tensor) -> torch.Tensor:
    if case["model"] == "gpt2":
        return model(input_ids=ids, labels=ids).loss
    logits = model(input_ids=ids)
    return functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())


def training(model: torch.nn.Module, case: dict) -> Callable[[], dict]:
    model.train()
    ids = torch.tensor(ids_of(case))
    learns = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(learns, lr=1e-3, weight_decay=0.01)

    def step() -> dict:
        loss = loss_of(model, case, ids)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        return {"value": loss.item()}

    return step


def forward(model: torch.nn.Module, case: dict) -> Callable[[], dict]:
    model.eval()
    ids = torch.tensor(ids_of(case))

    @torch.inference_mode()
    def step() -> dict:
        out = model(input_ids=ids)
        logits = out if torch.is_tensor(out) else out.logits
        return {"value": logits[-1, -1, 0].item()}

    return step


def generation(model: torch.nn.Module, case: dict) -> Callable[[], dict]:
    model.eval()
    ids = torch.tensor(ids_of(case))
    new = case["newTokens"]
    options = {"do_sample": False, "use_cache": True, "eos_token_id": None, "pad_token_id": 0}

    @torch.inference_mode()
    def step() -> dict:
        out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=new, min_new_tokens=new, **options)
        tokens = out[0, ids.shape[1] :].tolist()
        return {"value": float(sum((i + 1) * token for i, token in enumerate(tokens)))}

    return step


def products(case: dict) -> Callable[[], dict]:
    def operand(outer: list[int], rows: int, columns: int, transposed: bool) -> torch.Tensor:
        return torch.rand(*outer, columns, rows).mT if transposed else torch.rand(*outer, rows, columns)

    all_products = []
    for p in case["products"]:
        outer = [p["batch"]] if "batch" in p else []
        a = operand(outer, p["rows"], p["depth"], p.get("transposeA", False))
        b = operand(outer, p["depth"], p["columns"], p.get("transposeB", False))
        flops = 2 * p.get("batch", 1) * p["rows"] * p["depth"] * p["columns"]
        all_products.append((p["name"], flops, a, b))
    return lambda: {"parts": {name: timed(flops, lambda: a @ b) for name, flops, a, b in all_products}}


def prepare(case: dict) -> tuple[dict, Callable[[], dict]]:
    torch.set_num_threads(os.cpu_count() or 1)
    torch.manual_seed(0)
    about = {
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "peft": peft.__version__,
        "threads": torch.get_num_threads(),
    }
    task = case["task"]
    if task == "matmul":
        return about, products(case)
    if task == "qlora":
        return about, training(with_lora(quantised(case), case), case)
    model = load(case)
    if task == "lora":
        return about, training(with_lora(model, case), case)
    return about, {"full": training, "forward": forward, "generation": generation}[task](model, case)


serve(prepare)
