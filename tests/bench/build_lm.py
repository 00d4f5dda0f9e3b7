"""The language model of dictation and its dictionary: what lm/english.lm.zip was made by.

Two sources: the trigram model that comes with en-us, and books.txt.xz (14.8 million words of
public-domain books). Every 50th sentence of the books is kept aside. The vocabulary is all words of
the first, and of the books those in the dictionary and those that occur twice or more. A word
without a pronunciation gets one: from lexicons/books_reviewed.dict, by the rules of
`lexicon.derived`, or from the grapheme-to-phoneme model of the dictionary.

    python tests/bench/build_lm.py            makes both files, in ten minutes and 2.5 GB
    python tests/bench/build_lm.py --table    only measures what is there
    python tests/bench/build_lm.py --blocks   measures a model with whole books kept aside

The weight is a compromise: the best one is 0.9 for the books on their own kind of prose, and 0.0 to
0.3 on orders to assistants, spelt letters and conversation, which the table shows.
"""

from __future__ import annotations

import csv
import json
import lzma
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from common import REPOSITORY, native_dictation, parser, report

from factored_asr.language import (
    EstimateOptions,
    NGramModel,
    estimate,
    interpolate,
    prune_to,
    read_lm,
    score_text,
    write_packed,
)
from factored_asr.lexicon import Lexicon, Pronunciation
from factored_asr.lexicon.derived import derive
from factored_asr.models.bundle import Bundle
from factored_asr.models.recipe import cached_g2p

KEPT_ASIDE = 50  # every so many-th sentence
BLOCK, BLOCKS = 4700, 25  # sentences: three or four books; one block in so many
WEIGHT = 0.5  # of the books
N_NGRAMS, FIRST = 8_000_000, 1_000_000  # of the file, and of the first pass
LEAST, FREQUENT = 2, 10  # occurrences of a word, to be kept and to have two pronunciations
SECOND = 0.3  # least probability of a second pronunciation
MODEL, DICTIONARY = REPOSITORY / "lm/english.lm.zip", REPOSITORY / "lexicons/books.dict"
REVIEWED = REPOSITORY / "lexicons/books_reviewed.dict"
ROMAN = re.compile(r"m{0,3}(cm|cd|d?c{0,3})(xc|xl|l?x{0,3})(ix|iv|v?i{0,3})")
Text = list[list[str]]


def main() -> None:
    """Build, or only measure."""
    arguments = parser(__doc__)
    arguments.add_argument("--table", action="store_true", help="measure the files that are there")
    arguments.add_argument("--blocks", action="store_true", help="keep whole books aside")
    arguments.add_argument("--sizes", default="", metavar="N,N", help="also prune to these")
    options = arguments.parse_args()
    wheel = read_lm(Bundle.find("en-us").lm)
    model, aside = None, books(options.data, aside=True)
    if options.blocks:
        aside = books(options.data, aside=True, blocks=True)
    if not options.table:
        model = build(options.data, wheel, options.blocks)
    model = model or read_lm(MODEL)
    models = {"of en-us": wheel, "english": model}
    for size in map(int, filter(None, options.sizes.split(","))):
        models[f"english, {size:,}"] = prune_to(model, size)
    table(options, models, {"books, kept aside": list(aside), **texts(options.data)})


def build(data: Path, wheel: NGramModel, blocks: bool) -> NGramModel:
    """The model and the dictionary, written unless blocks are kept aside."""
    began = time.perf_counter()

    def tell(text: str) -> None:
        print(f"{time.perf_counter() - began:6.0f} s  {text}", flush=True)

    counts = Counter(word for sentence in books(data, blocks=blocks) for word in sentence)
    known = Lexicon.read(Bundle.find("en-us").lexicon)
    words = vocabulary(counts, wheel, known)
    tell(f"{len(words)} words")
    if not blocks:
        new = pronounced([word for word in words if word not in known], known, counts)
        write_dictionary(new)
        words = [word for word in words if word in known or word in new]
        tell(f"{len(new)} of them pronounced here")
    ours = estimate(books(data, blocks=blocks), EstimateOptions(3, words, unknown=False))
    tell(f"estimated: {ours.counts}")
    mixed = interpolate([ours, wheel], [WEIGHT, 1 - WEIGHT])
    tell(f"interpolated: {mixed.counts}")
    small = prune_to(mixed, N_NGRAMS)
    tell(f"pruned: {small.counts}")
    if blocks:
        return small
    write_packed(small, MODEL, first=FIRST)
    tell(f"written: {MODEL.stat().st_size / 1e6:.1f} MB")
    return read_lm(MODEL)


def books(data: Path, *, aside: bool = False, blocks: bool = False) -> Iterator[list[str]]:
    """The sentences of the books; `aside`: only those that are kept aside."""
    with lzma.open(data / "text/books.txt.xz", "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            in_block = blocks and number // BLOCK % BLOCKS == BLOCKS // 2
            every = number % KEPT_ASIDE == KEPT_ASIDE - 1
            if aside == (in_block if aside and blocks else every or in_block):
                yield line.split()


def vocabulary(counts: Counter[str], wheel: NGramModel, known: Lexicon) -> list[str]:
    """The words of both sources; numerals in Roman letters and what has no vowel are none."""
    words = {word: None for word in wheel.vocabulary if not word.startswith("<")}
    for word, count in counts.most_common():
        is_word = re.search("[aeiouy]", word) and not ROMAN.fullmatch(word) and word != "n't"
        if word in known or (count >= LEAST and is_word and len(word) > 1):
            words[word] = None
    return list(words)


def pronounced(words: Sequence[str], known: Lexicon, counts: Counter[str]) -> Lexicon:
    """A lexicon of these words: reviewed, derived from other words, or guessed."""
    reviewed, g2p = Lexicon.read(REVIEWED), cached_g2p(Bundle.find("en-us").lexicon)
    found = {}
    for word in words:
        if word in reviewed:
            found[word] = reviewed.find(word)
        elif derived := derive(word, known):
            found[word] = tuple(Pronunciation(phones) for phones in derived[:2])
        elif not g2p.unknown_letters(word):
            first, *others = g2p.guess(word, 2)
            second = [each for each in others
                      if each.probability >= SECOND and counts[word] >= FREQUENT]
            found[word] = tuple(Pronunciation(each.phones) for each in (first, *second))
    return Lexicon(found)


def write_dictionary(lexicon: Lexicon) -> None:
    """The words in the order of the alphabet, below a comment."""
    made = DICTIONARY.with_suffix(".new")
    Lexicon({word: lexicon.find(word) for word in sorted(lexicon)}).write(made)
    head = (";;; Words of books that the en-us dictionary lacks, by tests/bench/build_lm.py:\n"
            ";;; derived from words it has, guessed, or taken from books_reviewed.dict.\n")
    DICTIONARY.write_text(head + made.read_text(encoding="utf-8"), encoding="utf-8")
    made.unlink()


def texts(data: Path) -> dict[str, Text]:
    """Texts of other kinds, in the words of the models: letters are written ``b.``."""
    understanding = data / "understanding"
    with open(data / "native_english/utterances.tsv", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    prompts = {row["id"].rsplit("_", 1)[0]: row["text"] for row in rows}
    with open(understanding / "slurp_recognised.tsv", encoding="utf-8") as lines:
        orders = {row["gold"] for row in csv.DictReader(lines, delimiter="\t")}
    home = (understanding / "home_assistant/tests.jsonl").read_text(encoding="utf-8").splitlines()
    with open(data / "accented_english/utterances.tsv", encoding="utf-8") as lines:
        accented = {row["text"] for row in csv.DictReader(lines, delimiter="\t")}
    return {
        "native_english, prompts": plain(prompts.values()),
        "native_dictation": plain(each.text for each in native_dictation(data)),
        "accented_english": plain(sorted(accented)),
        "orders to assistants (SLURP)": plain(sorted(orders)),
        "orders at home (Home Assistant)": plain(json.loads(line)["text"] for line in home),
        "conversation (Switchboard)": plain(switchboard(understanding)),
        "spelt letters (AN4)": letters(data / "an4/etc/an4_train.transcription"),
    }


def plain(sentences: Iterable[str]) -> Text:
    """Sentences as lower-case words without punctuation; none that is empty."""
    split = (re.sub(r"[^a-z' ]", " ", text.lower()).split() for text in sentences)
    words = ([word.strip("'") for word in each if word.strip("'")] for each in split)
    return [each for each in words if each]


def switchboard(folder: Path) -> Iterator[str]:
    """The utterances of the conversations, without the marks of the annotation."""
    file = folder / "switchboard_disfluency/discourse"
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        if found := re.match(r"\S+ [AB]\.\d+ utt\d+:(.*)", line):
            yield re.sub(r"\{[A-Z] |<+[^>]*>+", "", found[1])


def letters(transcription: Path) -> Text:
    """The transcripts of AN4."""
    lines = transcription.read_text(encoding="utf-8").lower().splitlines()
    split = ([word for word in line.split("(")[0].split() if not word.startswith("<")]
             for line in lines)
    return [[f"{word}." if len(word) == 1 and word not in "ai" else word for word in each]
            for each in split]


def table(options: object, models: dict[str, NGramModel], material: dict[str, Text]) -> None:
    """Perplexity of each model on each text, and its unknown words."""
    rows = []
    for name, sentences in material.items():
        scores = [score_text(model, sentences) for model in models.values()]
        cells = [f"{each.perplexity:.0f} ({100 * each.unknown_rate:.2f} %)" for each in scores]
        rows.append([name, sum(map(len, sentences)), *cells])
    report(options, "Language models: perplexity (unknown words)", rows, ["text", "words", *models])


if __name__ == "__main__":
    main()
