"""Dictation within commands, and commands within dictation, by real voices.

Prompts of native_english (one recording each, not in the head's training) and coffee orders; the
carrier phrases "take a note" and "computer" are said by synthetic voices, a quarter of a second
before. Of a note its words count against those of the prompt; a rejected note has all of them
wrong. An order counts as understood where the intent and every labelled slot are right. ``--half
dev``: every second prompt and order, on which settings were chosen; ``test``: the others.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from coffee import Heard, Order, read_orders
from common import SAMPLE_RATE, parser, read_samples, report, word_errors
from dictation_lm import parts, spelt
from rare_words import VOICES, synthesise

from factored_asr import Recognizer, Transcript
from factored_asr.language import Grammar

NOTES = """
intents:
  Note: {data: [{sentences: ["take a note {text}", "search for {text} [please]"]}]}
  Stop: {data: [{sentences: ["stop the (music|timer)", "turn (on|off) the light"]}]}
lists:
  text: {dictation: true}
"""


def after(phrase: str, samples: np.ndarray, number: int) -> np.ndarray:
    """A carrier phrase by one of the voices, as loud as the sound after it, and this sound."""
    voice = synthesise(phrase, VOICES[number % len(VOICES)], "normal")
    voice = voice * (np.sqrt(np.mean(samples**2) / np.mean(voice**2)))
    return np.concatenate([voice, samples]).astype(np.float32)


def recognised(
    recognizer: Recognizer, sounds: Sequence[np.ndarray]
) -> tuple[list[Transcript], str]:
    """The transcripts, and CPU seconds a second of sound."""
    recognizer.transcribe(sounds[0], sample_rate=SAMPLE_RATE)
    began = time.process_time()
    found = [recognizer.transcribe(each, sample_rate=SAMPLE_RATE) for each in sounds]
    spent = time.process_time() - began
    return found, f"{spent * SAMPLE_RATE / sum(map(len, sounds)):.3f}"


def errors(texts: Sequence[str], found: Sequence[str]) -> str:
    """Word errors, of words."""
    wrong = int(word_errors(texts, [spelt(each) for each in found]).sum())
    words = sum(len(text.split()) for text in texts)
    return f"{wrong}/{words} = {100 * wrong / words:.1f} %"


def share(right: int, total: int) -> str:
    return f"{right}/{total} = {100 * right / total:.1f} %"


def understood(orders: Sequence[Order], found: Sequence[Transcript]) -> str:
    """Orders with the right intent and slots."""
    heard = [Heard(each.text, each.interpretation.intent if each.interpretation else "",
                   {k: str(v) for k, v in each.interpretation.slots.items()}
                   if each.interpretation else {}) for each in found]
    return share(sum(each.accepts(order) for order, each in zip(orders, heard, strict=True)),
                 len(orders))


def slot_of(said: Transcript) -> str:
    """The words of a note."""
    meaning = said.interpretation
    return str(meaning.slots.get("text", "")) if meaning else ""


def main() -> None:
    """Recognise the same sounds in all ways."""
    made = parser(__doc__)
    made.add_argument("--half", default="test", choices=("dev", "test"))
    options = made.parse_args()
    dev = options.half == "dev"
    prompts = parts(options.data)["prompts, tuned on" if dev else "prompts, kept aside"]
    orders = read_orders(options.data / "coffee_commands")[0 if dev else 1 :: 2]
    prompts, orders = (each[: options.limit or None] for each in (prompts, orders))
    texts = [each.text for each in prompts]
    said = [read_samples(each.path) for each in prompts]
    ordered = [read_samples(each.path) for each in orders]
    coffee = options.data / "coffee_commands/grammar.yaml"
    rows: list[list[str]] = []

    def row(name: str, *cells: str) -> None:
        rows.append([name, *cells])
        print(*rows[-1], sep="\t", flush=True)

    dictation = Recognizer.load("en-us-network")
    found, seconds = recognised(dictation, said)
    row("prompts: dictation", errors(texts, [each.text for each in found]), "", seconds)
    began = time.process_time()
    mixed = dictation.with_commands(coffee, after="computer")
    print(f"commands added in {time.process_time() - began:.2f} CPU s")
    found, seconds = recognised(mixed, said)
    wrong = sum(each.interpretation is not None for each in found)
    row("prompts: commands after \"computer\" added", errors(texts, [each.text for each in found]),
        f"{wrong} found wrongly", seconds)
    loose = dictation.with_commands(coffee)
    found, seconds = recognised(loose, said)
    wrong = sum(each.interpretation is not None for each in found)
    row("prompts: commands anywhere added", errors(texts, [each.text for each in found]),
        f"{wrong} found wrongly", seconds)
    found, seconds = recognised(Recognizer.load("en-us-network", grammar=coffee), ordered)
    row("orders: their grammar alone", "", understood(orders, found), seconds)
    carried = [after("computer", each, k) for k, each in enumerate(ordered)]
    found, seconds = recognised(mixed, carried)
    row("\"computer\" and order: dictation with commands", "", understood(orders, found), seconds)
    found, seconds = recognised(loose, ordered)
    row("orders: dictation with commands anywhere", "", understood(orders, found), seconds)
    both = [np.concatenate([said[k % len(said)], each]) for k, each in enumerate(carried)]
    found, seconds = recognised(mixed, both)
    row("prompt, \"computer\", order: dictation with commands", "", understood(orders, found),
        seconds)
    began = time.process_time()
    notes = Recognizer.load("en-us-network", grammar=Grammar.from_text(NOTES))
    print(f"notes loaded in {time.process_time() - began:.1f} CPU s, {notes.graph.n_arcs:,} arcs")
    noted = [after("take a note", each, k) for k, each in enumerate(said)]
    found, seconds = recognised(notes, noted)
    row("\"take a note\" and prompt: the slot", errors(texts, [slot_of(each) for each in found]),
        share(sum(each.interpretation is not None for each in found), len(found)), seconds)
    found, seconds = recognised(notes, said)
    wrong = sum(each.interpretation is not None for each in found)
    row("prompts: the grammar of notes", "", f"{wrong} found wrongly", seconds)
    found, seconds = recognised(dictation, noted)
    whole = [f"take a note {text}" for text in texts]
    row("\"take a note\" and prompt: dictation", errors(whole, [each.text for each in found]), "",
        seconds)
    report(options, "Dictation and commands in one utterance", rows,
           ["sounds: recogniser", "words wrong", "understood", "CPU x real time"])


if __name__ == "__main__":
    main()
