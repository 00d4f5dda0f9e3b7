"""Word times of transcribe() against a forced alignment of the same words.

Forced alignment: Viterbi without pruning over a graph that holds only the words found, with
optional silence between them and every pronunciation allowed. Bars: median difference of starts
and ends at most 10 ms, 95 % within 50 ms. `Recognizer.align` on the read sentences is held against
the alignment that pocketsphinx made of them: median at most 20 ms.

``--model en-us-network``: its words, which en-us gives their times, against the alignment of the
reference by en-us, where the words are right. Bars: median at most 10 ms, 95 % within 60 ms.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from common import SAMPLE_RATE, Utterance, native_dictation, parser, read_samples, report
from dictation_lm import parts, spelt

from factored_asr.errors import MissingError

if TYPE_CHECKING:
    from factored_asr import Recognizer, Word

Span = tuple[str, float, float]  # word, start and end in seconds


def forced_alignment(samples: np.ndarray, words: Sequence[str], like: Recognizer) -> list[Span]:
    """The times of the words where nothing but them could have been said, at the same scale."""
    from factored_asr import Recognizer
    from factored_asr.decoder import BeamOptions
    from factored_asr.graph import build_alignment_graph
    from factored_asr.models.bundle import Bundle
    from factored_asr.models.recipe import Recipe

    options = replace(like.options, beam=BeamOptions(beam=1e4, max_active=0))
    lexicon = Recipe(Bundle.find("en-us")).read_lexicon()
    graph = build_alignment_graph(like.model, lexicon, words, options.graph)
    aligned = Recognizer(like.model, graph, options)
    return spans(aligned.transcribe(samples, sample_rate=SAMPLE_RATE).words)


def aligned_words(path: Path, text: str, like: Recognizer) -> list[Span]:
    """What `Recognizer.align` says."""
    return spans(like.align(path, text).transcript.words)


def spans(words: Sequence[Word]) -> list[Span]:
    """Words as plain tuples."""
    return [(word.text, word.start, word.end) for word in words]


def peer_alignment(path: Path) -> list[Span]:
    """pocketsphinx's own forced alignment, from its JSON: silences left out."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return [
        (re.sub(r"\(\d+\)$", "", word["t"]), word["b"], word["b"] + word["d"])
        for word in content["w"]
        if not re.fullmatch(r"<.*>|\[.*\]", word["t"])
    ]


def differences(found: list[Span], wanted: list[Span], name: str) -> list[float]:
    """|start| and |end| differences in seconds, word by word."""
    if [span[0] for span in found] != [span[0] for span in wanted]:
        print(f"{name}: left out, the words differ: {found} and {wanted}")
        return []
    pairs = zip(found, wanted, strict=True)
    return [abs(x - y) for a, b in pairs for x, y in zip(a[1:], b[1:], strict=True)]


def against_references(recognizer: Recognizer, utterances: Sequence[Utterance]) -> list[float]:
    """|start| and |end| differences to `Recognizer.align` of the reference, of the right words."""
    found: list[float] = []
    for each in utterances:
        samples = read_samples(each.path)
        said = recognizer.transcribe(samples, sample_rate=SAMPLE_RATE)
        text = spelt(each.text)
        try:
            aligned = recognizer.align(samples, text, sample_rate=SAMPLE_RATE).words
        except MissingError as error:
            print(f"{each.name}: left out, {error}")
            continue
        wanted = [(one.word.text, one.word.start, one.word.end) for one in aligned]
        words = spans(said.words)
        same = SequenceMatcher(None, [w for w, *_ in words], [w for w, *_ in wanted], False)
        for block in same.get_matching_blocks():
            found += differences(words[block.a : block.a + block.size],
                                 wanted[block.b : block.b + block.size], each.name)
    return found


def row(name: str, seconds: list[float]) -> list[str]:
    """Median, 95 % quantile and maximum in milliseconds."""
    if not seconds:
        return [name, "0", "", "", ""]
    milliseconds = 1000.0 * np.array(seconds)
    figures = (np.median(milliseconds), np.quantile(milliseconds, 0.95), milliseconds.max())
    return [name, str(len(seconds) // 2), *(f"{figure:.0f}" for figure in figures)]


def main() -> None:
    """Dictation on read sentences, commands on coffee orders."""
    made = parser(__doc__)
    made.add_argument("--every", type=int, default=10, help="every Nth coffee order")
    made.add_argument("--skip-dictation", action="store_true", help="coffee orders only")
    made.add_argument("--model", default="en-us", help="the acoustic model, as en-us-network")
    options = made.parse_args()
    from factored_asr import Recognizer

    rows = []
    if options.model != "en-us":
        recognizer = Recognizer.load(options.model)
        for name, utterances in parts(options.data).items():
            if "aside" not in name:
                part = utterances[: options.limit or None]
                rows.append(row(name, against_references(recognizer, part)))
        report(options, "Times of the network's words against en-us's alignment of the reference",
               rows, ["words of", "words", "median ms", "95 % ms", "maximum ms"])  # fmt: skip
        return
    if not options.skip_dictation:
        recognizer, ours, reference = Recognizer.load("en-us"), [], []
        for utterance in native_dictation(options.data)[: options.limit or None]:
            samples = read_samples(utterance.path)
            said = recognizer.transcribe(samples, sample_rate=SAMPLE_RATE)
            forced = forced_alignment(samples, [word.text for word in said.words], recognizer)
            ours += differences(spans(said.words), forced, utterance.name)
            forced = aligned_words(utterance.path, utterance.text, recognizer)
            peer = peer_alignment(utterance.path.with_suffix(".json"))
            reference += differences(forced, peer, utterance.name)
        rows.append(row("dictation: transcribe() and forced", ours))
        rows.append(row("dictation: align() and pocketsphinx's", reference))
    folder, times = options.data / "coffee_commands", []
    recognizer = Recognizer.load("en-us", grammar=folder / "grammar.yaml")
    paths = sorted((folder / "clean").glob("*.flac"))[:: options.every]
    for path in paths[: options.limit or None]:
        samples = read_samples(path)
        said = recognizer.transcribe(samples, sample_rate=SAMPLE_RATE)
        if said.words:
            forced = forced_alignment(samples, [word.text for word in said.words], recognizer)
            times += differences(spans(said.words), forced, path.name)
    rows.append(row("commands: transcribe() and forced", times))
    report(options, "Times of words against a forced alignment", rows,
           ["times", "words", "median ms", "95 % ms", "maximum ms"])  # fmt: skip


if __name__ == "__main__":
    main()
