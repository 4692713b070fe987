"""Makes the fixtures with the real transformers and peft: `python make.py --out DIR [--seed N] [--only PATTERN]`.

Seed 0 gives the committed files; other seeds give other sizes, weights and inputs.
`--only` takes a pattern of the shell on `models/NAME`, `peft/NAME`, `generation/NAME` or `text/NAME`;
adapters and generation need the models, and find them in DIR.
"""

import argparse
import os
import warnings
from fnmatch import fnmatch
from pathlib import Path

# The last bits of a product must depend neither on threads nor on where in memory its factors happen to lie.
os.environ |= {"OMP_NUM_THREADS": "1", "MKL_CBWR": "COMPATIBLE", "HF_HUB_OFFLINE": "1"}

import transformers as hf

from recipes import ADAPTERS
from generation import TITLES, write_generation
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
    warnings.simplefilter("ignore")
    hf.logging.disable_progress_bar()
    size, out = sizes(args.seed), args.out.resolve()

    # The folder of the models is where PEFT finds a base by its bare name, on every machine.
    (out / "models").mkdir(parents=True, exist_ok=True)
    os.chdir(out / "models")
    for name in MODELS:
        if fnmatch(f"models/{name}", args.only):
            write_model(name, out / "models", size, args.seed)
            print(f"models/{name}", flush=True)
    if fnmatch("text/expected", args.only):
        write_text(out)
        print("text/expected", flush=True)
    for name, adapter in ADAPTERS.items():
        if fnmatch(f"peft/{name}", args.only):
            write_adapter(name, adapter, out, args.seed)
            print(f"peft/{name}", flush=True)
    for title in TITLES:
        if fnmatch(f"generation/{title}", args.only):
            write_generation(title, out, args.seed)
            print(f"generation/{title}", flush=True)


if __name__ == "__main__":
    main()
