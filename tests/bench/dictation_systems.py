"""Word errors and speed of this library, pocketsphinx and moonshine tiny on the same sentences.

Each table is made by ``factored-asr compare``, and its journals lie in ``--work``: an interrupted
run continues. Prompts are those of ``dictation_lm.py``, accented speakers the 8 held out in
``accented.py``. The interval is of the errors relative to the first system, by a paired bootstrap
over sentences (Bisani and Ney 2004).
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from accented import HELD_OUT
from common import Utterance, accented_english, native_dictation, paired_bootstrap, parser, report
from dictation_lm import parts, spelt

SYSTEMS = {
    "ours:model=en-us-network,name=en-us-network": "this library, `en-us-network`",
    "ours:model=en-us,name=en-us": "this library, `en-us`",
    "pocketsphinx": "pocketsphinx, the models of `en-us`",
    "moonshine": "moonshine tiny, end to end",
}


def main() -> None:
    """Compare on every set, print one row for each system."""
    options = parser(__doc__).parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    rows = [[label] for label in SYSTEMS.values()]
    header, spent, sound = ["system"], np.zeros(len(rows)), 0.0
    for name, utterances in material(options.data).items():
        found = compared(options.work, name, utterances[: options.limit or None])
        header.append(f"{name} ({found['rows'][0]['errors']['n_words']} words)")
        errors = [sentence_errors(found, row["system"]) for row in found["rows"]]
        for row, result, mine in zip(rows, found["rows"], errors, strict=True):
            row.append(f"{100 * result['value']:.1f} %" + relative(mine, errors[0]))
        seconds = sum(soundfile.info(each.path).duration for each in utterances)
        spent += seconds * np.array([each["cpu"] for each in found["rows"]])
        sound += seconds
    rows = [[*row, f"{each:.3f}"] for row, each in zip(rows, spent / sound, strict=True)]
    header.append("CPU x real time")
    report(options, "Dictation of several systems: word errors and time", rows, header)


def material(data: Path) -> dict[str, list[Utterance]]:
    """The sets of sentences by name, none of them in the training of a head."""
    read = parts(data)
    accented = [each for each in accented_english(data) if each.speaker in HELD_OUT]
    return {"prompts": read["prompts, tuned on"] + read["prompts, kept aside"],
            "native_dictation": native_dictation(data), "accented": accented}  # fmt: skip


def compared(work: Path, name: str, utterances: Sequence[Utterance]) -> dict:
    """The JSON of ``factored-asr compare`` on these sentences."""
    corpus, result = work / f"{name}.tsv", work / f"{name}.json"
    with open(corpus, "w", encoding="utf-8", newline="") as out:
        lines = csv.writer(out, delimiter="\t")
        lines.writerow(["path", "text"])
        lines.writerows([each.path.resolve(), spelt(each.text)] for each in utterances)
    subprocess.run(
        [sys.executable, "-m", "factored_asr", "compare", corpus, *SYSTEMS, "--latency-files", "3",
         "--journal", work / f"{name}.jsonl", "--json", result],
        check=True,
    )  # fmt: skip
    return json.loads(result.read_text(encoding="utf-8"))


def sentence_errors(found: dict, system: str) -> np.ndarray:
    """Errors of each sentence, of shape [n_sentences]."""
    heard = (next(each for each in sentence["heard"] if each["system"] == system)
             for sentence in found["utterances"])  # fmt: skip
    return np.array([sum(a != b for a, b in each["pairs"]) for each in heard])


def relative(mine: np.ndarray, first: np.ndarray) -> str:
    """Errors as a multiple of the first system's, with an interval; empty for the first."""
    if mine is first:
        return ""
    found = paired_bootstrap(mine, first)
    return f", {found.ratio:.2f} x ({found.low:.2f} to {found.high:.2f})"


if __name__ == "__main__":
    main()
