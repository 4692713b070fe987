"""Makes the fixtures with the real transformers and peft: `python make.py --out DIR [--seed N] [--only PATTERN]`.

Seed 0 gives the committed files; other seeds give other sizes, weights and inputs.
`--only` takes a pattern of the shell on `models/NAME`, `peft/NAME`, `generation/NAME` or `text/NAME`.
"""

import argparse
import os
from fnmatch import fnmatch
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import transformers as hf

from adapters import ADAPTERS
from models import MODELS
from sizes import sizes
from text import write_text
from write_adapters import write_adapter
from write_models import write_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="*")
    args = parser.parse_args()
    hf.logging.set_verbosity_error()
    hf.logging.disable_progress_bar()
    size, out = sizes(args.seed), args.out.resolve()

    for name in MODELS:
        if fnmatch(f"models/{name}", args.only):
            write_model(name, out / "models", size, args.seed)
            print(f"models/{name}", flush=True)
    if fnmatch("text/expected", args.only):
        write_text(out)
        print("text/expected", flush=True)
    # PEFT writes the name of the base into its config: here a folder beside it, on no particular machine.
    os.chdir(out / "models")
    for name, adapter in ADAPTERS.items():
        if fnmatch(f"peft/{name}", args.only):
            write_adapter(name, adapter, out, args.seed)
            print(f"peft/{name}", flush=True)


if __name__ == "__main__":
    main()
