"""Small tokenizers of three kinds, trained here, and what transformers makes of texts with them."""

import json
import re
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

CORPUS = """The card was charged twice and nobody at the bank answered the phone.
I asked for the loan to be closed in March, but the payment was taken again in April.
Please send the letter to my new address; the old one has not been mine for years.
They said that the account would be opened the same day. It was not.
Why is there a fee of 12.50 on a transfer that never arrived?
the the the there then them they answer answered answering charge charged charging""".split("\n")

TEXTS = ["The card was charged twice.", "Why?", "  They're   closing, naïve café – 12.50€ 日本 🙂\n", ""]

CHAT = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] | trim + eos_token }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
TALKS = [
    [{"role": "user", "content": " Why? "}],
    [
        {"role": "system", "content": "Answer the bank."},
        {"role": "user", "content": "The card was charged twice."},
        {"role": "assistant", "content": "It was not."},
    ],
]

OPTIONS = [
    {},
    {"padding": True, "padding_side": "right"},
    {"padding": True, "padding_side": "left"},
    {"padding": "max_length", "max_length": 12, "truncation": True},
    {"padding": "max_length", "max_length": 12, "truncation": True, "padding_side": "left"},
    {"truncation": True, "max_length": 5},
    {"padding": True, "pad_to_multiple_of": 8},
    {"add_special_tokens": False},
]


def _byte_level() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    special = ["<pad>", "<|endoftext|>", "<|user|>", "<|assistant|>", "<|system|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    names = dict(pad_token="<pad>", bos_token="<|endoftext|>", eos_token="<|endoftext|>")
    return _wrap(tokenizer, chat_template=CHAT, clean_up_tokenization_spaces=False, **names)


def _word_piece() -> PreTrainedTokenizerFast:
    # The trainer of word pieces gives another vocabulary in every run; half of the words and every letter will do.
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = sorted({word.strip(".,;?").lower() for line in CORPUS for word in line.split()})
    letters = sorted({letter for line in CORPUS for letter in line.lower() if letter != " "})
    pieces = [*special, *letters, *(f"##{letter}" for letter in letters), "##ed", "##ing", *words[::2]]
    vocabulary = {piece: index for index, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    ends = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends
    )
    names = dict(pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]")
    inputs = ["input_ids", "token_type_ids", "attention_mask"]
    return _wrap(tokenizer, model_input_names=inputs, **names)


def _byte_fallback() -> PreTrainedTokenizerFast:
    """As Llama 2's: spaces as ▁, unknown characters as bytes, a beginning-of-sequence token in front."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    parts = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    tokenizer.decoder = decoders.Sequence(parts)
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=360, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    model = json.loads(tokenizer.to_str())
    model["added_tokens"] = model["added_tokens"][:3]
    tokenizer = Tokenizer.from_str(json.dumps(model))
    first = [("<s>", tokenizer.token_to_id("<s>"))]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=first
    )
    return _wrap(tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="</s>", padding_side="left")


def _wrap(tokenizer: Tokenizer, **names) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=40, **names)


# The first belongs to a model, so that a prompt can be a text; the others are tokenizers alone.
TOKENIZERS = {"models/gpt2-text": _byte_level, "text/bert": _word_piece, "text/llama": _byte_fallback}


def _encoded(tokenizer: PreTrainedTokenizerFast, texts: list, options: dict) -> dict:
    return {"texts": texts, "options": options, **tokenizer(texts, **options)}


def _chat(tokenizer: PreTrainedTokenizerFast, messages: list, prompt: bool) -> dict:
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompt)
    ids = tokenizer.apply_chat_template(messages, add_generation_prompt=prompt, return_dict=False)
    return {"messages": messages, "add_generation_prompt": prompt, "text": text, "input_ids": ids}


def _expected(tokenizer: PreTrainedTokenizerFast) -> dict:
    rows = tokenizer(TEXTS)["input_ids"]
    pairs = [[TEXTS[0], TEXTS[1]], [TEXTS[1], TEXTS[2]]]
    return {
        "pad_token_id": tokenizer.pad_token_id,
        "padding_side": tokenizer.padding_side,
        "encodings": [_encoded(tokenizer, TEXTS, options) for options in OPTIONS],
        "pairs": [_encoded(tokenizer, pairs, options) for options in ({}, {"padding": True})],
        "decodings": [
            {"input_ids": row, "skip_special_tokens": skip, "text": tokenizer.decode(row, skip_special_tokens=skip)}
            for row in rows
            for skip in (True, False)
        ],
        "chats": [_chat(tokenizer, talk, prompt) for talk in TALKS for prompt in (True, False)]
        if tokenizer.chat_template
        else [],
    }


def compact_json(value: object) -> str:
    """Indented, with each list of numbers on one line."""
    text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
    return re.sub(r"\[[\d,\s-]+\]", lambda numbers: re.sub(r"\s+", " ", numbers[0]).replace("[ ", "[").replace(" ]", "]"), text)


def write_text(out: Path) -> None:
    expected = {}
    for name, make in TOKENIZERS.items():
        make().save_pretrained(out / name)
        expected[name] = _expected(PreTrainedTokenizerFast.from_pretrained(out / name))
    (out / "text").mkdir(exist_ok=True)
    (out / "text" / "expected.json").write_text(compact_json(expected))
