"""Dictation with the network under each language model: word errors, and seconds of one core.

The language model of en-us in the graph, as much of it as the settings kept before; the first pass
of lm/english.lm.zip alone; and with the second pass, as is the default. Prompts ``arctic_b***7`` of
native_english were not in the head's training. The weight of the second pass was chosen on every
second of them ("tuned on"), on native_dictation and on a third of the utterances of the tuning
speakers of accented.py; the other prompts were kept aside.
"""

from __future__ import annotations

import csv
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from accented import TUNING
from common import (
    Utterance,
    accented_english,
    native_dictation,
    paired_bootstrap,
    parser,
    read_samples,
    report,
    word_errors,
)

if TYPE_CHECKING:
    from factored_asr import Recognizer

SPELT = {"mr": "mister", "mrs": "missus"}

N_BEFORE = 2_200_000  # n-grams of the language model of en-us


def main() -> None:
    """Decode everything with each, count, print."""
    from factored_asr import Recognizer
    from factored_asr.lattice import SecondPassOptions
    from factored_asr.models.bundle import Bundle

    options = parser(__doc__).parse_args()
    material = {name: part[: options.limit or None] for name, part in parts(options.data).items()}
    settings = Bundle.find("en-us-network").dictation
    alone = replace(settings, second_pass=SecondPassOptions(), align_words=False)
    with_both = replace(settings, align_words=False)
    old = Bundle.find("en-us").lm
    systems = {
        "en-us's, 2.2 million n-grams": {"lm": old, "options": replace(alone, max_ngrams=N_BEFORE)},
        "english, 1 million n-grams": {"options": alone},
        "english, and all in a second pass": {"options": with_both},
    }
    rows: list[list[str]] = []
    before: dict[str, np.ndarray] = {}
    for name, given in systems.items():
        recognizer = Recognizer.load("en-us-network", **given)
        row, seconds, spent = [name], 0.0, 0.0
        for part, utterances in material.items():
            errors, length, used = measured(recognizer, utterances)
            seconds, spent = seconds + length, spent + used
            row.append(cell(errors, utterances, before.setdefault(part, errors)))
        rows.append([*row, f"{spent / seconds:.3f}"])
    report(options, "Dictation by language model: word errors, times the first row's (95 %)", rows,
           ["language model", *material, "CPU x real time"])  # fmt: skip


def parts(data: Path) -> dict[str, list[Utterance]]:
    """The sets of utterances by name; one recording of each prompt."""
    with open(data / "native_english/utterances.tsv", encoding="utf-8") as lines:
        rows = [row for row in csv.DictReader(lines, delimiter="\t")
                if re.match(r"arctic_b\d*7_", row["id"])]
    prompts = {row["id"].rsplit("_", 1)[0]: row for row in reversed(rows)}
    read = [Utterance(row["id"], data / "native_english" / row["path"], plain(row["text"]))
            for _, row in sorted(prompts.items())]
    spoken = [each for each in accented_english(data) if each.speaker in TUNING]
    return {"prompts, tuned on": read[::2], "prompts, kept aside": read[1::2],
            "native_dictation": native_dictation(data), "accented, tuning": spoken[::3]}


def plain(text: str) -> str:
    """A transcript in lower case, without punctuation."""
    return " ".join(re.sub(r"[^a-z' ]", " ", text.lower()).split())


def measured(
    recognizer: Recognizer, utterances: Sequence[Utterance]
) -> tuple[np.ndarray, float, float]:
    """Errors of each utterance, seconds of sound, and seconds of CPU."""
    texts, seconds, spent = [], 0.0, 0.0
    for each in utterances:
        samples = read_samples(each.path)
        began = time.process_time()
        said = recognizer.transcribe(samples, sample_rate=16_000)
        spent, seconds = spent + time.process_time() - began, seconds + len(samples) / 16_000
        texts.append(spelt(said.text))
    return word_errors([spelt(each.text) for each in utterances], texts), seconds, spent


def spelt(text: str) -> str:
    """Titles in full, as some transcripts have them."""
    return " ".join(SPELT.get(word, word) for word in text.split())


def cell(errors: np.ndarray, utterances: Sequence[Utterance], before: np.ndarray) -> str:
    """Errors of so many words, and the bootstrap against the first row."""
    n_words = sum(len(each.text.split()) for each in utterances)
    shown = f"{errors.sum()}/{n_words} = {100 * errors.sum() / n_words:.1f} %"
    if errors is before:
        return shown
    found = paired_bootstrap(errors, before)
    return f"{shown}, {found.ratio:.2f} ({found.low:.2f} to {found.high:.2f})"


if __name__ == "__main__":
    main()
