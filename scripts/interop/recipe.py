"""What a recipe of an adapter holds, and short ways to write one."""

from dataclasses import dataclass, field
from typing import Any

import peft


@dataclass(frozen=True)
class Adapter:
    model: str
    kind: type[peft.PeftConfig]
    options: dict[str, Any] = field(default_factory=dict)
    # "pruned": trained as AdaLoRA is, until it has handed out its ranks; "converted": PiSSA or OLoRA rewritten as plain
    # LoRA of the untouched base; "bf16": weights saved in half precision; "old": the config keys of PEFT 0.4 only.
    form: str = ""
    note: str = ""


def make(kind: type[peft.PeftConfig], **defaults):
    """A maker of recipes of one method, with options that suit the small models."""

    def adapter(model: str, form: str = "", note: str = "", **options) -> Adapter:
        return Adapter(model, kind, defaults | options, form, note)

    return adapter
