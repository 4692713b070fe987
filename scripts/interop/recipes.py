"""All adapters by name, the most used methods first."""

from adapters_lora import LORA_IA3_PROMPT
from adapters_more import MORE
from recipe import Adapter

ADAPTERS: dict[str, Adapter] = LORA_IA3_PROMPT | MORE
