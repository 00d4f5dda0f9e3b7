"""A language without tools: a recogniser from fifty recorded words, a dictionary of letters and a
grammar.

The language is a toy: ten words of examples/words, spelt with one Hebrew letter a phone, so it has
phones of its own, no letter case, and a script that is written from right to left. Replace the
table of recordings and the list of words by those of your language; the commands stay.

    python examples/13_a_language_without_tools.py
    python examples/13_a_language_without_tools.py --quick

Five voices say the ten words. The model is trained on them, and recognises three other voices; with
--quick, one. It draws 13_a_language_without_tools.png: which word each was taken for. The figures
are honest but small: the voices are synthetic, and thirty words give a wide interval.
"""

from pathlib import Path

import numpy as np
from drawing import figure, options, output_folder, read_corpus, read_lexicon, save

from factored_asr import Recognizer
from factored_asr.cli import main as factored_asr
from factored_asr.evaluation.significance import wilson

SPOKEN = ("zero", "one", "two", "three", "four", "five", "six", "stop", "left", "go")
ENGLISH = read_lexicon()
PHONES = sorted({phone for word in SPOKEN for phone in ENGLISH[word][0].phones})
LETTER = dict(zip(PHONES, "אבגדהוזחטיכלמנסעפצקרשתךםןףץ", strict=False))
WORDS = {word: "".join(LETTER[phone] for phone in ENGLISH[word][0].phones) for word in SPOKEN}
"""Spoken word of the examples: its spelling in the toy language."""
NEW_VOICES = ("slt", "awb", "en-us")
GRAMMAR = """\
language: he
intents:
  Say:
    data:
      - sentences: ["{word}"]
lists:
  word:
    values: [VALUES]
"""


def main() -> None:
    """Write the three files, train, recognise new voices."""
    place = output_folder() / "toy"
    place.mkdir(exist_ok=True)
    write_files(place)
    command("train", "--quiet", "--corpus", place / "utterances.tsv", "--lexicon",
            place / "letters.dict", "--stages", "mono", "--output", place / "model")  # fmt: skip
    recognizer = Recognizer.load(place / "model", grammar=place / "toy.yaml")
    taken = recognised(recognizer, NEW_VOICES[:1] if options().quick else NEW_VOICES)
    right, n = int(np.trace(taken)), int(taken.sum())
    low, high = wilson(right, n)
    print(f"new voices: {right} of {n} words right ({100 * low:.0f} to {100 * high:.0f} %), "
          f"{taken[:, -1].sum():.0f} rejected")  # fmt: skip
    draw(taken, f"{right} of {n} words right")


def write_files(place: Path) -> None:
    """Write the recordings' table, a dictionary in which each letter is a phone, a grammar."""
    rows = ["id\tpath\tspeaker\ttext"]
    rows += [f"{each.id}\t{each.path.resolve()}\t{each.speaker}\t{WORDS[each.text]}"
             for each in read_corpus().without(NEW_VOICES).utterances if each.text in WORDS]
    write(place / "utterances.tsv", rows)
    write(place / "letters.dict", [f"{word} {' '.join(word)}" for word in WORDS.values()])
    values = (f"{{in: {word}, out: {n}}}" for n, word in enumerate(WORDS.values()))
    write(place / "toy.yaml", GRAMMAR.replace("VALUES", ", ".join(values)).splitlines())
    print(f"{len(rows) - 1} recordings, {len(WORDS)} words, {len(PHONES)} phones")


def write(file: Path, lines: list[str]) -> None:
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def command(*parts: object) -> None:
    """Print a command, and run it as the shell would."""
    print("factored-asr", *parts)
    if code := factored_asr([str(part) for part in parts]):
        raise SystemExit(code)


def recognised(recognizer: Recognizer, voices: tuple[str, ...]) -> np.ndarray:
    """Count which word was taken for which, (n_words, n_words + 1); the last column: rejected."""
    words = list(WORDS.values())
    counts = np.zeros((len(words), len(words) + 1), int)
    for each in read_corpus().select(voices).utterances:
        if each.text in WORDS:
            text = recognizer.transcribe(each.path).text
            spoken = words.index(WORDS[each.text])
            counts[spoken, words.index(text) if text in words else len(words)] += 1
    return counts


def draw(counts: np.ndarray, title: str) -> None:
    """Draw spoken against recognised words; the numbers are counts."""
    drawing, axes = figure(width=6, height=5)
    axes.imshow(counts, cmap="Blues")
    for (row, column), n in np.ndenumerate(counts):
        if n:
            colour = "white" if n > counts.max() / 2 else "black"
            axes.text(column, row, n, ha="center", va="center", color=colour)
    # Fonts of matplotlib draw letters one by one, from left to right: turn the words round.
    spelt = [f"{spoken}  {word[::-1]}" for spoken, word in WORDS.items()]
    axes.set_yticks(range(len(spelt)), spelt)
    axes.set_xticks(range(len(spelt) + 1), [*SPOKEN, "rejected"], rotation=90)
    axes.set(title=title, ylabel="spoken", xlabel="recognised")
    save(drawing, __file__)


if __name__ == "__main__":
    main()
