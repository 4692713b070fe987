"""Sentence embeddings of the real all-MiniLM-L6-v2 by transformers: `python minilm.py FOLDER --out DIR`.

FOLDER is what `npm run minilm` prints. The embedding is the one of sentence-transformers for this model: the mean of the
last hidden states that the attention mask shows, divided by its length.
"""

import argparse
import json
import os
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "MKL_CBWR": "COMPATIBLE", "HF_HUB_OFFLINE": "1"}

import torch
from safetensors.torch import save_file
from transformers import AutoTokenizer, BertModel

SENTENCES = [
    "The weather is lovely today.",
    "It's so sunny outside!",
    "He drove to the stadium.",
    "My parcel has been lost twice, and nobody answers the phone.",
    "Thank you, the staff were kind and quick.",
    "A",
    "?!",
    "   leading, trailing and   double   spaces  ",
    "ALL CAPITALS SHOUT AT EVERYONE IN THE ROOM",
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.",
    "L'été dernier, nous avons mangé des crêpes à Saint-Malo.",
    "今天天气很好，我们去公园散步。",
    "Быстрая коричневая лиса прыгает через ленивую собаку.",
    "Emoji 🙂🚀 and symbols ½ € ™ stand in real texts.",
    "https://example.org/a/path?query=1&other=two#fragment",
    "def attend(q, k, v): return softmax(q @ k.T / sqrt(d)) @ v",
    "1234567890 and 3.14159, or 1e-5; on 2024-02-29 at 23:59",
    "Pneumonoultramicroscopicsilicovolcanoconiosis is a single word.",
    "A much longer text goes on and on, sentence after sentence, so that padding of the others is long. " * 6,
    "Two lines\nand a\ttab.",
    "naïve café résumé coöperate",
    "The refund came within a day. Still, the colour was wrong, and I had asked for blue.",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(args.folder)
    model = BertModel.from_pretrained(args.folder, dtype=torch.float32, attn_implementation="eager").eval()
    batch = tokenizer(SENTENCES, padding=True, truncation=True, max_length=256, return_tensors="pt")
    with torch.no_grad():
        hidden = model(**batch).last_hidden_state
    mask = batch["attention_mask"].unsqueeze(-1).to(hidden.dtype)
    mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "sentences.json").write_text(json.dumps(SENTENCES, ensure_ascii=False, indent=2) + "\n")
    tensors = {
        "input_ids": batch["input_ids"].to(torch.int32),
        "attention_mask": batch["attention_mask"].to(torch.int32),
        "embedding": torch.nn.functional.normalize(mean, p=2, dim=1).contiguous(),
    }
    save_file(tensors, args.out / "expected.safetensors")


if __name__ == "__main__":
    main()
