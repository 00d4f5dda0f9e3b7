"""Spoken commands that are denied: none may be acted on as the plain command.

    python tests/bench/denials.py [--half 1] [--snr clean,6] [--every 4] [--grammars house,coffee]

Commands of lm/house.yaml, lm/smart_home.yaml and the coffee grammar, which
tests/data/denied_commands.txt lists, are spoken by espeak-ng and flite, after each of the phrases
that deny a command, and plain. Half of the voices and of the commands are kept for figures
(``--half 1``). A denied command counts as *acted on* if
the transcript has an interpretation that does not ask, or if `dialogue.Reader` reads a command in
its text; as *understood* if the reader reads the denial of this command, and nothing else. The rest
is rejected, or read as something that does nothing. A plain command counts as understood if its
interpretation is that of its text.

Some sounds begin at once, or with 50 ms clipped, or are 12 dB quieter at the start, or pause after
the denial: `SPOKEN`. Noise is the kitchen of the coffee corpus where it is there, else computed.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import time
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from coffee import CLEAN
from common import REPOSITORY, SAMPLE_RATE, parser, read_samples, report

from factored_asr import Recognizer, Transcript
from factored_asr.audio.mixing import mix
from factored_asr.dialogue.acts import Act
from factored_asr.dialogue.reader import Reader
from factored_asr.models.grammars import read_understander

VOICES: tuple[tuple[tuple[str, str], ...], ...] = (
    (("flite", "slt"), ("flite", "kal"), ("espeak-ng", "en-us"), ("espeak-ng", "en-gb+f2"),
     ("espeak-ng", "en-gb-scotland+m3"), ("espeak-ng", "en-us+m7")),
    (("flite", "rms"), ("flite", "awb"), ("flite", "kal16"), ("espeak-ng", "en-us+f3"),
     ("espeak-ng", "en-gb+m1"), ("espeak-ng", "en-gb-x-rp"), ("espeak-ng", "en-us+m4"),
     ("espeak-ng", "en-gb-scotland+f4")),
)  # fmt: skip
"""Program and voice, of each half."""
BASE = (
    "do not {}", "don't {}", "never {}", "please don't {}", "i said don't {}", "please do not {}",
    "i'd rather you didn't {}", "you must not {}", "no don't {}", "i said do not {}",
)  # fmt: skip
DOING = ("stop {}", "would you mind not {}", "please stop {}")
WANT = {"i": ("i don't", "i do not"), "i'd": ("i wouldn't", "i would not")}
NO_VERB = ("the", "a")
"""Phrases before a command, before one whose verb ends in -ing, before "want" and "like"; first
words of commands without a verb, which "not" denies."""
SPOKEN = ("plain", "plain", "at once", "plain", "pause", "quiet start", "clipped", "plain")
SPEEDS = (1.0, 1.25)
COMMANDS = REPOSITORY / "tests" / "data" / "denied_commands.txt"
DENIALS, PLAIN = 14, 3  # sounds of each command


@dataclass(frozen=True)
class Said:
    """One sound: its text, and the command that it gives or denies."""

    grammar: str
    text: str
    command: str
    path: Path

    @property
    def denied(self) -> bool:
        """Whether the command is denied."""
        return self.text != self.command


# ------------------------------------------------------------------------------------- the sounds
def denial(command: str, i: int) -> str:
    """Deny a command in one of the ways that suit its first word.

    >>> denial("turn it off", 0), denial("turn it off", 10), denial("i want a coffee", 1)
    ('do not turn it off', 'stop turning it off', 'i do not want a coffee')
    """
    first, *rest = command.split()
    if first in WANT:
        return " ".join((WANT[first][i % 2], *rest))
    if first in NO_VERB:
        return f"not {command}"
    i %= len(BASE) + len(DOING)
    if i < len(BASE):
        return BASE[i].format(command)
    return DOING[i - len(BASE)].format(" ".join((doing(first), *rest)))


def doing(verb: str) -> str:
    """Return "turning" for "turn".

    >>> doing("close"), doing("put"), doing("open"), doing("turn")
    ('closing', 'putting', 'opening', 'turning')
    """
    if verb.endswith("e"):
        return verb[:-1] + "ing"
    doubled = verb in ("put", "shut", "set", "let", "flip", "cut", "drop", "get", "dim", "stop")
    return verb + (verb[-1] if doubled else "") + "ing"


def sounds(folder: Path, grammars: Mapping[str, Path], half: int) -> Iterator[Said]:
    """Speak the denied and the plain commands of each grammar."""
    lines = COMMANDS.read_text(encoding="utf-8").splitlines()
    listed = [line.split(" ", 2) for line in lines if not line.startswith("#")]
    n = 0
    for grammar, of_half, command in listed:
        if grammar in grammars and int(of_half) == half:
            for i in range(DENIALS + PLAIN):
                n += 1
                text = denial(command, i) if i < DENIALS else command
                yield Said(grammar, text, command, spoken(text, folder, half, n))


def spoken(text: str, folder: Path, half: int, n: int) -> Path:
    """Return the file of a spoken text, synthesised unless it is there."""
    voices, how = VOICES[half], SPOKEN[n // 3 % len(SPOKEN)]
    (program, voice), speed = voices[n % len(voices)], SPEEDS[n // len(voices) % len(SPEEDS)]
    what = f"{text}|{voice}|{speed}|{how}"
    path = folder / f"{half}_{zlib.crc32(what.encode()):08x}.wav"
    if not path.exists():
        speak(text, program, voice, speed, how, path)
    return path


def speak(text: str, program: str, voice: str, speed: float, how: str, path: Path) -> None:
    """Synthesise a sentence in a quiet room, begun in one of the ways of `SPOKEN`."""
    import soundfile
    import soxr

    path.parent.mkdir(parents=True, exist_ok=True)
    raw = path.with_suffix(".raw.wav")
    if how == "pause":
        for end in ("not ", "don't ", "never "):
            text = text.replace(end, f"{end.strip()}, ", 1)
    if program == "flite":
        stretch = f"duration_stretch={1 / speed:g}"
        command = ["flite", "-voice", voice, "--setf", stretch, "-t", text, "-o", str(raw)]
    else:
        command = ["espeak-ng", "-v", voice, "-s", f"{150 * speed:g}", "-w", str(raw), text]
    subprocess.run(command, check=True)
    samples, rate = soundfile.read(raw, dtype="float32")
    raw.unlink()
    samples = np.trim_zeros(soxr.resample(samples, rate, SAMPLE_RATE).astype(np.float64))
    loud = np.flatnonzero(np.abs(samples) > 0.02 * np.abs(samples).max())
    samples = 0.5 * samples[loud[0] :]
    before = np.zeros(int((0.02 if how in ("at once", "clipped") else 0.35) * SAMPLE_RATE))
    if how == "clipped":
        samples = samples[int(0.05 * SAMPLE_RATE) :]
    elif how == "quiet start":
        start = int(0.35 * SAMPLE_RATE)
        samples[:start] *= 10 ** (np.linspace(-12, 0, start) / 20)
    samples = np.concatenate([before, samples, np.zeros(int(0.35 * SAMPLE_RATE))])
    rng = np.random.default_rng(zlib.crc32(path.name.encode()))
    noise = rng.normal(0, 10 ** (-55 / 20), len(samples))
    soundfile.write(path, (samples + noise).astype(np.float32), SAMPLE_RATE)


def background_noise(data: Path) -> np.ndarray:
    """The noise of a kitchen, or computed clatter and hiss."""
    recorded = data / "coffee_commands" / "kitchen_noise.flac"
    if recorded.exists():
        return read_samples(recorded)
    rng = np.random.default_rng(0)
    level = np.repeat(rng.lognormal(0, 1, 300), SAMPLE_RATE // 10)
    hiss = np.convolve(rng.normal(size=len(level)), np.ones(4) / 4, "same")
    return (0.05 * level * hiss).astype(np.float32)


# ------------------------------------------------------------------------------------- the verdict
def verdict(said: Said, found: Transcript, reader: Reader) -> str:
    """What comes of a sound: understood, acted on (wrongly), asked, rejected, or nothing."""
    meaning = found.interpretation
    true = reader.understander.parse(said.command)
    if not said.denied:
        if meaning is None or meaning.ask:
            return "lost"
        return "understood" if true and meaning.meaning == true.meaning else "other"
    acts = reader.read(found.text).acts if found.text else ()
    if meaning is not None and not meaning.ask or any(_does(act) for act in acts):
        return "acted"
    if not found.text:
        return "rejected"
    denied = [act for act in acts if act.kind == "deny" and act.reading]
    right = any(act.meaning == true.meaning for act in denied if true)
    return "understood" if right else "asked" if meaning is not None else "nothing"


def _does(act: Act) -> bool:
    return act.kind == "command"


def arguments() -> argparse.Namespace:
    """The command line."""
    made = parser(__doc__)
    made.add_argument("--half", type=int, choices=(0, 1), default=1, help="0: to develop on")
    made.add_argument("--every", type=int, default=1, help="every Nth sound")
    made.add_argument("--snr", default="clean,6", help="clean and decibels")
    made.add_argument("--grammars", default="house,smart_home,coffee")
    made.add_argument("--model", default="en-us")
    made.add_argument("--verbose", action="store_true", help="list what was not understood")
    return made.parse_args()


def main() -> None:
    """Play everything, print the table."""
    options = arguments()
    if missing := [each for each in ("flite", "espeak-ng") if shutil.which(each) is None]:
        raise SystemExit(f"not installed: {', '.join(missing)}")
    coffee = options.data / "coffee_commands" / "grammar.yaml"
    paths = {"house": REPOSITORY / "lm/house.yaml", "smart_home": REPOSITORY / "lm/smart_home.yaml",
             "coffee": coffee}
    grammars = {name: paths[name] for name in options.grammars.split(",") if paths[name].exists()}
    said = list(sounds(options.work / "denials", grammars, options.half))[:: options.every]
    noise = background_noise(options.data)
    counts: dict[tuple[str, str, bool], Counter[str]] = {}
    cpu = seconds = 0.0
    for name, path in grammars.items():
        recognizer, reader = load(options.model, path), Reader(read_understander(path))
        recognizer.transcribe(np.zeros(SAMPLE_RATE, np.float32), sample_rate=SAMPLE_RATE)
        for each in (one for one in said if one.grammar == name):
            samples = read_samples(each.path)
            for snr in options.snr.split(","):
                heard = samples if snr == CLEAN else mix(samples, noise, float(snr), each.path.name)
                begin = time.process_time()
                found = recognizer.transcribe(heard, sample_rate=SAMPLE_RATE)
                cpu += time.process_time() - begin
                seconds += len(heard) / SAMPLE_RATE
                what = verdict(each, found, reader)
                counts.setdefault((name, snr, each.denied), Counter())[what] += 1
                if options.verbose and what != "understood":
                    heard = f"{found.text!r} {found.reason}"
                    print(f"{what:10} {snr:6} {each.path.name} {each.text!r} -> {heard}")
    show(options, counts)
    print(f"{cpu / seconds:.4f} CPU seconds a second of sound")


def load(model: str, grammar: Path) -> Recognizer:
    """Return the recogniser as shipped."""
    return Recognizer.load(model, grammar=grammar)


def show(options: argparse.Namespace, counts: Mapping[tuple[str, str, bool], Counter[str]]) -> None:
    """Print a row for each grammar and condition, and their sums."""
    columns = ("acted", "understood", "asked", "rejected", "nothing", "lost", "other")
    sums: dict[tuple[str, str, bool], Counter[str]] = {}
    for (_, snr, denied), count in counts.items():
        sums.setdefault(("all", snr, denied), Counter()).update(count)
    rows = []
    for (name, snr, denied), count in [*counts.items(), *sums.items()]:
        n = count.total()
        shares = [f"{count[column]} ({100 * count[column] / n:.1f})" for column in columns]
        rows.append([name, snr, "denied" if denied else "plain", n, *shares])
    report(options, "Spoken commands, denied and plain", rows,
           ["grammar", "condition", "commands", "n", *columns])


if __name__ == "__main__":
    main()
