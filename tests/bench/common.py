"""What the benchmark scripts share: the corpora, the peer, word errors, the clock, the table."""

from __future__ import annotations

import argparse
import csv
import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).parent / "results"
SAMPLE_RATE = 16_000
N_BOOTSTRAP = 10_000


@dataclass(frozen=True)
class Utterance:
    """One recording: its name, file, reference words in lower case, and speaker ("" unknown)."""

    name: str
    path: Path
    text: str
    speaker: str = ""


@dataclass
class Outcome:
    """What one system said of some utterances, and what it cost."""

    texts: list[str] = field(default_factory=list)
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    audio_seconds: float = 0.0

    @property
    def real_time_factor(self) -> float:
        """CPU seconds (all threads) for each second of audio."""
        return self.cpu_seconds / self.audio_seconds


# ------------------------------------------------------------------------------- the command line
def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options every script has."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default_data = os.environ.get("FACTORED_ASR_DATA", REPOSITORY.parent / "shared" / "data")
    made.add_argument("--data", type=Path, default=Path(default_data), help="the data folder")
    made.add_argument(
        "--work",
        type=Path,
        default=Path.home() / ".cache" / "factored_asr_bench",
        help="folder for language models, dictionaries and grammars made on the way",
    )
    made.add_argument("--limit", type=int, default=0, help="first N utterances only (0: all)")
    made.add_argument("--write", metavar="NAME", help="keep the table as results/NAME.json")
    return made


def report(
    options: argparse.Namespace, title: str, rows: Sequence[Sequence[object]],
    header: Sequence[str],
) -> None:  # fmt: skip
    """Print a table and the load; with ``--write``, keep them for docs/tables.py, too."""
    print_table(rows, header)
    print(load_note())
    if options.write:
        table = {"title": title, "command": command_line(), "load": load_note(), "header": header,
                 "rows": [[str(cell) for cell in row] for row in rows]}  # fmt: skip
        path = RESULTS / f"{options.write}.json"
        path.write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def command_line() -> str:
    """How the script was run, without what says where things lie."""
    script = Path(sys.argv[0]).resolve().relative_to(REPOSITORY)
    given, kept = iter(sys.argv[1:]), []
    for each in given:
        if each in ("--data", "--work", "--write"):
            next(given)
        else:
            kept.append(each)
    return " ".join(["python", str(script), *kept])


def print_table(rows: Sequence[Sequence[object]], header: Sequence[str]) -> None:
    """Print rows under a header, columns as wide as they need to be."""
    cells = [list(header)] + [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    for index, row in enumerate(cells):
        padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        print("  ".join(padded).rstrip())
        if index == 0:
            print("  ".join("-" * width for width in widths))
    print(flush=True)


def load_note() -> str:
    """The machine's load: a timing taken on a busy machine is worth less."""
    one_minute = os.getloadavg()[0]
    return f"load {one_minute:.1f} on {os.cpu_count()} cores"


# ------------------------------------------------------------------------------------ the corpora
def native_dictation(data: Path) -> list[Utterance]:
    """Five read sentences; ``<s> words </s> (name)`` a line."""
    folder = data / "native_dictation"
    found = []
    for line in (folder / "transcription").read_text().splitlines():
        *words, name = line.split()
        name = name.strip("()")
        text = " ".join(word for word in words if word not in ("<s>", "</s>"))
        found.append(Utterance(name, folder / f"{name}.wav", text))
    return found


def accented_english(data: Path) -> list[Utterance]:
    """All utterances of accented_english, texts in lower case as in the dictionary."""
    folder = data / "accented_english"
    with open(folder / "utterances.tsv", encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    return [
        Utterance(row["id"], folder / row["path"], row["text"].lower(), row["speaker"])
        for row in rows
    ]


def read_samples(path: Path) -> np.ndarray:
    """Mono 16 kHz samples in [-1, 1], float32; the corpora are all 16 kHz mono."""
    import soundfile

    samples, rate = soundfile.read(path, dtype="float32")
    if rate != SAMPLE_RATE or samples.ndim != 1:
        raise SystemExit(f"{path}: expected 16 kHz mono, got {rate} Hz, shape {samples.shape}")
    return samples


# --------------------------------------------------------------------------------------- the peer
def peer_model() -> Path:
    """The folder of the en-us model that the pocketsphinx wheel carries."""
    spec = importlib.util.find_spec("pocketsphinx")
    if spec is None or spec.origin is None:
        raise SystemExit("pocketsphinx is not installed: pip install pocketsphinx==5.0.4")
    return Path(spec.origin).parent / "model" / "en-us"


class Peer:
    """pocketsphinx on whole files: its defaults, batch cepstral mean, all its passes."""

    def __init__(self, **options: object) -> None:
        import pocketsphinx

        model = peer_model()
        options = {"hmm": str(model / "en-us"), "dict": str(model / "cmudict-en-us.dict")} | options
        if "jsgf" not in options:
            options.setdefault("lm", str(model / "en-us.lm.bin"))
        self._decoder = pocketsphinx.Decoder(**options, loglevel="FATAL")

    def __call__(self, samples: np.ndarray) -> str:
        """The words of one recording."""
        pcm = np.clip(np.rint(samples * 32768.0), -32768, 32767).astype("<i2").tobytes()
        self._decoder.start_utt()
        self._decoder.process_raw(pcm, full_utt=True)
        self._decoder.end_utt()
        hypothesis = self._decoder.hyp()
        return hypothesis.hypstr if hypothesis is not None else ""


# ---------------------------------------------------------------------------- running and scoring
def run_interleaved(
    systems: Mapping[str, Callable[[np.ndarray], str]], recordings: Iterable[np.ndarray]
) -> dict[str, Outcome]:
    """Every system on every recording, turn by turn, so that all meet the same machine.

    The first recording is decoded once unmeasured: what is compiled or paged in at first use is
    start-up, which startup.py measures.
    """
    outcomes = {name: Outcome() for name in systems}
    for index, samples in enumerate(recordings):
        for name, system in systems.items():
            if index == 0:
                system(samples)
            wall, cpu = time.perf_counter(), time.process_time()
            text = system(samples)
            outcome = outcomes[name]
            outcome.cpu_seconds += time.process_time() - cpu
            outcome.wall_seconds += time.perf_counter() - wall
            outcome.audio_seconds += len(samples) / SAMPLE_RATE
            outcome.texts.append(text)
    return outcomes


def word_errors(references: Sequence[str], hypotheses: Sequence[str]) -> np.ndarray:
    """Substitutions + deletions + insertions of each utterance, int array (n_utterances,)."""
    import jiwer

    one_by_one = (
        jiwer.process_words(reference, hypothesis)
        for reference, hypothesis in zip(references, hypotheses, strict=True)
    )
    return np.array([each.substitutions + each.deletions + each.insertions for each in one_by_one])


def show_errors(references: Sequence[str], hypotheses: Sequence[str]) -> None:
    """Print every sentence aligned with what was heard, errors marked."""
    import jiwer

    measured = jiwer.process_words(list(references), list(hypotheses))
    print(jiwer.visualize_alignment(measured, show_measures=False, skip_correct=True))


@dataclass(frozen=True)
class Comparison:
    """Errors of ours over the peer's: the ratio, its 95 % interval, and P(ours not fewer)."""

    ratio: float
    low: float
    high: float
    p: float


def paired_bootstrap(ours: np.ndarray, theirs: np.ndarray, seed: int = 0) -> Comparison:
    """Resample the utterances with replacement, both systems together (Bisani & Ney 2004)."""
    rng = np.random.default_rng(seed)
    draws = rng.integers(0, len(ours), size=(N_BOOTSTRAP, len(ours)))
    our_sums, their_sums = ours[draws].sum(axis=1), theirs[draws].sum(axis=1)
    ratios = our_sums / np.maximum(their_sums, 1)
    low, high = np.quantile(ratios, (0.025, 0.975))
    p = (1 + np.count_nonzero(our_sums >= their_sums)) / (1 + N_BOOTSTRAP)
    return Comparison(float(ours.sum() / max(theirs.sum(), 1)), float(low), float(high), float(p))
