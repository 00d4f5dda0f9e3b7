"""Spoken orders in kitchen noise: what each tool against noise gives, alone and left out.

    python tests/bench/noise.py [--every 6] [--snr clean,24,12,6] [--tools "as it is,vts"]

Nothing of this was fitted on an order or on kitchen noise: settings were chosen on other speech
(accented English, synthesised commands) in other noise (rain, sea, fire, helicopter, voices). A
command is accepted as in coffee.py, whose mixing this is; every tool hears the same sounds. The
mean is over the noisy conditions. Its 95 % interval, and that of the difference from the first
row, are paired: 10,000 resamples of the files. With ``--background`` orders must also hold their
own against other speech, as they are shipped.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from coffee import CLEAN, Heard, Order, mix, read_orders
from common import N_BOOTSTRAP, SAMPLE_RATE, load_note, parser, print_table, read_samples

from factored_asr import Recognizer
from factored_asr.acoustic.noise_adaptation import NoiseOptions
from factored_asr.settings import COMMANDS, DecodeOptions

Tool = Callable[[DecodeOptions], DecodeOptions]
VTS = NoiseOptions()


def with_noise(noise: NoiseOptions) -> Tool:
    """The settings with a model moved to the noise."""
    return lambda settings: replace(settings, noise=noise)


TOOLS: dict[str, Tool] = {
    "as it is": lambda settings: settings,
    "scale 0.15": lambda settings: replace(settings, acoustic_scale=0.15),
    "vts": with_noise(VTS),
    "vts, trust 1": with_noise(replace(VTS, trust=1.0)),
    "vts, first guess": with_noise(replace(VTS, passes=1)),
    "vts, deltas": with_noise(replace(VTS, dynamic=True)),
}
RAW = ", no removal"
"""After a tool's name: the same without the noise removal of the model's front end."""


def arguments() -> argparse.Namespace:
    """The command line."""
    names = [*TOOLS, *(name + RAW for name in ("as it is", "vts"))]
    made = parser(__doc__)
    made.add_argument("--snr", default="clean,24,21,18,15,12,9,6", help="clean and decibels")
    made.add_argument("--every", type=int, default=1, help="every Nth file")
    made.add_argument("--tools", default="/".join(names), help="which rows, with / between")
    made.add_argument("--background", action="store_true", help="as shipped, with a background")
    return made.parse_args()


def recognizer(name: str, grammar: object, settings: DecodeOptions) -> Recognizer:
    """The recogniser of a row."""
    made = Recognizer.load("en-us", grammar=str(grammar), options=TOOLS[name.removesuffix(RAW)](
        settings
    ))  # fmt: skip
    if not name.endswith(RAW):
        return made
    plain = replace(made.model.features, remove_noise=False)
    return made.with_model(replace(made.model, features=plain))


def accepts(made: Recognizer, samples: np.ndarray, order: Order) -> bool:
    """Whether an order is understood."""
    said = made.transcribe(samples, sample_rate=SAMPLE_RATE)
    meaning = said.interpretation
    if meaning is None:
        return False
    slots = {name: str(value) for name, value in meaning.slots.items()}
    return Heard(said.text, meaning.intent, slots).accepts(order)


def interval(values: np.ndarray) -> str:
    """A mean over files in per cent, and its 95 % interval."""
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, len(values), (N_BOOTSTRAP, len(values)))
    low, high = np.percentile(100 * values[drawn].mean(axis=1), (2.5, 97.5))
    return f"{100 * values.mean():.1f} ({low:.1f} to {high:.1f})"


def main() -> None:
    """Every tool over every order in every condition, and the table."""
    options = arguments()
    folder = options.data / "coffee_commands"
    orders = read_orders(folder)[:: options.every][: options.limit or None]
    noise, conditions = read_samples(folder / "kitchen_noise.flac"), options.snr.split(",")
    settings = COMMANDS
    if not options.background:
        graph = replace(COMMANDS.graph, background_cost=float("inf"))
        settings = replace(COMMANDS, graph=graph)
    names = options.tools.split("/")
    systems = [recognizer(name, folder / "grammar.yaml", settings) for name in names]
    right = np.zeros((len(names), len(conditions), len(orders)))
    seconds, heard = np.zeros(len(names)), 0.0
    for at, order in enumerate(orders):
        speech = read_samples(order.path)
        for column, snr in enumerate(conditions):
            samples = speech if snr == CLEAN else mix(speech, noise, float(snr), order.name)
            heard += len(samples) / SAMPLE_RATE
            for row, system in enumerate(systems):
                begin = time.process_time()
                right[row, column, at] = accepts(system, samples, order)
                seconds[row] += time.process_time() - begin
    noisy = [i for i, snr in enumerate(conditions) if snr != CLEAN] or [0]
    means = right[:, noisy].mean(axis=1)
    rows = [
        [
            name, *(f"{100 * share:.1f}" for share in right[row].mean(axis=1)),
            interval(means[row]), interval(means[row] - means[0]) if row else "",
            f"{seconds[row] / heard:.4f}",
        ]
        for row, name in enumerate(names)
    ]  # fmt: skip
    print(f"{len(orders)} orders, {'with' if options.background else 'without'} background")
    print_table(rows, ["tool", *conditions, "noisy", "against the first", "CPU x real time"])
    print(load_note())


if __name__ == "__main__":
    main()
