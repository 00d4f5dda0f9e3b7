"""coffee_commands with grammar.yaml: how many real orders are understood, clean and in noise.

A command is accepted when the intent and every labelled slot are right. Bars: at least 97 % clean,
at least 92 % at 15 dB, at most 0.03 seconds of one core for each second of audio in all.

The noise of a file at an SNR is drawn from a generator seeded by its name: the same in every run
and for every system. ``--peer`` runs pocketsphinx with the grammar rewritten as JSGF next to ours
on every fifth file (``--every``), for it is slow; its text is read by hassil, a public parser of
the same template syntax.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from common import SAMPLE_RATE, Outcome, Peer, parser, read_samples, report

from factored_asr.audio.mixing import mix
from factored_asr.compare.jsgf import as_jsgf

STREAM_BLOCK = SAMPLE_RATE // 10
CLEAN = "clean"


@dataclass(frozen=True)
class Order:
    """One labelled command."""

    name: str
    path: Path
    intent: str
    slots: dict[str, str]


@dataclass(frozen=True)
class Heard:
    """What a system made of a command: the words, and the intent and slots read from them."""

    text: str
    intent: str
    slots: dict[str, str]

    def accepts(self, order: Order) -> bool:
        """Intent and every labelled slot right."""
        return self.intent == order.intent and all(
            self.slots.get(name) == value for name, value in order.slots.items()
        )


System = Callable[[np.ndarray], Heard]


# ------------------------------------------------------------------------------------- the data
def read_orders(folder: Path) -> list[Order]:
    """All labelled commands, by name."""
    labels = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
    return [
        Order(name, folder / "clean" / name, label["intent"], label["slots"])
        for name, label in sorted(labels.items())
    ]


# ----------------------------------------------------------------------------------- the systems
def our_systems(model: str, grammar: Path, stream: bool) -> dict[str, System]:
    """Whole files; with ``stream`` also two streams, with and without the second look."""
    from factored_asr import Recognizer, Transcript

    recognizer = Recognizer.load(model, grammar=grammar)

    def heard(said: Transcript) -> Heard:
        meaning = said.interpretation
        if meaning is None:
            return Heard(said.text, "", {})
        return Heard(said.text, meaning.intent, {k: str(v) for k, v in meaning.slots.items()})

    def streamed(samples: np.ndarray, second_look: bool) -> Heard:
        utterance = recognizer.stream(redecode=second_look)
        for first in range(0, len(samples), STREAM_BLOCK):
            utterance.accept(samples[first : first + STREAM_BLOCK])
        return heard(utterance.finish())

    systems: dict[str, System] = {
        "factored_asr": lambda samples: heard(
            recognizer.transcribe(samples, sample_rate=SAMPLE_RATE)
        )
    }
    if stream:
        systems["stream"] = lambda samples: streamed(samples, False)
        systems["stream + second look"] = lambda samples: streamed(samples, True)
    return systems


def peer_systems(grammar: Path, work: Path) -> dict[str, System]:
    """pocketsphinx over the JSGF, its text read by hassil over the YAML."""
    import yaml
    from hassil import Intents, recognize

    work.mkdir(parents=True, exist_ok=True)
    content = yaml.safe_load(grammar.read_text(encoding="utf-8"))
    jsgf = work / "coffee.jsgf"
    jsgf.write_text(as_jsgf(grammar), encoding="utf-8")
    peer, intents = Peer(jsgf=str(jsgf)), Intents.from_dict(content)

    def system(samples: np.ndarray) -> Heard:
        text = peer(samples)
        found = recognize(text, intents) if text else None
        if found is None:
            return Heard(text, "", {})
        slots = {name: str(entity.value) for name, entity in found.entities.items()}
        return Heard(text, found.intent.name, slots)

    return {"pocketsphinx": system}


# ------------------------------------------------------------------------------------ measuring
@dataclass
class Tally:
    """One system at one SNR."""

    outcome: Outcome
    failures: list[tuple[Order, Heard]]


def run(systems: dict[str, System], orders: list[Order], sound: Callable[[Order], np.ndarray]
        ) -> dict[str, Tally]:
    """All systems over all orders, turn by turn; the first order is decoded once unmeasured."""
    tallies = {name: Tally(Outcome(), []) for name in systems}
    for index, order in enumerate(orders):
        samples = sound(order)
        for name, system in systems.items():
            if index == 0:
                system(samples)
            wall, cpu = time.perf_counter(), time.process_time()
            heard = system(samples)
            outcome = tallies[name].outcome
            outcome.cpu_seconds += time.process_time() - cpu
            outcome.wall_seconds += time.perf_counter() - wall
            outcome.audio_seconds += len(samples) / SAMPLE_RATE
            if not heard.accepts(order):
                tallies[name].failures.append((order, heard))
    return tallies


def show_failures(name: str, condition: str, failures: list[tuple[Order, Heard]]) -> None:
    """What was wanted, and what was heard instead."""
    for order, heard in failures:
        missed = {k: v for k, v in order.slots.items() if heard.slots.get(k) != v}
        missed |= {} if heard.intent == order.intent else {"intent": order.intent}
        wanted = ", ".join(f"{slot} {value!r}" for slot, value in missed.items())
        print(f"{name} {condition} {order.name[:8]}: heard {heard.text!r}, missed {wanted}")


def arguments() -> argparse.Namespace:
    """The command line."""
    made = parser(__doc__)
    made.add_argument("--snr", default="clean,24,15,6", help="conditions: clean and decibels")
    made.add_argument("--stream", action="store_true", help="also decode as streams")
    made.add_argument("--peer", action="store_true", help="also pocketsphinx with JSGF")
    made.add_argument("--peer-only", action="store_true", help="pocketsphinx with JSGF alone")
    made.add_argument("--every", type=int, default=0, help="every Nth file (1; with --peer 5)")
    made.add_argument("--first", type=int, default=0, help="orders left out before the first")
    made.add_argument("--model", default="en-us", help="the acoustic model, as en-us-network")
    made.add_argument("--quiet", action="store_true", help="do not list the failures")
    return made.parse_args()


def main() -> None:
    """Decode every condition, list the failures, print the table."""
    options = arguments()
    folder = options.data / "coffee_commands"
    with_peer = options.peer or options.peer_only
    orders = read_orders(folder)[options.first :: options.every or (5 if with_peer else 1)]
    orders = orders[: options.limit or None]
    noise, grammar = read_samples(folder / "kitchen_noise.flac"), folder / "grammar.yaml"
    systems = {} if options.peer_only else our_systems(options.model, grammar, options.stream)
    systems |= peer_systems(grammar, options.work) if with_peer else {}
    rows = []
    for condition in options.snr.split(","):

        def sound(order: Order, condition: str = condition) -> np.ndarray:
            speech = read_samples(order.path)
            if condition == CLEAN:
                return speech
            return mix(speech, noise, float(condition), order.name)

        label = condition if condition == CLEAN else f"{condition} dB"
        for name, tally in run(systems, orders, sound).items():
            if not options.quiet:
                show_failures(name, label, tally.failures)
            n_right = len(orders) - len(tally.failures)
            rows.append(
                [
                    label,
                    name,
                    f"{n_right}/{len(orders)} = {100 * n_right / len(orders):.1f} %",
                    f"{tally.outcome.real_time_factor:.4f}",
                    f"{tally.outcome.wall_seconds / tally.outcome.audio_seconds:.4f}",
                ]
            )
    report(options, "Spoken coffee orders accepted", rows,
           ["condition", "system", "accepted", "CPU × real time", "wall × real time"])  # fmt: skip


if __name__ == "__main__":
    main()
