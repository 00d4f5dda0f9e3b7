"""accented_english: all utterances of 8 held-out speakers, ours and pocketsphinx on equal terms.

Both use the en-us acoustic model, one dictionary and one ARPA trigram (Kneser-Ney, estimated by
kaldingram from the texts of the other speakers; its words are those of these texts that the
dictionary has). Words of the held-out texts outside it are errors for both, and are counted.
Bars: at most 0.85 of the peer's errors, paired bootstrap p < 0.05, at least 3 times faster.

pocketsphinx runs with its default weights, which the bars are about, and with weights tuned as ours
are: ``--tune`` sweeps both systems on 8 other speakers, whose texts are then kept out of the model
too.
"""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from common import (
    SAMPLE_RATE,
    Peer,
    Utterance,
    accented_english,
    load_note,
    paired_bootstrap,
    parser,
    peer_model,
    print_table,
    read_samples,
    run_interleaved,
    word_errors,
)

if TYPE_CHECKING:
    from factored_asr.models.settings import DecodeOptions

# Every 8th of the 63 speakers in sorted order: from the first, and from the fifth.
HELD_OUT = ("0001", "0482", "1203", "2061", "2450", "3837", "7001", "9615")
TUNING = ("0056", "1027", "1419", "2242", "3046", "5424", "9600", "9639")
UNKNOWN = "<unk>"

# What --tune sweeps; the settings in use were the best of such sweeps.
SCALES, WORD_PENALTIES = (0.07, 0.08, 0.09), (1.0, 2.0, 3.0)
LWS, WIPS = (6.5, 10.0, 14.0), (0.65, 1e-2, 1e-4)
PEER_LW, PEER_WIP = 10.0, 1e-4


def write_dictionary(words: set[str], path: Path) -> None:
    """The dictionary's lines of these words, every pronunciation."""
    with open(peer_model() / "cmudict-en-us.dict", encoding="utf-8") as lines:
        kept = [line for line in lines if _headword(line) in words]
    path.write_text("".join(kept), encoding="utf-8")


def _headword(line: str) -> str:
    return re.sub(r"\(\d+\)$", "", line.split(maxsplit=1)[0])


def dictionary_words() -> set[str]:
    """Every word of the en-us dictionary."""
    with open(peer_model() / "cmudict-en-us.dict", encoding="utf-8") as lines:
        return {_headword(line) for line in lines}


def estimate_lm(texts: Sequence[str], words: set[str], work: Path, name: str) -> Path:
    """An ARPA trigram of the texts; n-grams with a word outside ``words`` are left out."""
    corpus, raw, arpa = (work / f"{name}.{suffix}" for suffix in ("txt", "raw.arpa", "arpa"))
    known = (" ".join(w if w in words else UNKNOWN for w in text.split()) for text in texts)
    corpus.write_text("\n".join(known) + "\n", encoding="utf-8")
    tool = [sys.executable, "-m", "kaldingram.train", "--ngram-order", "3"]
    subprocess.run([*tool, "--text", corpus, "--lm", raw], check=True, stderr=subprocess.DEVNULL)
    _drop_unknown(raw, arpa)
    return arpa


def _drop_unknown(raw: Path, arpa: Path) -> None:
    """Drop n-grams with the unknown word: neither system has a pronunciation for it."""
    sections: list[list[str]] = []
    for line in raw.read_text(encoding="utf-8").splitlines():
        if re.fullmatch(r"\\\d+-grams:", line):
            sections.append([])
        elif sections and "\t" in line and UNKNOWN not in line.split("\t")[1].split():
            sections[-1].append(line)
    counts = [f"ngram {n}={len(section)}" for n, section in enumerate(sections, 1)]
    lines = ["\\data\\", *counts, ""]
    for n, section in enumerate(sections, 1):
        lines += [f"\\{n}-grams:", *section, ""]
    arpa.write_text("\n".join([*lines, "\\end\\", ""]), encoding="utf-8")


def prepare(
    utterances: Sequence[Utterance], excluded: Sequence[str], work: Path, name: str
) -> tuple[Path, Path, set[str]]:
    """ARPA, dictionary and vocabulary from the texts of all but the excluded speakers."""
    work.mkdir(parents=True, exist_ok=True)
    texts = [utterance.text for utterance in utterances if utterance.speaker not in excluded]
    words = {word for text in texts for word in text.split()} & dictionary_words()
    arpa, dictionary = estimate_lm(texts, words, work, name), work / f"{name}.dict"
    write_dictionary(words, dictionary)
    return arpa, dictionary, words


def our_settings() -> DecodeOptions:
    """What --tune found best for us on the tuning speakers."""
    from factored_asr.decoder import BeamOptions
    from factored_asr.graph import GraphOptions
    from factored_asr.models.settings import DecodeOptions

    graph = GraphOptions(
        silence_probability=0.05,
        filler_probability=0.01,
        transition_scale=0.3,
        word_penalty=2.0,
    )
    return DecodeOptions(acoustic_scale=0.08, beam=BeamOptions(beam=11.0), graph=graph)


def our_system(
    arpa: Path, dictionary: Path, settings: DecodeOptions | None = None
) -> Callable[[np.ndarray], str]:
    """Our recogniser over the ARPA and the dictionary."""
    from factored_asr import Recognizer

    recognizer = Recognizer.load("en-us", lm=arpa, lexicon=dictionary, options=settings)
    return lambda samples: recognizer.transcribe(samples, sample_rate=SAMPLE_RATE).text


def peer_system(arpa: Path, dictionary: Path, **options: object) -> Callable[[np.ndarray], str]:
    """pocketsphinx over the same two files."""
    return Peer(lm=str(arpa), dict=str(dictionary), **options)


def compare(utterances: Sequence[Utterance], arpa: Path, dictionary: Path, names: str) -> None:
    """The held-out speakers through both systems, interleaved."""
    systems = {}
    if "ours" in names:
        systems["factored_asr"] = our_system(arpa, dictionary, our_settings())
    if "peer" in names:
        systems["pocketsphinx"] = peer_system(arpa, dictionary)
        systems["pocketsphinx tuned"] = peer_system(arpa, dictionary, lw=PEER_LW, wip=PEER_WIP)
    references = [utterance.text for utterance in utterances]
    n_words = sum(len(text.split()) for text in references)
    outcomes = run_interleaved(systems, (read_samples(each.path) for each in utterances))
    errors = {name: word_errors(references, each.texts) for name, each in outcomes.items()}
    rows = [
        [
            name,
            f"{errors[name].sum()}/{n_words} = {100 * errors[name].sum() / n_words:.1f} %",
            f"{outcome.real_time_factor:.3f}",
            f"{outcome.wall_seconds / outcome.audio_seconds:.3f}",
        ]
        for name, outcome in outcomes.items()
    ]
    print_table(rows, ["system", "word errors", "CPU x real time", "wall x real time"])
    if len(outcomes) < 3:
        return
    ours, rows = outcomes["factored_asr"], []
    for name in ("pocketsphinx", "pocketsphinx tuned"):
        found = paired_bootstrap(errors["factored_asr"], errors[name])
        interval = f"{found.low:.3f} to {found.high:.3f}"
        speed = outcomes[name].cpu_seconds / ours.cpu_seconds
        rows.append([name, f"{found.ratio:.3f}", interval, f"{found.p:.4f}", f"{speed:.2f}"])
    print_table(rows, ["ours against", "errors", "95 %", "p (not fewer)", "times faster (CPU)"])


def tune(utterances: Sequence[Utterance], arpa: Path, dictionary: Path, names: str) -> None:
    """Language weight and word penalty of each system on the tuning speakers."""
    references = [utterance.text for utterance in utterances]
    recordings = [read_samples(utterance.path) for utterance in utterances]
    n_words = sum(len(text.split()) for text in references)
    rows = []
    for name, settings, system in tuned_systems(arpa, dictionary, names):
        began = time.process_time()
        errors = word_errors(references, [system(samples) for samples in recordings]).sum()
        seconds = time.process_time() - began
        factor = seconds * SAMPLE_RATE / sum(len(samples) for samples in recordings)
        percent = f"{errors}/{n_words} = {100 * errors / n_words:.1f} %"
        rows.append([name, settings, percent, f"{factor:.3f}"])
        print(*rows[-1], sep="\t", file=sys.stderr, flush=True)
    print_table(rows, ["system", "settings", "word errors", "CPU x real time"])


def tuned_systems(
    arpa: Path, dictionary: Path, names: str
) -> Iterator[tuple[str, str, Callable[[np.ndarray], str]]]:
    """Every system under every setting of its sweep."""
    if "ours" in names:
        settings = our_settings()
        for penalty, scale in itertools.product(WORD_PENALTIES, SCALES):
            graph = replace(settings.graph, word_penalty=penalty)
            options = replace(settings, acoustic_scale=scale, graph=graph)
            system = our_system(arpa, dictionary, options)
            yield "factored_asr", f"scale {scale:g}, word penalty {penalty:g}", system
    if "peer" in names:
        for lw, wip in itertools.product(LWS, WIPS):
            system = peer_system(arpa, dictionary, lw=lw, wip=wip)
            yield "pocketsphinx", f"lw {lw:g}, wip {wip:g}", system


def main() -> None:
    """Prepare the files, decode, count, print."""
    arguments = parser(__doc__)
    arguments.add_argument("--tune", action="store_true", help="sweep settings on other speakers")
    arguments.add_argument("--systems", default="ours,peer", help="ours, peer or both")
    options = arguments.parse_args()
    everything = accented_english(options.data)
    speakers, name = (TUNING, "tuning") if options.tune else (HELD_OUT, "held_out")
    chosen = [each for each in everything if each.speaker in speakers][: options.limit or None]
    excluded = set(HELD_OUT) | (set(TUNING) if options.tune else set())
    arpa, dictionary, words = prepare(everything, sorted(excluded), options.work, name)
    spoken = [word for utterance in chosen for word in utterance.text.split()]
    n_unknown = sum(word not in words for word in spoken)
    print(
        f"{len(chosen)} utterances, {len(spoken)} words of which {n_unknown} "
        f"({100 * n_unknown / len(spoken):.1f} %) outside the {len(words)} of the language model"
    )
    if options.tune:
        tune(chosen, arpa, dictionary, options.systems)
    else:
        compare(chosen, arpa, dictionary, options.systems)
    print(load_note())


if __name__ == "__main__":
    main()
