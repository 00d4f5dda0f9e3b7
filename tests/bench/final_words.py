"""When the words of a stream are final: how long after its end a word changes for the last time.

    python tests/bench/final_words.py [--model en-us-network] [--chunk 0.1] [--limit 20]

The prompts of dictation_lm.py that are tuned on, with half a second of silence behind, arrive in
chunks, and after each the partial result is asked for (``early=True`` as the server does, and
without). A word is final from the chunk after which it stays as it is. It waits for the acoustic
model's look-ahead, for the search, and for the next chunk. *Searched* is the time at which the
frames up to its end are searched: what comes after that is due to the search and the language
model. Words that end in the first 1.4 s, where the network's first window is not full, have rows
of their own. Bar: at most 0.6 s.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
from common import SAMPLE_RATE, parser, read_samples, report
from dictation_lm import parts

from factored_asr import Recognizer

FIRST = 1.4  # seconds that the first window waits for


@dataclass(frozen=True)
class Waited:
    """Seconds after the end of one word."""

    end: float
    searched: float
    final: float


def main() -> None:
    """Stream everything, print the table."""
    made = parser(__doc__)
    made.add_argument("--model", default="en-us-network")
    made.add_argument("--chunk", type=float, default=0.1, help="seconds")
    options = made.parse_args()
    recognizer = Recognizer.load(options.model)
    prompts = parts(options.data)["prompts, tuned on"][: options.limit or None]
    sounds = [np.append(read_samples(each.path), np.zeros(SAMPLE_RATE // 2, np.float32))
              for each in prompts]
    rows = []
    for early in (False, True):
        began = time.process_time()
        waited = [word for sound in sounds for word in streamed(recognizer, sound, early, options)]
        seconds = sum(map(len, sounds)) / SAMPLE_RATE
        cost = f"{(time.process_time() - began) / seconds:.3f}"
        for name, least, most in (("all", 0.0, math.inf), ("first 1.4 s", 0.0, FIRST),
                                  ("later", FIRST, math.inf)):
            some = [each for each in waited if least <= each.end < most]
            rows.append(["yes" if early else "no", name, len(some),
                         shown([e.searched for e in some]), shown([e.final for e in some]),
                         f"{100 * np.mean([e.final <= 0.6 for e in some]):.0f} %", cost])
    report(options, "Words of a stream: seconds from their end until they are final", rows,
           ["early", "words that end", "n", "searched: median, nine of ten",
            "final: median, nine of ten", "within 0.6 s", "CPU × real time"])


def streamed(recognizer: Recognizer, sound: np.ndarray, early: bool, options) -> list[Waited]:
    """Stream one sound; return how long its words wait."""
    stream, seconds = recognizer.stream(redecode=False), recognizer.model.frame_seconds
    size = round(options.chunk * SAMPLE_RATE)
    heard: list[tuple[float, float, list[str]]] = []
    for first in range(0, len(sound), size):
        stream.accept(sound[first : first + size])
        at = min(first + size, len(sound)) / SAMPLE_RATE
        searched = stream._session.n_frames * seconds
        heard.append((at, searched, stream.partial(early=early).split()))
    path = stream._session.partial()
    found = []
    for i, word in enumerate(path.segments if path else ()):
        end, final = (word.end or 0) * seconds, len(sound) / SAMPLE_RATE
        for at, _, words in reversed(heard):
            if words[i : i + 1] != [word.word]:
                break
            final = at
        searched = next(at for at, until, _ in heard if until >= end)
        found.append(Waited(end, searched - end, final - end))
    return found


def shown(values: list[float]) -> str:
    """Median, and what nine of ten do not exceed."""
    return f"{np.median(values):.2f}, {np.quantile(values, 0.9):.2f}"


if __name__ == "__main__":
    main()
