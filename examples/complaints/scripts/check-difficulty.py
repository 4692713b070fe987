"""How hard is the held-out split? python check-difficulty.py
(pip install numpy==2.4.6 scikit-learn==1.9.1 tokenizers==0.23.3)

Logistic regression, fitted on train and scored once on heldout, on three views of a sentence: which tokens it has,
a random projection of their counts (a frozen base that knows nothing), and the mean of word vectors that were
factorised from base.txt alone (a frozen base that knows which words go together).
"""
import json
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from tokenizers import Tokenizer

WIDTH, WINDOW = 128, 12
here = Path(__file__).resolve().parent.parent
tokenizer = Tokenizer.from_file(str(here / "tokenizer" / "tokenizer.json"))
size = tokenizer.get_vocab_size()


def encode(texts):
    return [encoding.ids for encoding in tokenizer.encode_batch(texts, add_special_tokens=False)]


def load(split):
    rows = [json.loads(line) for line in (here / "data" / f"{split}.jsonl").read_text("utf-8").splitlines()]
    ids = encode([row["text"] for row in rows])
    counts = np.array([np.bincount(sentence, minlength=size) for sentence in ids], float)
    return counts, np.array([row["label"] == "complaint" for row in rows])


def base_vectors():
    """Positive pointwise mutual information of tokens within a window, cut to its first singular vectors."""
    pairs = np.zeros((size, size))
    for sentence in encode((here / "data" / "base.txt").read_text("utf-8").splitlines()):
        for gap in range(1, min(WINDOW, len(sentence) - 1) + 1):
            np.add.at(pairs, (sentence[gap:], sentence[:-gap]), 1)
    pairs += pairs.T
    share = pairs / pairs.sum()
    alone = share.sum(1, keepdims=True)
    information = np.log(np.maximum(share, 1e-12) / np.maximum(alone * alone.T, 1e-12)).clip(0) * (pairs > 0)
    left, strength, _ = np.linalg.svd(information)
    vectors = left[:, :WIDTH] * np.sqrt(strength[:WIDTH])
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


(train, labels), (heldout, truth) = load("train"), load("heldout")


def score(view, strength):
    model = LogisticRegression(C=strength, max_iter=5000).fit(view(train), labels)
    return model.score(view(heldout), truth)


mean_of = lambda vectors: lambda counts: counts @ vectors / counts.sum(1, keepdims=True)
projections = [np.random.default_rng(seed).normal(size=(size, WIDTH)) / np.sqrt(WIDTH) for seed in range(5)]
print(f"tokens present or not:            {score(lambda counts: np.minimum(counts, 1), 1):.3f}")
print(f"random {WIDTH}-wide projection:        {np.mean([score(lambda c: c @ p, 0.1) for p in projections]):.3f}")
print(f"mean of vectors from base.txt:    {score(mean_of(base_vectors()), 30):.3f}")
