"""SLLM in PyTorch, as one would write it: fused attention, pre-norm blocks, weights read from our file by their labels."""

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional


class Attention(nn.Module):
    def __init__(self, d: int, wide: int, heads: int):
        super().__init__()
        self.heads = heads
        self.Wq, self.Wk, self.Wv = (nn.Linear(d, wide, bias=False) for _ in range(3))
        self.projection_out = nn.Linear(wide, d)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, _ = x.shape
        q, k, v = (w(x).view(batch, length, self.heads, -1).transpose(1, 2) for w in (self.Wq, self.Wk, self.Wv))
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.projection_out(y.transpose(1, 2).reshape(batch, length, -1))


class Mlp(nn.Module):
    def __init__(self, d: int):
        super().__init__()
        self.ln_1, self.c_proj = nn.Linear(d, d, bias=False), nn.Linear(d, d, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.c_proj(functional.gelu(self.ln_1(x)))


class Block(nn.Module):
    def __init__(self, d: int, wide: int, heads: int):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(d, bias=False), nn.LayerNorm(d, bias=False)
        self.mha, self.mlp = Attention(d, wide, heads), Mlp(d)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.mha(self.ln1(x))
        return x + self.mlp(self.ln2(x))


class Embeddings(nn.Module):
    def __init__(self, vocab: int, length: int, d: int):
        super().__init__()
        self.token_embdgs, self.position_embdgs = nn.Embedding(vocab, d), nn.Embedding(length, d)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.token_embdgs(ids) + self.position_embdgs.weight[: ids.shape[1]]


class Sllm(nn.Module):
    def __init__(self, sizes: dict, length: int):
        super().__init__()
        d, wide, heads, vocab = sizes["d"], sizes["wide"], sizes["heads"], sizes["vocab"]
        self.embedding_block = Embeddings(vocab, length, d)
        self.transformer_blocks = nn.ModuleList(Block(d, wide, heads) for _ in range(sizes["layers"]))
        self.final_norm = nn.LayerNorm(d, bias=False)
        self.out_head = nn.Linear(d, vocab)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        x = self.embedding_block(input_ids)
        for block in self.transformer_blocks:
            x = block(x)
        return self.out_head(self.final_norm(x))


def load(folder: str, sizes: dict) -> Sllm:
    stored = load_file(f"{folder}/model.safetensors")
    model = Sllm(sizes, stored["embedding_block.position_embdgs.weight"].shape[0])
    tables = ("embdgs.weight",)
    state = {
        name.replace(".scale", ".weight"): value.T.contiguous() if value.dim() == 2 and not name.endswith(tables) else value
        for name, value in stored.items()
    }
    model.load_state_dict(state)
    return model
