"""JAX as a contestant: GPT-2 written by hand, the whole step under one jit; LoRA, full fine-tuning, and the forward pass."""

import os
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from safetensors.numpy import load_file

from serve import ids_of, serve

BETAS, EPS, RATE, DECAY = (0.9, 0.999), 1e-8, 1e-3, 0.01


def norm(x: jax.Array, p: dict) -> jax.Array:
    centred = x - x.mean(-1, keepdims=True)
    return centred * jax.lax.rsqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * p["weight"] + p["bias"]


def dense(x: jax.Array, p: dict) -> jax.Array:
    y = x @ p["weight"] + p["bias"]
    return y + (x @ p["a"]) @ p["b"] * p["scale"] if "a" in p else y


def attention(x: jax.Array, p: dict, heads: int) -> jax.Array:
    batch, length, d = x.shape
    q, k, v = (y.reshape(batch, length, heads, d // heads) for y in jnp.split(dense(x, p["c_attn"]), 3, -1))
    y = jax.nn.dot_product_attention(q, k, v, is_causal=True)
    return dense(y.reshape(batch, length, d), p["c_proj"])


def logits_of(params: dict, ids: jax.Array, heads: int) -> jax.Array:
    body = params["transformer"]
    x = body["wte"]["weight"][ids] + body["wpe"]["weight"][: ids.shape[1]]
    for i in range(len(body["h"])):
        block = body["h"][str(i)]
        x = x + attention(norm(x, block["ln_1"]), block["attn"], heads)
        x = x + dense(jax.nn.gelu(dense(norm(x, block["ln_2"]), block["mlp"]["c_fc"])), block["mlp"]["c_proj"])
    return norm(x, body["ln_f"]) @ body["wte"]["weight"].T


def nested(flat: dict) -> dict:
    tree: dict = {}
    for name, value in flat.items():
        *path, last = name.split(".")
        node = tree
        for key in path:
            node = node.setdefault(key, {})
        node[last] = jnp.asarray(value)
    return tree


def combined(frozen: dict, learns: dict) -> dict:
    """Two nested records as one."""
    out = dict(frozen)
    for key, value in learns.items():
        out[key] = combined(frozen.get(key, {}), value) if isinstance(value, dict) else value
    return out


def with_lora(case: dict) -> dict:
    drawn = load_file(f"{case['folder']}/lora.safetensors")
    d, rank = case["sizes"]["d"], case["rank"]
    flat = {}
    for label, a in drawn.items():
        layer = label.removesuffix(".weight.a")
        flat[f"{layer}.a"], flat[f"{layer}.b"] = a, jnp.zeros((rank, 3 * d))
    return nested(flat)


def adamw(state: tuple, grads: dict, learns: dict) -> tuple[tuple, dict]:
    count, mean, square = state
    count = count + 1
    mean = jax.tree.map(lambda m, g: BETAS[0] * m + (1 - BETAS[0]) * g, mean, grads)
    square = jax.tree.map(lambda s, g: BETAS[1] * s + (1 - BETAS[1]) * g * g, square, grads)

    def moved(p: jax.Array, m: jax.Array, s: jax.Array) -> jax.Array:
        direction = m / (1 - BETAS[0] ** count) / (jnp.sqrt(s / (1 - BETAS[1] ** count)) + EPS)
        return p - RATE * (direction + DECAY * p)

    return (count, mean, square), jax.tree.map(moved, learns, mean, square)


def prepare(case: dict) -> tuple[dict, Callable[[], dict]]:
    about = {"jax": jax.__version__, "threads": os.cpu_count() or 1}
    heads, ids = case["sizes"]["heads"], jnp.asarray(ids_of(case))
    params = nested(load_file(f"{case['folder']}/model.safetensors"))
    if case["task"] == "forward":
        run = jax.jit(lambda params, ids: logits_of(params, ids, heads))
        return about, lambda: {"value": float(run(params, ids)[-1, -1, 0])}
    frozen, learns = (params, with_lora(case)) if case["task"] == "lora" else ({}, params)
    scale = 16 / case["rank"]

    def scaled(tree: dict) -> dict:
        return {
            key: {**value, "scale": scale} if "a" in value else scaled(value) if isinstance(value, dict) else value
            for key, value in tree.items()
        }

    def loss_of(learns: dict, frozen: dict, ids: jax.Array) -> jax.Array:
        whole = combined(frozen, scaled(learns)) if frozen else learns
        chances = jax.nn.log_softmax(logits_of(whole, ids, heads)[:, :-1])
        return -jnp.take_along_axis(chances, ids[:, 1:, None], -1).mean()

    @partial(jax.jit, donate_argnums=(0, 1))
    def advance(learns: dict, state: tuple, frozen: dict, ids: jax.Array) -> tuple[dict, tuple, jax.Array]:
        loss, grads = jax.value_and_grad(loss_of)(learns, frozen, ids)
        state, learns = adamw(state, grads, learns)
        return learns, state, loss

    zeros = partial(jax.tree.map, jnp.zeros_like)
    run = {"learns": learns, "state": (jnp.zeros((), jnp.int32), zeros(learns), zeros(learns))}
    del params, learns

    def step() -> dict:
        run["learns"], run["state"], loss = advance(run["learns"], run["state"], frozen, ids)
        return {"value": float(loss)}

    return about, step


serve(prepare)
