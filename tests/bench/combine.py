"""A network combined with the mixtures of en-us: errors by the weight of the latter's scores.

    python tests/bench/combine.py [--every 4] [--first 0] [--snr clean,6] [--weights 0,0.01,0.02]

Each sound is recognised once by en-us-network, and the best word strings are scored by en-us; then
each weight selects its string. Dictation is counted in word errors, after the second pass with the
whole language model; coffee orders are counted where they are understood, with the rejection as it
is. Weights were chosen on every fourth order from the first and the second, on the prompts "tuned
on" of dictation_lm.py and on the tuning speakers of accented.py; the others were kept aside.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from coffee import CLEAN, Heard, mix, read_orders
from common import SAMPLE_RATE, parser, read_samples, report, word_errors
from dictation_lm import parts, spelt

from factored_asr import Recognizer, Transcript
from factored_asr.lattice import CombineOptions
from factored_asr.models.grammars import read_understander

LITTLE = 1e-9  # a weight by which strings are scored and none is moved


def main() -> None:
    """Recognise everything once, select by each weight, print."""
    made = parser(__doc__)
    made.add_argument("--weights", default="0,0.005,0.01,0.02,0.03,0.05", help="of en-us")
    made.add_argument("--snr", default="clean,15,6", help="of the orders: clean and decibels")
    made.add_argument("--every", type=int, default=4, help="every Nth order (4)")
    made.add_argument("--first", type=int, default=0, help="orders left out before the first")
    made.add_argument("--parts", default="", help="sets of dictation_lm.py, with ; between")
    options = made.parse_args()
    weights = [float(each) for each in options.weights.split(",")]
    columns, spent = dict[str, list[str]](), list[float]()
    chosen = parts(options.data)
    names = [each for each in options.parts.split(";") if each]
    if names:
        recognizer = Recognizer.load("en-us-network")
        recognizer = twice(recognizer)
    for name in names:
        utterances = chosen[name][: options.limit or None]
        said, used = recognised(recognizer, [read_samples(each.path) for each in utterances])
        texts, n_words = [each.text for each in utterances], sum(
            len(each.text.split()) for each in utterances)
        errors = [word_errors([spelt(text) for text in texts],
                              [spelt(selected(each, weight)) for each in said]).sum()
                  for weight in weights]
        columns[name] = [f"{n}/{n_words} = {100 * n / n_words:.1f} %" for n in errors]
        spent.append(used)
    folder = options.data / "coffee_commands"
    grammar, noise = folder / "grammar.yaml", read_samples(folder / "kitchen_noise.flac")
    orders = read_orders(folder)[options.first :: options.every][: options.limit or None]
    conditions = [each for each in options.snr.split(",") if each]
    if conditions:
        recognizer = twice(Recognizer.load("en-us-network", grammar=grammar))
        understander = read_understander(grammar)
    for condition in conditions:
        sounds = [read_samples(each.path) for each in orders]
        if condition != CLEAN:
            sounds = [mix(sound, noise, float(condition), order.name)
                      for sound, order in zip(sounds, orders, strict=True)]
        said, used = recognised(recognizer, sounds)
        counts = []
        for weight in weights:
            texts = [selected(each, weight) for each in said]
            heard = [understander.parse(text) if text else None for text in texts]
            counts.append(sum(
                meaning is not None and Heard(
                    text, meaning.intent, {k: str(v) for k, v in meaning.slots.items()}
                ).accepts(order) for order, text, meaning in zip(orders, texts, heard, strict=True)
            ))
        label = f"orders, {condition}" + ("" if condition == CLEAN else " dB")
        columns[label] = [f"{n}/{len(orders)} = {100 * n / len(orders):.1f} %" for n in counts]
        spent.append(used)
    rows = [[f"{weight:g}", *(column[i] for column in columns.values())]
            for i, weight in enumerate(weights)]
    rows.append(["CPU × real time", *(f"{each:.4f}" for each in spent)])
    report(options, "en-us-network combined with en-us: word errors, and orders understood", rows,
           ["weight of en-us", *columns])


def twice(recognizer: Recognizer) -> Recognizer:
    """Return a recogniser whose best strings are scored by en-us, too."""
    assert recognizer.recipe is not None
    settings = recognizer.recipe.settings
    second = replace(settings.second_pass, combine=CombineOptions(LITTLE))
    return Recognizer.from_recipe(
        replace(recognizer.recipe, options=replace(settings, second_pass=second)))


def recognised(
    recognizer: Recognizer, sounds: Sequence[np.ndarray]
) -> tuple[list[Transcript], float]:
    """Transcripts, and seconds of CPU for each second of sound."""
    recognizer.transcribe(sounds[0], sample_rate=SAMPLE_RATE)
    began = time.process_time()
    said = [replace(recognizer.transcribe(each, sample_rate=SAMPLE_RATE), lattice=None)
            for each in sounds]
    seconds = sum(map(len, sounds)) / SAMPLE_RATE
    return said, (time.process_time() - began) / seconds


def selected(said: Transcript, weight: float) -> str:
    """The words that a weight selects; those of the result where no other string was near."""
    if not said.scored_twice:
        return said.text
    total: Callable[..., float] = lambda each: each.cost + weight * each.other  # noqa: E731
    return " ".join(min(said.scored_twice, key=total).words)


if __name__ == "__main__":
    main()
