"""The sizes of the models: the committed ones for seed 0, drawn for every other seed."""

import random
from dataclasses import dataclass
from zlib import crc32


@dataclass(frozen=True)
class Sizes:
    hidden: int = 32
    layers: int = 2
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 12
    ffn: int = 40
    vocab: int = 64
    positions: int = 40
    labels: int = 3
    window: int = 5


def sizes(seed: int) -> Sizes:
    if seed == 0:
        return Sizes()
    rng = random.Random(seed)
    heads = rng.choice([2, 4])
    return Sizes(
        hidden=rng.choice([16, 32, 48, 64]),
        layers=rng.choice([2, 3]),
        heads=heads,
        kv_heads=rng.choice([1, 2, heads]),
        head_dim=rng.choice([8, 12, 16]),
        ffn=rng.choice([24, 40, 56]),
        vocab=rng.choice([64, 80, 96]),
        positions=rng.choice([40, 48]),
        labels=rng.choice([2, 3, 5]),
        window=rng.choice([3, 5, 6]),
    )


def seed_of(name: str, seed: int) -> int:
    """One seed per fixture, so that `--only` gives the same files as a whole run."""
    return (crc32(name.encode()) + 7919 * seed) % 2**31
