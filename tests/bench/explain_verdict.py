"""The verdict of `explain` against that of `transcribe`: words, rejection and cost of each sound.

    python tests/bench/explain_verdict.py [--every 4] [--model en-us-network]

Coffee orders clean and in the kitchen's noise at 12 and 6 dB, and the shipped spoken dialogues with
the house, clean and in noise at 15 and 6 dB. Both must say the same of every sound. The three
conditions take turns, so ``--every`` 3 or 6 plays clean sounds alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from coffee import CLEAN, mix, read_orders
from common import REPOSITORY, SAMPLE_RATE, parser, read_samples, report

from factored_asr import Recognizer
from factored_asr.explain import ExplainOptions

sys.path.insert(0, str(REPOSITORY / "tests"))

from support import spoken  # noqa: E402


def sounds(data: Path) -> Iterator[tuple[str, Path, np.ndarray]]:
    """Kind, grammar and samples of each sound."""
    folder = data / "coffee_commands"
    if folder.exists():
        noise = read_samples(folder / "kitchen_noise.flac")
        for order in read_orders(folder):
            samples = read_samples(order.path)
            for snr in (CLEAN, "12", "6"):
                heard = samples if snr == CLEAN else mix(samples, noise, float(snr), order.name)
                yield f"orders {snr}", folder / "grammar.yaml", heard
    for dialogue in spoken.spoken_dialogues():
        for turn in range(len(dialogue.turns)):
            for snr in (None, 15.0, 6.0):
                kind = "dialogues clean" if snr is None else f"dialogues {snr:g}"
                yield kind, REPOSITORY / "lm" / "house.yaml", dialogue.samples(turn, snr)


def main() -> None:
    """Count the sounds of which both say the same."""
    made = parser(__doc__)
    made.add_argument("--every", type=int, default=4, help="every Nth sound")
    made.add_argument("--model", default="en-us")
    options = made.parse_args()
    loaded: dict[Path, Recognizer] = {}
    same: dict[str, list[bool]] = {}
    for kind, grammar, samples in islice(sounds(options.data), 0, None, options.every):
        if grammar not in loaded:
            loaded[grammar] = Recognizer.load(options.model, grammar=grammar)
        recognizer = loaded[grammar]
        said = recognizer.transcribe(samples, sample_rate=SAMPLE_RATE)
        told = recognizer.explain(samples, sample_rate=SAMPLE_RATE,
                                  options=ExplainOptions(without=()))
        rejected = said.rejection is not None and bool(said.rejection.nearest)
        same.setdefault(kind, []).append(
            told.transcript == said and (told.is_rejected == rejected or not told.parts)
        )
    rows = [[kind, len(each), f"{sum(each)} of {len(each)}"] for kind, each in same.items()]
    both = [each for some in same.values() for each in some]
    rows.append(["all", len(both), f"{sum(both)} of {len(both)}"])
    report(options, "Verdict of explain and of transcribe", rows, ["sounds", "n", "the same"])


if __name__ == "__main__":
    main()
