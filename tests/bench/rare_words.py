"""Words taught at run time, and hotwords: errors on rare words that synthetic voices say.

A hundred words in two sentences each, by eight voices of flite and espeak-ng, with a list of the
hundred and 1,000 distractors. ``--kind words``: words that dictation lacks, with the pronunciations
of the dictionary alone, and with three guesses more (bar: 60 % fewer errors on them). ``--kind
hotwords``: rare words that it knows (bar: 30 % fewer). Other words: the rest of these sentences,
and the accented sentences of eight speakers that hold none of them (bar: at most 0.3 points more
errors). No target sounds like a word that dictation knows, and the letters of each tell how it is
said (the G2P model guesses it right), as voices read it from them. Bonuses and the number of
guesses were chosen with ``--half dev``: other words and sentences, and the tuning speakers of
accented.py.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from accented import HELD_OUT, TUNING
from common import accented_english, parser, read_samples, report, word_errors

sys.path.insert(0, str(Path(__file__).parent.parent))

from support.spoken import RATE, VOICES, synthesise

from factored_asr import Recognizer

N_WORDS, N_DISTRACTORS, N_SENTENCES = 100, 1000, 2
SENTENCES = {
    "dev": ("they told me that {} was not there", "can you spell {} for me please",
            "we had never heard of {} before", "the letter from {} came this morning",
            "he wrote a book about {} last year", "i have to call {} in the evening"),
    "test": ("she asked whether {} would come tomorrow", "the man in the shop knew {} well",
             "there was a story about {} in the paper", "please send the money to {} today",
             "nobody believed that {} had done it", "my brother went to see {} again"),
}  # fmt: skip


def pools(recognizer: Recognizer) -> tuple[list[str], list[str]]:
    """Words that dictation lacks, and rare ones that it knows; none sounds like a known word."""
    lexicon, known = recognizer.recipe.read_lexicon(), recognizer.graph.word_ids
    sounds: dict[tuple[str, ...], int] = {}
    for word in known:
        for each in lexicon.find(word):
            sounds[each.phones] = sounds.get(each.phones, 0) + 1
    model = recognizer.recipe.first_language()
    first = model.orders[0]
    low = np.quantile(first.log_prob, 0.4)
    rare = {model.words[i] for i in first.word[first.log_prob < low].tolist()}

    def alone(word: str, most: int) -> bool:
        spoken = lexicon.find(word)
        return (word.isalpha() and len(spoken[0].phones) > 3
                and all(sounds.get(each.phones, 0) <= most for each in spoken))

    lacking = [word for word in lexicon if word not in known and alone(word, 0)]
    return sorted(lacking), sorted(word for word in rare & known.keys() if alone(word, 1))


def lists(
    recognizer: Recognizer, pool: Sequence[str], half: str
) -> tuple[list[str], list[str]]:
    """Targets and distractors: the halves of a pool have no word in common."""
    chosen = random.Random(19).sample(pool, 2 * (5 * N_WORDS + N_DISTRACTORS))
    n = len(chosen) // 2
    part = chosen[:n] if half == "dev" else chosen[n:]
    g2p, lexicon = recognizer.recipe.g2p(), recognizer.recipe.read_lexicon()
    regular = [word for word in part if g2p.guess(word)[0].phones == lexicon.find(word)[0].phones]
    targets = regular[:N_WORDS]
    return targets, [word for word in part if word not in targets][:N_DISTRACTORS]


def spoken(targets: Sequence[str], half: str, limit: int) -> list[tuple[str, str, np.ndarray]]:
    """Target, text and sound of each sentence."""
    found = []
    for k in range(N_SENTENCES):
        for i, word in enumerate(targets):
            text = SENTENCES[half][(i + k) % 6].format(word)
            voice = VOICES[(i + 3 * k) % len(VOICES)]
            found.append((word, text, voice))
    return [(word, text, synthesise(text, voice, "normal"))
            for word, text, voice in found[: limit or None]]


def misses(words: Sequence[str], texts: Sequence[str]) -> int:
    """How many sentences lack their word."""
    return sum(word not in text.split() for word, text in zip(words, texts, strict=True))


def row(
    name: str, recognize: Callable[[np.ndarray], str], sentences: Sequence[tuple],
    others: Sequence[tuple[str, np.ndarray]],
) -> list[str]:
    """One system: misses, errors on other words, CPU seconds a second of sound."""
    began = time.process_time()
    texts = [recognize(samples) for _, _, samples in sentences]
    seconds = (time.process_time() - began) * RATE / sum(len(each[2]) for each in sentences)
    missed = misses([word for word, _, _ in sentences], texts)
    rest = int(word_errors([text for _, text, _ in sentences], texts).sum()) - missed
    n_rest = sum(len(text.split()) - 1 for _, text, _ in sentences)
    real = [recognize(samples) for _, samples in others]
    wrong = int(word_errors([text for text, _ in others], real).sum())
    n_real = sum(len(text.split()) for text, _ in others)
    return [name, f"{missed}/{len(sentences)} = {100 * missed / len(sentences):.1f} %",
            f"{rest}/{n_rest} = {100 * rest / n_rest:.1f} %",
            f"{wrong}/{n_real} = {100 * wrong / max(n_real, 1):.1f} %", f"{seconds:.3f}"]


def main() -> None:
    """Recognise all sentences with and without the list."""
    made = parser(__doc__)
    made.add_argument("--half", default="test", choices=("dev", "test"))
    made.add_argument("--kind", default="words", choices=("words", "hotwords"))
    made.add_argument("--bonuses", default="", help="bonuses to try, of words or hotwords")
    options = made.parse_args()
    recognizer = Recognizer.load("en-us-network")
    pool = pools(recognizer)[options.kind == "hotwords"]
    targets, distractors = lists(recognizer, pool, options.half)
    sentences = spoken(targets, options.half, options.limit)
    speakers = TUNING if options.half == "dev" else HELD_OUT
    others = [(each.text, read_samples(each.path)) for each in accented_english(options.data)
              if each.speaker in speakers and not {*targets, *distractors} & {*each.text.split()}]
    others = others[: options.limit // 2 if options.limit else None]
    lexicon = recognizer.recipe.read_lexicon()
    listed = targets + distractors
    systems = {"dictation": recognizer}
    bonuses = [float(each) for each in options.bonuses.split(",") if each]
    if options.kind == "words":
        began = time.perf_counter()
        taught = recognizer.with_words(
            {word: [" ".join(each.phones) for each in lexicon.find(word)] for word in listed})
        print(f"{len(listed)} words added in {time.perf_counter() - began:.2f} s")
        systems["words added"] = taught
        began = time.process_time()
        systems["words added, with guesses"] = recognizer.with_words(dict.fromkeys(listed))
        print(f"{len(listed)} words with guesses: {time.process_time() - began:.2f} CPU s")
        for bonus in bonuses:
            systems[f"words added, bonus {bonus:g}"] = taught.with_hotwords(
                dict.fromkeys(listed, bonus))
    else:
        systems["hotwords"] = recognizer.with_hotwords(dict.fromkeys(listed))
        for bonus in bonuses:
            systems[f"hotwords, bonus {bonus:g}"] = recognizer.with_hotwords(
                dict.fromkeys(listed, bonus))
    recognizer.transcribe(sentences[0][2], sample_rate=RATE)  # compiles kernels, unmeasured
    rows = []
    for name, system in systems.items():
        def recognize(samples: np.ndarray, system: Recognizer = system) -> str:
            return system.transcribe(samples, sample_rate=RATE).text

        rows.append(row(name, recognize, sentences, others))
        print(*rows[-1], sep="\t", file=sys.stderr, flush=True)
    report(options, f"Rare words ({options.kind})", rows, [
        "system", "rare words missed", "errors on the other words of these sentences",
        "errors in accented sentences without them", "CPU x real time",
    ])  # fmt: skip


if __name__ == "__main__":
    main()
