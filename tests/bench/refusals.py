"""Refusals that no grammar lists: none may be acted on as the command in it.

    python tests/bench/refusals.py [--model en-us-network] [--snr clean,6] [--show]

The phrases of tests/data/unlisted_refusals.txt before commands of lm/house.yaml, each by four
synthetic voices. They are recognised as a conversation, and a dialogue in which nothing was said
before acts on them: any action counts as *acted on*. Bar: none. Sounds begin in the ways of
denials.py, which also has the refusals that are listed.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from coffee import CLEAN
from common import REPOSITORY, SAMPLE_RATE, parser, read_samples, report
from denials import SPOKEN, background_noise, doing, speak

from factored_asr import Recognizer
from factored_asr.audio.mixing import mix
from factored_asr.dialogue import Dialogue, Memory, World
from factored_asr.language import Grammar

HOUSE = REPOSITORY / "lm" / "house.yaml"
PHRASES = REPOSITORY / "tests" / "data" / "unlisted_refusals.txt"
COMMANDS = (
    "turn on the kitchen light", "close the office blinds", "lock the back door",
    "set the heating to nineteen degrees", "switch off the hall light", "open the bedroom blinds",
    "unlock the front door",
)  # fmt: skip
VOICES = (("flite", "slt"), ("flite", "rms"), ("espeak-ng", "en-us"), ("espeak-ng", "en-gb+f2"))


def main() -> None:
    """Play everything, print the table."""
    made = parser(__doc__)
    made.add_argument("--model", default="en-us-network")
    made.add_argument("--snr", default="clean,6", help="clean and decibels")
    made.add_argument("--show", action="store_true", help="list what is acted on or understood")
    options = made.parse_args()
    recognizer = Recognizer.load(options.model, grammar=HOUSE, conversation=True)
    house, noise = Dialogue(Grammar.read(HOUSE), World.read(HOUSE)), background_noise(options.data)
    said = list(refusals(options.work / "refusals"))[: options.limit or None]
    rows = []
    for snr in options.snr.split(","):
        counts = Counter[str]()
        for text, path in said:
            samples = read_samples(path)
            if snr != CLEAN:
                samples = mix(samples, noise, float(snr), path.name)
            found = recognizer.transcribe(samples, sample_rate=SAMPLE_RATE)
            house.memory = Memory(house.world.start())
            outcome = house.hear(found)
            what = ("acted on" if outcome.actions else "asked" if outcome.ask
                    else "nothing done" if found.text else "rejected")
            counts[what] += 1
            if options.show and found.text:
                print(f"{what:12} {snr} {path.stem} {text!r} -> {found.text!r} {outcome.actions}")
        columns = "acted on", "asked", "nothing done", "rejected"
        rows.append([options.model, snr, len(said), *(counts[each] for each in columns)])
    report(options, "Refusals that no grammar lists", rows,
           ["model", "condition", "n", "acted on", "asked", "nothing done", "rejected"])


def refusals(folder: Path) -> Iterator[tuple[str, Path]]:
    """Speak each phrase in each voice, with one command after the other."""
    lines = [line for line in PHRASES.read_text(encoding="utf-8").splitlines() if line[0] != "#"]
    for n, (line, voice) in enumerate((line, voice) for line in lines for voice in VOICES):
        first, *rest = COMMANDS[n % len(COMMANDS)].split()
        text = line.replace("{ing}", " ".join((doing(first), *rest)))
        text, how = text.replace("{}", " ".join((first, *rest))), SPOKEN[n // 4 % len(SPOKEN)]
        path = folder / f"{zlib.crc32(f'{text}|{voice}|{how}'.encode()):08x}.wav"
        if not path.exists():
            speak(text, *voice, 1.0, how, path)
        yield text, path


if __name__ == "__main__":
    main()
