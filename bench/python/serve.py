"""A contestant's side of a comparison in Python: see serve.ts, which speaks the same lines."""

import json
import resource
import sys
import time
from collections.abc import Callable


def serve(prepare: Callable[[dict], tuple[dict, Callable[[], dict]]]) -> None:
    answers = sys.stdout
    sys.stdout = sys.stderr

    def answer(message: dict) -> None:
        print(json.dumps(message), file=answers, flush=True)

    try:
        about, step = prepare(json.loads(sys.argv[1]))
        answer({"ready": True, "about": about})
        for line in sys.stdin:
            if line.strip() == "quit":
                break
            start = time.perf_counter()
            outcome = step()
            answer({"ms": (time.perf_counter() - start) * 1e3, **outcome})
        # Kilobytes on Linux, bytes on macOS.
        unit = 2**20 if sys.platform == "darwin" else 2**10
        answer({"peakMb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit})
    except Exception as error:
        answer({"error": f"{type(error).__name__}: {error}".splitlines()[0]})


def ids_of(case: dict) -> list[list[int]]:
    batch, length, vocab = case["batch"], case["length"], case["sizes"]["vocab"]
    at = [(1_103_515_245 * i + 12_345) % vocab for i in range(batch * length)]
    return [at[row * length : (row + 1) * length] for row in range(batch)]


def timed(flops: float, run: Callable[[], object]) -> float:
    """Milliseconds of one call, the best of a few."""
    best = float("inf")
    for _ in range(2 if flops > 2e9 else 4):
        calls = max(1, round(1e8 / flops))
        start = time.perf_counter()
        for _ in range(calls):
            run()
        best = min(best, (time.perf_counter() - start) / calls)
    return best * 1e3
