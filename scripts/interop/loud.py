"""Loud weights: every parameter is drawn so that leaving it out, or reading it wrongly, shows in the logits."""

import torch
from transformers.pytorch_utils import Conv1D

# A bias of the keys moves every score of a query alike, so softmax hides it; a pooler does not touch the hidden states.
SILENT = ("attention.self.key.bias", "attention.k_lin.bias", "pooler.dense.weight", "pooler.dense.bias")


def _std(name: str, parameter: torch.nn.Parameter, conv: bool) -> float:
    if parameter.dim() == 1:
        return 0.3
    if "embed" in name or "wte" in name or "wpe" in name or name.endswith("lm_head.weight"):
        return 2 / parameter.shape[1] ** 0.5
    return 1.4 / parameter.shape[0 if conv else 1] ** 0.5


@torch.no_grad()
def make_loud(model: torch.nn.Module, seed: int) -> None:
    """Norms keep the centre that their family gives them (1, or 0 in Gemma); everything else is drawn round 0."""
    generator = torch.Generator().manual_seed(seed)
    conv = {f"{name}.weight" for name, module in model.named_modules() if isinstance(module, Conv1D)}
    for name, parameter in model.named_parameters():
        centre = parameter.clone() if parameter.dim() == 1 and name.endswith("weight") else 0
        noise = torch.randn(parameter.shape, generator=generator)
        parameter.copy_(centre + _std(name, parameter, name in conv) * noise)


def silent_parameters(model: torch.nn.Module, output: torch.Tensor) -> list[str]:
    """The parameters on which an output does not depend."""
    weights = torch.randn(output.shape, generator=torch.Generator().manual_seed(1))
    named = [(name, p) for name, p in model.named_parameters() if not name.endswith(SILENT)]
    gradients = torch.autograd.grad((output * weights).sum(), [p for _, p in named], allow_unused=True)
    return [name for (name, _), g in zip(named, gradients) if g is None or g.abs().max() < 1e-4]
