"""Trains the BPE tokenizer of this example: python train-tokenizer.py   (pip install tokenizers==0.23.3)

Reads data/base.txt and the texts of data/train.jsonl, never the held-out split.
Writes tokenizer/tokenizer.json, tokenizer_config.json and reference.json (the ids that check-tokenizer.mjs must
find again in JavaScript), the same bytes each time.
"""
import hashlib
import json
import string
from pathlib import Path

import tokenizers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

PINNED = "0.23.3"
VOCABULARY = 2700
# The order is the id: [PAD] must be 0, and the two labels stand at fixed ids whatever the corpus.
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "<complaint>", "<no_complaint>"]

here = Path(__file__).resolve().parent.parent


# What people type and the corpus lacks: capitals, accents, signs, numbers, other scripts, nothing at all.
PROBES = [
    "My parcel never came!",
    "Could you tell me when the next train leaves?",
    "not bad at all",
    "THE DRIVER'S VAN WAS LATE, AGAIN...",
    "Café crème, naïve façade, Zürich",
    "I paid £25.99 (or €30) on 03/05/2024 — 100% too much",
    "e-mail me: a.b@c.org & don't_call #42",
    "“curly quotes” and ‘single ones’ … done",
    "  two   spaces\tand a\nnew line  ",
    "日本語 и русский",
    "great 👍🏽 thanks 😡",
    "supercalifragilisticexpialidocious",
    "▁ under [SEP] the <complaint> hood",
    "a",
    "",
]


def lines(name):
    return (here / "data" / name).read_text("utf-8").splitlines()


def sentences(split):
    return [json.loads(line)["text"] for line in lines(f"{split}.jsonl")]


def reference(tokenizer: Tokenizer):
    """The ids of every text of a file as one digest (ids by commas, texts by line ends), and of the probes in full."""
    digest = lambda texts: hashlib.sha256(
        "\n".join(",".join(map(str, encoding.ids)) for encoding in tokenizer.encode_batch(texts)).encode()
    ).hexdigest()
    return {
        "tokenizers": PINNED,
        "files": {
            "base.txt": digest(lines("base.txt")),
            "train.jsonl": digest(sentences("train")),
            "heldout.jsonl": digest(sentences("heldout")),
        },
        "probes": [{"text": text, "ids": tokenizer.encode(text).ids} for text in PROBES],
    }


def train() -> Tokenizer:
    # BPE and not WordPiece: the WordPiece trainer numbers its ## letters in hash order, anew in every run.
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation(behavior="isolated")]
    )
    tokenizer.decoder = decoders.Metaspace()
    # Digits and signs are rare in the corpus and common in what people type, so the alphabet is given.
    alphabet = list(string.ascii_lowercase + string.digits + string.punctuation + "▁£€’“”–…")
    tokenizer.train_from_iterator(
        lines("base.txt") + sentences("train"),
        trainers.BpeTrainer(
            vocab_size=VOCABULARY, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
        ),
    )
    # The label is what follows [SEP], so [SEP] is the last position that a classifier reads.
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer


if __name__ == "__main__":
    if tokenizers.__version__ != PINNED:
        raise SystemExit(f"tokenizers {tokenizers.__version__} is installed; this file was made with {PINNED}")
    folder = here / "tokenizer"
    folder.mkdir(exist_ok=True)
    tokenizer = train()
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "do_lower_case": True,
        "model_max_length": 48,
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "additional_special_tokens": ["<complaint>", "<no_complaint>"],
        "clean_up_tokenization_spaces": True,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    (folder / "reference.json").write_text(json.dumps(reference(tokenizer), ensure_ascii=False) + "\n", "utf-8")
    print(f"{tokenizer.get_vocab_size()} entries → {folder}")
