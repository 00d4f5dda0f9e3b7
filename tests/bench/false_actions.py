"""Commands understood, and commands heard where none was given: the coffee grammar.

    python tests/bench/false_actions.py [--every 4] [--half 1] [--snr 15] [--costs 4:0.03:0.33]

Real orders must be understood (intent and every labelled slot; bar 98 %). Other speech, read
sentences of native and accented speakers, must not act (bar 2 %), nor sudden noises. Near misses
(tests/data/near_misses*.txt: words of orders in impossible order, "i had a large coffee yesterday")
are spoken by espeak-ng and flite where these are installed (bar 10 %), and next to them real orders
by the same voices, without which a low figure would say little. A file counts as a false action
if it gets an interpretation that does not ask.

Three systems: the best path of the grammar alone; the best path with the background model next to
the grammar; the whole lattice with the background. `--costs` tries other costs of the background (a
word, a frame of a word, a frame of a phone) than the shipped ones, `--half 0` the half of all files
that these were chosen on, 1 the other one. `--snr` mixes kitchen noise to all but sudden noises.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from coffee import Heard, Order, mix, read_orders
from common import REPOSITORY, SAMPLE_RATE, load_note, parser, print_table, read_samples

from factored_asr import Recognizer, Transcript
from factored_asr.audio.reading import read_audio
from factored_asr.graph import BackgroundOptions
from factored_asr.models.bundle import Bundle
from factored_asr.models.grammars import read_understander
from factored_asr.models.settings import DecodeOptions
from factored_asr.understanding import Interpretation, Understander

DATA = REPOSITORY / "tests" / "data"
LATTICE_BEAM = 6.0
VOICES = (
    ("espeak-ng", "en-us"), ("espeak-ng", "en-gb"), ("espeak-ng", "en-us+f3"),
    ("espeak-ng", "en-gb-scotland"), ("flite", "slt"), ("flite", "rms"), ("flite", "awb"),
    ("flite", "kal16"),
)  # fmt: skip


@dataclass(frozen=True)
class Sound:
    """One file, and the order in it, if there is one."""

    path: Path
    order: Order | None = None
    text: str = ""


# ------------------------------------------------------------------------------------- the sounds
def groups(data: Path, work: Path) -> dict[str, list[Sound]]:
    """What is played to the recogniser, by kind."""
    understander = read_understander(data / "coffee_commands" / "grammar.yaml")
    orders = [Sound(each.path, each) for each in read_orders(data / "coffee_commands")]
    other = sorted((data / "native_dictation").glob("*.wav"))
    other += sorted((data / "accented_english" / "audio").rglob("*.flac"))
    found = {
        "coffee orders": orders,
        "other speech": [Sound(path) for path in other],
        "near misses": list(spoken("near_misses", work, understander)),
        "unseen near misses": list(spoken("near_misses_unseen", work, understander)),
        "orders, same voices": list(spoken("spoken_orders", work, understander)),
        "sudden noises": [Sound(path) for path in sorted((data / "events").rglob("*.ogg"))],
    }
    return {kind: sounds for kind, sounds in found.items() if sounds}


def spoken(name: str, work: Path, understander: Understander) -> Iterator[Sound]:
    """The sentences of a file of tests/data, each by one of the voices; none without these."""
    missing = {program for program, _ in VOICES if shutil.which(program) is None}
    if missing:
        print(f"{name}: left out, {' and '.join(sorted(missing))} not installed")
        return
    folder = work / "spoken"
    folder.mkdir(parents=True, exist_ok=True)
    lines = (DATA / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    texts = [line for line in lines if line and not line.startswith("#")]
    for i, text in enumerate(texts):
        path = folder / f"{name}_{i:03d}_{letters_of(text)}.wav"
        if not path.exists():
            speak(text, *VOICES[i % len(VOICES)], path, i)
        meaning = understander.parse(text)
        slots = {} if meaning is None else {k: str(v) for k, v in meaning.slots.items()}
        yield Sound(path, Order(text, path, meaning.intent, slots) if meaning else None, text)


def letters_of(text: str) -> str:
    """A few letters that change with the text."""
    return f"{zlib.crc32(text.encode()):08x}"


def speak(text: str, program: str, voice: str, path: Path, seed: int) -> None:
    """Synthesise a sentence; a little noise and silence around it, as a room has."""
    import soundfile
    import soxr

    raw = path.with_suffix(".raw.wav")
    if program == "flite":
        command = ["flite", "-voice", voice, "-t", text, "-o", str(raw)]
    else:
        command = ["espeak-ng", "-v", voice, "-s", "150", "-w", str(raw), text]
    subprocess.run(command, check=True)
    samples, rate = soundfile.read(raw, dtype="float32")
    raw.unlink()
    pause = np.zeros(int(0.3 * SAMPLE_RATE))
    samples = 0.5 * np.concatenate([pause, soxr.resample(samples, rate, SAMPLE_RATE), pause])
    noise = np.random.default_rng(seed).normal(0.0, 10 ** (-55 / 20), len(samples))
    soundfile.write(path, (samples + noise).astype(np.float32), SAMPLE_RATE)


# ------------------------------------------------------------------------------------ the systems
def options(
    model: str, background: BackgroundOptions | None, lattice_beam: float
) -> DecodeOptions:
    """The model's settings of commands, with this background and these lattices."""
    settings = Bundle.find(model).commands
    beam = replace(settings.beam, lattice_beam=lattice_beam)
    return replace(settings, beam=beam, background=background)


class Systems:
    """Decodes a sound once a graph and gives what each system made of it."""

    def __init__(self, model: str, grammar: Path, costs: list[str], alone: bool) -> None:
        self.seconds: dict[str, float] = {}
        self._recognizers = {
            f"lattice, background {each}".strip(): Recognizer.load(
                model, grammar=grammar,
                options=options(model, costs_of(model, each), LATTICE_BEAM))
            for each in costs
        }
        if alone:
            self._recognizers["best path, no background"] = Recognizer.load(
                model, grammar=grammar, options=options(model, None, 0.0))
        for recognizer in self._recognizers.values():
            recognizer.transcribe(np.zeros(SAMPLE_RATE, np.float32), sample_rate=SAMPLE_RATE)

    def __call__(self, samples: np.ndarray) -> dict[str, Interpretation | None]:
        found: dict[str, Interpretation | None] = {}
        for name, recognizer in self._recognizers.items():
            begin = time.process_time()
            said = recognizer.transcribe(samples, sample_rate=SAMPLE_RATE)
            spent = time.process_time() - begin
            self.seconds[name] = self.seconds.get(name, 0.0) + spent
            found[name] = said.interpretation
            if name.startswith("lattice"):
                found[name.replace("lattice", "best path")] = self._best(recognizer, said)
        return found

    @staticmethod
    def _best(recognizer: Recognizer, said: Transcript) -> Interpretation | None:
        """What the words of the best path mean, whatever else is in the lattice."""
        words = [word.text for word in said.words]
        meaning = recognizer.pipeline.interpret
        return meaning.understander.parse(words) if words and meaning else None


def costs_of(model: str, text: str) -> BackgroundOptions | None:
    """Costs as given on the command line; the model's own where there are none."""
    if text:
        return BackgroundOptions(*map(float, text.split(":")))
    return Bundle.find(model).commands.background


# ------------------------------------------------------------------------------------ measuring
def acts(meaning: Interpretation | None, order: Order | None) -> bool:
    """True if something is done; for an order, if that is the right thing."""
    if meaning is None or meaning.ask:
        return False
    heard = Heard(meaning.text, meaning.intent, {k: str(v) for k, v in meaning.slots.items()})
    return order is None or heard.accepts(order)


def arguments() -> argparse.Namespace:
    """The command line."""
    made = parser(__doc__)
    made.add_argument("--every", type=int, default=1, help="every Nth file of the large groups")
    made.add_argument("--half", type=int, choices=(0, 1), help="even or odd files only")
    made.add_argument("--costs", default="", help="word:frame:phone[,word:frame:phone]")
    made.add_argument("--snr", type=float, help="dB of speech over kitchen noise")
    made.add_argument("--model", default="en-us", help="the acoustic model, as en-us-network")
    made.add_argument("--groups", default="", help="only kinds that contain this")
    made.add_argument("--no-alone", action="store_true", help="not the grammar without background")
    made.add_argument("--quiet", action="store_true", help="do not list what was heard wrongly")
    return made.parse_args()


def main() -> None:
    """Play every group to every system, list the failures, print the table."""
    wanted = arguments()
    grammar = wanted.data / "coffee_commands" / "grammar.yaml"
    systems = Systems(wanted.model, grammar, wanted.costs.split(","), not wanted.no_alone)
    noise = read_samples(wanted.data / "coffee_commands" / "kitchen_noise.flac")
    rows = []
    for kind, sounds in groups(wanted.data, wanted.work).items():
        if wanted.groups not in kind:
            continue
        if kind in ("other speech", "sudden noises"):
            sounds = sounds[:: wanted.every]
        if wanted.half is not None:
            half = [i // len(VOICES) % 2 == wanted.half for i in range(len(sounds))]
            sounds = [sound for sound, kept in zip(sounds, half, strict=True) if kept]
        sounds = sounds[: wanted.limit or None]
        done: dict[str, int] = {}
        asked: dict[str, int] = {}
        for sound in sounds:
            samples, _ = read_audio(sound.path, sample_rate=SAMPLE_RATE)
            if wanted.snr is not None and kind != "sudden noises":
                samples = mix(samples, noise, wanted.snr, sound.path.name)
            for name, meaning in systems(samples).items():
                right = acts(meaning, sound.order)
                done[name] = done.get(name, 0) + right
                asked[name] = asked.get(name, 0) + bool(meaning and meaning.ask)
                if right == (sound.order is None) and not wanted.quiet:
                    heard = "nothing" if meaning is None else repr(meaning.text)
                    print(f"{kind}, {name}: {sound.text or sound.path.name}: {heard}", flush=True)
        verb = "understood" if sounds[0].order else "false actions"
        for name, count in done.items():
            share = f"{count}/{len(sounds)} = {100 * count / len(sounds):.1f} %"
            rows.append([kind, name, f"{share} {verb}", f"{asked[name]} asked"])
    print_table(rows, ["sounds", "system", "figure", ""])
    for name, seconds in systems.seconds.items():
        print(f"{name}: {seconds:.1f} CPU seconds")
    print(load_note())


if __name__ == "__main__":
    main()
