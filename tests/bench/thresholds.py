"""Knowing when not to act: orders understood against sounds acted on, at every threshold.

    python tests/bench/thresholds.py [--every 4] [--snr clean,12,6] [--noise vts] [--output FOLDER]

The threshold is on the margin by which the best path of the grammar beats that of the background
beside it, and more than it must (decoder/rival.py): 0 is as shipped. Coffee orders must be
understood, clean and in kitchen noise. Nothing may come of other speech (90 minutes read by native
and accented speakers), clean and in the same noise, nor of an hour of noise alone: the kitchen's
own, sudden events, and hum, hiss, babble and clatter that are computed. ``thresholds.json`` has the
curve, ``thresholds.png`` its picture.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from coffee import CLEAN, Heard, Order, mix, read_orders
from common import SAMPLE_RATE, accented_english, parser, read_samples, report
from other_speech import at_loudness, babble, clatter

from factored_asr import Recognizer
from factored_asr.audio.reading import read_audio
from factored_asr.lattice.rejection import margin
from factored_asr.models.bundle import Bundle
from factored_asr.models.grammars import read_understander
from factored_asr.plots.axes import new_axes, save
from factored_asr.recognizer.session import Session, decide
from factored_asr.understanding import Understander
from factored_asr.understanding.over_lattice import interpret

ORDERS, SPEECH, NOISE = "orders", "other speech", "noise alone"
SHIPPED = "as shipped"
CUT = 8 * SAMPLE_RATE  # of a long noise
MINUTES = 8  # of each computed noise
NO_RIVAL = 99.0  # margin of a command beside which the background heard nothing
MARGINS = np.arange(-10.0, 10.5, 0.5)


@dataclass(frozen=True)
class Tried:
    """One sound, and what would have come of it."""

    kind: str
    condition: str
    name: str
    seconds: float
    margin: float | None
    """See `lattice.rejection.margin`; None where nothing could act."""
    right: bool
    """Whether an order is understood; True for any meaning of what is no order."""

    def acts(self, margin: float) -> bool:
        """Whether something is done at this threshold, the right thing where there is one."""
        return self.right and self.margin is not None and self.margin >= margin


# -------------------------------------------------------------------------------------- the sounds
def sounds(options: argparse.Namespace) -> Iterator[tuple[str, str, str, np.ndarray, Order | None]]:
    """Kind, condition, name, samples, and the order in them."""
    folder = options.data / "coffee_commands"
    kitchen = read_samples(folder / "kitchen_noise.flac")
    said: list[tuple[str, Path, Order | None]] = [
        (ORDERS, order.path, order) for order in read_orders(folder)[options.first :: options.every]
    ]
    other = sorted((options.data / "native_dictation").glob("*.wav"))
    other += [each.path for each in accented_english(options.data)]
    said += [(SPEECH, path, None) for path in other[options.first :: options.every]]
    for kind, path, order in said:
        speech = read_samples(path)
        for snr in options.snr.split(","):
            at = speech if snr == CLEAN else mix(speech, kitchen, float(snr), path.name)
            yield kind, snr, path.name, at, order
    for i, (name, noise) in enumerate(noises(options.data, kitchen, other[5:])):
        if i % options.every == options.first:
            yield NOISE, name, name, noise, None


def noises(
    data: Path, kitchen: np.ndarray, speech: list[Path]
) -> Iterator[tuple[str, np.ndarray]]:
    """An hour of noise in pieces, some silent."""
    for path in sorted((data / "events").rglob("*.ogg")):
        yield f"event {path.parent.name}", read_audio(path, sample_rate=SAMPLE_RATE)[0]
    seconds = MINUTES * 60
    times = np.arange(seconds * SAMPLE_RATE) / SAMPLE_RATE
    hum = sum(np.sin(2 * np.pi * 50 * k * times) / k for k in range(1, 12))
    rng = np.random.default_rng(0)
    long = {
        "kitchen": kitchen,
        "hum": at_loudness(np.asarray(hum) + 0.05 * rng.normal(size=len(times))),
        "hiss": at_loudness(rng.normal(size=len(times))),
        "babble of six": babble(speech, 6, seconds),
        "clatter": clatter(9, seconds),
    }
    for name, noise in long.items():
        for first in range(0, len(noise) - CUT + 1, CUT):
            yield name, noise[first : first + CUT]


# ------------------------------------------------------------------------------------- the systems
def tried(
    recognizer: Recognizer, understander: Understander, sound: tuple[Any, ...]
) -> Tried:
    """Play one sound."""
    kind, condition, name, samples, order = sound
    session = Session(recognizer.pipeline, whole=True)
    session.feed(samples, SAMPLE_RATE)
    found = session.search()
    said, lattice, beats, right = decide(recognizer.pipeline, found), found.lattice, None, False
    if said.lattice is not None and lattice.best().reached_final:
        meaning = interpret(lattice, understander)
        options = recognizer.options.rejection
        ahead = margin(lattice.best(), found.background, options, found.in_noise)
        if meaning is not None and (ahead < 0 or said.words):
            slots = {name: str(value) for name, value in meaning.slots.items()}
            heard = Heard(said.text, meaning.intent, slots)
            right = order is None or heard.accepts(order)
            beats = min(ahead, NO_RIVAL)
    return Tried(kind, condition, name, len(samples) / SAMPLE_RATE, beats, right)


# ------------------------------------------------------------------------------------- the figures
def share(results: Sequence[Tried], margin: float) -> float:
    """Per cent of the sounds that something is done about."""
    return 100 * float(np.mean([each.acts(margin) for each in results]))


def groups(results: Sequence[Tried]) -> dict[tuple[str, str], list[Tried]]:
    """By kind, and by condition within."""
    found: dict[tuple[str, str], list[Tried]] = {}
    for each in results:
        found.setdefault((each.kind, each.condition), []).append(each)
    return found


def summary(results: Sequence[Tried], about: dict[str, object]) -> dict[str, object]:
    """Everything that the picture and the table show, as plain values."""
    curves = [
        {
            "kind": kind, "condition": condition, "sounds": len(group),
            "minutes": round(sum(each.seconds for each in group) / 60, 1),
            "acted on, per cent": {f"{m:g}": round(share(group, m), 2) for m in MARGINS},
        }
        for (kind, condition), group in groups(results).items()
    ]  # fmt: skip
    return {"about": about, "curves": curves, "sounds": [asdict(each) for each in results]}


def draw(results: Sequence[Tried], path: Path) -> None:
    """Orders understood over other speech acted on, a line a condition; a dot at margin 0."""
    ax = new_axes(7.0, 5.0)
    found = groups(results)
    for (kind, condition), group in found.items():
        if kind == ORDERS and (SPEECH, condition) in found:
            other = found[SPEECH, condition]
            wrong, right = ([share(each, m) for m in MARGINS] for each in (other, group))
            label = condition if condition == CLEAN else f"{condition} dB"
            (line,) = ax.plot(wrong, right, label=label)
            ax.plot(share(other, 0), share(group, 0), "o", color=line.get_color())
    ax.set_xscale("symlog", linthresh=1.0)
    ax.set_xlabel("other speech acted on, per cent of utterances")
    ax.set_ylabel("orders understood, per cent")
    ax.set_title("Every threshold on the margin; the dot is the shipped one")
    if ax.lines:
        ax.legend()
    ax.axvline(1.0, color="grey", linewidth=1, linestyle="--")
    save(ax, path)


def arguments() -> argparse.Namespace:
    """The command line."""
    made = parser(__doc__)
    made.add_argument("--every", type=int, default=1, help="every Nth sound of each kind")
    made.add_argument("--first", type=int, default=0, help="where to begin")
    made.add_argument("--kinds", default="", help="only those that contain this")
    made.add_argument("--snr", default="clean,12,6", help="clean and decibels")
    made.add_argument("--noise", default=SHIPPED, help="tools, with commas; none: without any")
    made.add_argument("--model", default="en-us", help="or a folder, see other_speech.py")
    made.add_argument("--output", type=Path, default=Path(), help="folder of json and picture")
    return made.parse_args()


def main() -> None:
    """Play everything, write the curve, print the table."""
    options = arguments()
    grammar = options.data / "coffee_commands" / "grammar.yaml"
    settings = Bundle.find(options.model).commands
    if options.noise != SHIPPED:
        tools = [] if options.noise == "none" else options.noise.split(",")
        settings = settings.against_noise(tools)
    recognizer = Recognizer.load(options.model, grammar=grammar, options=settings)
    understander = read_understander(grammar)
    results = [
        tried(recognizer, understander, sound)
        for sound in sounds(options) if options.kinds in sound[0]
    ]
    options.output.mkdir(parents=True, exist_ok=True)
    about = {"model": options.model, "noise": options.noise, "every": options.every}
    content = json.dumps(summary(results, about), indent=1)
    (options.output / "thresholds.json").write_text(content + "\n", encoding="utf-8")
    draw(results, options.output / "thresholds.png")
    shown = (-4.0, -2.0, 0.0, 2.0, 4.0)
    rows = [
        [kind, condition, len(group), *(f"{share(group, m):.1f}" for m in shown)]
        for (kind, condition), group in groups(results).items()
    ]
    report(options, "Orders understood, and other sounds acted on, at every margin", rows,
           ["sounds", "condition", "n", *(f"margin {m:g}" for m in shown)])  # fmt: skip


if __name__ == "__main__":
    main()
