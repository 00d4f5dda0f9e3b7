"""A teacher's words in place of transcripts: heads of networks by `train --stages ctc`.

    python tests/bench/teacher.py [--seeds 0,1,2] [--copies 1] [--passes 12]

One recording of each prompt of native_english, but for ``arctic_b***7``, on which errors are
counted. Every third prompt has its transcript in every training. The others come not at all, with
their transcripts, or with the words of a teacher, moonshine, where a head trained on the first
ones agrees. All is done by the command line that docs/how-to/own-model.md shows: models, and the
encoder's states, are written below ``--work``. Phone errors are those of the best output of each
frame; words are those of dictation with lm/english.lm.zip and the options of en-us-network.
"""

from __future__ import annotations

import contextlib
import csv
import io
import re
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from common import REPOSITORY, SAMPLE_RATE, parser, peer_model, read_samples, report, word_errors
from dictation_lm import plain, spelt

from factored_asr import Recognizer
from factored_asr.cli.app import main as program
from factored_asr.lexicon import Lexicon
from factored_asr.training.ctc.teacher import words_of

MEASURED = re.compile(r"arctic_b\d*7$")
TRANSCRIBED = 3  # every third prompt
HELD_OUT = "held-out"
Row = dict[str, str]


def main() -> None:
    """Train each head, count its errors, print."""
    made = parser(__doc__)
    made.add_argument("--seeds", default="0,1,2")
    made.add_argument("--copies", default="1", help="distorted copies of each utterance")
    made.add_argument("--passes", default="12")
    options = made.parse_args()
    work, dictionary = options.work / "teacher", peer_model() / "cmudict-en-us.dict"
    first, others, measured = parts(options.data, Lexicon.read(dictionary), options.limit)
    transcribed = table(work / "transcribed", [*first, *measured])
    both = table(work / "both", [*first, *others, *measured])
    silent = untranscribed(work / "untranscribed", others)
    fixed = ["train", "--stages", "ctc", "--lexicon", str(dictionary), "--tune-speakers", HELD_OUT,
             "--lm", str(REPOSITORY / "lm" / "english.lm.zip"), "--copies", options.copies,
             "--passes", options.passes]  # fmt: skip
    trainings = {
        f"{len(first)} transcripts": [str(transcribed)],
        f"{len(first)} transcripts and {len(others)} more": [str(both)],
        f"{len(first)} transcripts, a teacher's words for {len(others)} more":
            [str(transcribed), "--untranscribed", str(silent), "--teacher", "moonshine"],
    }  # fmt: skip
    rows, sounds = [], [read_samples(Path(row["path"])) for row in measured]
    texts = [spelt(plain(row["text"])) for row in measured]
    for seed in options.seeds.split(","):
        for number, (name, given) in enumerate(trainings.items()):
            output, began = work / f"model-{number}", time.process_time()
            told = io.StringIO()
            with contextlib.redirect_stdout(told):
                program([*fixed, "--corpus", *given, "--seed", seed, "--output", str(output),
                         "--checkpoints", str(work / f"kept-{number}")])  # fmt: skip
            seconds = time.process_time() - began
            used, _, rest = told.getvalue().split("\t")[1].partition(" utterances")
            phones = rest.split(",")[-1].strip().removesuffix(" % phone errors")
            wrong = errors(output, texts, sounds)
            n_words = sum(len(text.split()) for text in texts)
            rows.append([name, seed, used, phones,
                         f"{wrong.sum()}/{n_words} = {100 * wrong.sum() / n_words:.1f} %",
                         f"{seconds:.0f}"])  # fmt: skip
            print(*rows[-1], flush=True)
    report(options, "A teacher's words in place of transcripts: native_english", rows,
           ["trained on", "seed", "utterances", "phone errors, %", "word errors", "CPU seconds"])


def parts(data: Path, lexicon: Lexicon, limit: int) -> tuple[list[Row], list[Row], list[Row]]:
    """Return the utterances with transcripts, those for the teacher, and those measured on."""
    folder = data / "native_english"
    with open(folder / "utterances.tsv", encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    prompts = {row["id"].rsplit("_", 1)[0]: row for row in reversed(rows)}
    training, measured = list[Row](), list[Row]()
    for prompt, row in sorted(prompts.items()):
        words, _ = words_of(row["text"], lexicon)
        row = {"path": str(folder / row["path"]), "text": " ".join(words) or row["text"]}
        if MEASURED.match(prompt):
            measured.append(row | {"speaker": HELD_OUT})
        elif words:
            training.append(row | {"speaker": "kathleen"})
    training = training[: limit or None]
    others = [row for i, row in enumerate(training) if i % TRANSCRIBED]
    return training[::TRANSCRIBED], others, measured


def table(folder: Path, rows: Sequence[Row]) -> Path:
    """Write a corpus."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "utterances.tsv", "w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, ("path", "text", "speaker"), delimiter="\t")
        writer.writeheader()
        writer.writerows(rows)
    return folder


def untranscribed(folder: Path, rows: Sequence[Row]) -> Path:
    """Copy sounds without their texts."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for row in rows:
        shutil.copy(row["path"], folder)
    return folder


def errors(model: Path, texts: Sequence[str], sounds: Sequence[np.ndarray]) -> np.ndarray:
    """Word errors of each sound."""
    recognizer = Recognizer.load(model)
    said = [spelt(recognizer.transcribe(each, sample_rate=SAMPLE_RATE).text) for each in sounds]
    return word_errors(texts, said)


if __name__ == "__main__":
    main()
