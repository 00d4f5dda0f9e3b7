"""Spoken orders in kitchen noise: what each tool against noise gives, alone and left out.

    python tests/bench/noise.py [--snr clean,24,12,6] [--tools "as it is/vts + deltas"]
    python tests/bench/noise.py --every 6 --first 3 --write noise   # the table of each tool

No model is trained on an order or on kitchen noise. Settings were developed on other speech
(accented English, synthesised commands) in other noise (rain, sea, fire, helicopter, voices), but
every fourth and sixth order from the first were looked at meanwhile: see README.md. A command is
accepted as in coffee.py, whose mixing this is; every tool hears the same sounds. The mean is over
the noisy conditions. Its 95 % interval, and that of the difference from the first row, are paired:
10,000 resamples of the files. After the tools alone, `TOGETHER` are used at once, and all of those
but each. With ``--background`` orders must also hold their own against other speech, as shipped.
results/noise.json also has rows of tools that did not help and were removed.

``--adapt`` is another experiment: en-us is adapted (MAP) to half of the orders, every second file,
clean and ten times in the first 30 s of the noise; every row is measured on the other half, in the
rest of the noise. Words come from decoding the clean order, kept where intent and slots are as
labelled; with ``--untranscribed`` no label is looked at, and those are kept whose every word is
heard with confidence. Speakers are not known, so some may be in both halves. How the model is
adapted was chosen within the first half, its last 10 s of noise kept apart.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from coffee import CLEAN, Heard, Order, mix, read_orders
from common import N_BOOTSTRAP, SAMPLE_RATE, parser, read_samples, report

from factored_asr import Recognizer
from factored_asr.acoustic import GmmModel
from factored_asr.acoustic.gmm.adaptation import MapOptions
from factored_asr.acoustic.gmm.compensation import NoiseOptions
from factored_asr.acoustic.gmm.tools import SnrScale
from factored_asr.corpus.augment import NoiseMix
from factored_asr.corpus.corpus import Corpus
from factored_asr.lattice import SecondPassOptions
from factored_asr.models.bundle import Bundle
from factored_asr.models.recipe import Recipe
from factored_asr.models.settings import COMMANDS, FRONT_ENDS, DecodeOptions
from factored_asr.training.adapt import AdaptOptions, adapt
from factored_asr.training.data import noisy_data
from factored_asr.training.self_training import self_transcribed

Tool = Callable[[DecodeOptions], DecodeOptions]
STATIC = NoiseOptions(dynamic=False, clean=np.inf)


def with_front_end(name: str) -> Tool:
    """The settings with one tool more in the front end."""
    return lambda settings: replace(settings, front_end={**settings.front_end, **FRONT_ENDS[name]})


def changed_vts(**choices: object) -> Tool:
    """The settings with other choices of how the model is moved, if it is."""
    return lambda settings: replace(
        settings, noise=settings.noise and replace(settings.noise, **choices)
    )


TOOLS: dict[str, Tool] = {
    **{name: with_front_end(name) for name in FRONT_ENDS},
    "scale": lambda settings: replace(settings, snr_scale=SnrScale()),
    "vts": lambda settings: replace(settings, noise=STATIC),
    "deltas": changed_vts(dynamic=True),
    "gate": changed_vts(clean=NoiseOptions().clean),
    "full weight": changed_vts(static_weight=1.0, delta_weight=1.0),
}
"""By name; a row is one of them or several with + between. ``vts`` moves static Gaussians alone;
``gate`` leaves clean sounds alone."""
TOGETHER = ("mask", "vts", "deltas", "gate")
"""The tools that are used at once, in order: as shipped."""
AS_IT_IS, ALL, BUT = "as it is", "all", "all but "
FMLLR = "fMLLR of the file"
"""Heard twice: a map of this very file, from its first pass's lattice (`Recognizer.adapted`)."""
ROWS = (
    AS_IT_IS, FMLLR, *FRONT_ENDS, "scale", "vts", "vts + deltas",
    ALL, *(BUT + tool for tool in TOGETHER), ALL + " + scale",
)  # fmt: skip
ADAPTED = ", adapted"
"""After a row's name: with the model that was adapted to half of the orders."""
LEAST = 0.9  # confidence of the least sure word, where no label says what is right
FOR_ADAPTATION = 30 * SAMPLE_RATE  # samples of the noise
MIX = NoiseMix(snrs=((10.0, 24.0), (8.0, 14.0), *[(3.0, 10.0)] * 4, *[(2.0, 7.0)] * 4))
"""What an order is heard in besides: most of it low, where most is to be learnt."""


def arguments() -> argparse.Namespace:
    """The command line."""
    made = parser(__doc__)
    made.add_argument("--snr", default="clean,24,21,18,15,12,9,6", help="clean and decibels")
    made.add_argument("--every", type=int, default=1, help="every Nth file")
    made.add_argument("--first", type=int, default=0, help="files left out before the first")
    made.add_argument("--tools", default="", help="which rows, with / between")
    made.add_argument("--model", default="en-us", help="or a folder, see other_speech.py")
    made.add_argument("--adapt", action="store_true", help="adapt to half, measure on the other")
    made.add_argument("--untranscribed", action="store_true", help="adapt without labels")
    made.add_argument("--background", action="store_true", help="as shipped, with a background")
    return made.parse_args()


def rows_of(options: argparse.Namespace) -> list[str]:
    """Names of the rows: tools, each perhaps with a suffix."""
    if options.tools:
        return str(options.tools).split("/")
    if options.adapt:
        return [AS_IT_IS, ALL, "mask" + ADAPTED, ALL + ADAPTED]
    return list(ROWS)


def settings_of(row: str, settings: DecodeOptions) -> DecodeOptions:
    """The settings that a row is made with."""
    if row in (AS_IT_IS, FMLLR):
        return settings
    tools = row.split(" + ")
    if row.startswith((ALL, BUT)):
        tools = [tool for tool in TOGETHER if row != BUT + tool] + tools[1:]
    for tool in tools:
        settings = TOOLS[tool](settings)
    return settings


def recognizer(
    row: str, grammar: object, settings: DecodeOptions, adapted: Mapping[str, GmmModel],
    model: str = "en-us",
) -> Recognizer:
    """The recogniser of a row."""
    chosen = settings_of(row.removesuffix(ADAPTED), settings)
    made = Recognizer.load(model, grammar=str(grammar), options=chosen)
    return made.with_model(adapted[front_end_of(chosen)]) if row.endswith(ADAPTED) else made


def front_end_of(settings: DecodeOptions) -> str:
    """What a model hears through: one is adapted to each."""
    return repr(dict(settings.front_end))


def adapted_model(
    listener: Recognizer, orders: list[Order], noise: np.ndarray, labelled: bool
) -> GmmModel:
    """The listener's model, adapted to orders whose words it can tell when they are clean."""
    paths = [
        order.path for order in orders
        if not labelled or accepts(listener, read_samples(order.path), order)
    ]
    kept = self_transcribed(listener, paths, 0.0 if labelled else LEAST)
    kept = Corpus(tuple(replace(each, id=each.path.name) for each in kept))  # seeds of the noise
    data = noisy_data(kept, noise, listener.model.features, MIX)
    print(f"adapting to {len(kept)} of {len(orders)} orders, {len(data)} sounds", flush=True)
    chosen = AdaptOptions(method="map", map_passes=2, map=MapOptions(5.0, 20.0, 10.0))
    return adapt(data, Recipe(Bundle.find("en-us")).read_lexicon(), listener.model, chosen)


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
    orders = read_orders(folder)
    noise, conditions = read_samples(folder / "kitchen_noise.flac"), options.snr.split(",")
    settings = COMMANDS
    if not options.background:
        settings = replace(COMMANDS, background=None)
    names, grammar = rows_of(options), folder / "grammar.yaml"
    adapted: dict[str, GmmModel] = {}
    if options.adapt:
        for name in (name for name in names if name.endswith(ADAPTED)):
            heard_by = settings_of(name.removesuffix(ADAPTED), settings)
            if front_end_of(heard_by) not in adapted:
                sure = replace(settings, second_pass=SecondPassOptions(confidences=True),
                               front_end=heard_by.front_end)  # fmt: skip
                listener = Recognizer.load(options.model, grammar=grammar, options=sure)
                adapted[front_end_of(heard_by)] = adapted_model(
                    listener, orders[::2], noise[:FOR_ADAPTATION], not options.untranscribed
                )
        orders, noise = orders[1::2], noise[FOR_ADAPTATION:]
    orders = orders[options.first :: options.every][: options.limit or None]
    chosen = [(settings_of(name.removesuffix(ADAPTED), settings), name.endswith(ADAPTED),
               name.startswith(FMLLR)) for name in names]  # fmt: skip
    twins = [chosen.index(one) for one in chosen]  # all tools but one may be another row
    systems = {row: recognizer(names[row], grammar, settings, adapted, options.model)
               for row in set(twins)}  # fmt: skip
    right = np.zeros((len(names), len(conditions), len(orders)))
    seconds, heard = np.zeros(len(names)), 0.0
    for at, order in enumerate(orders):
        speech = read_samples(order.path)
        for column, snr in enumerate(conditions):
            samples = speech if snr == CLEAN else mix(speech, noise, float(snr), order.name)
            heard += len(samples) / SAMPLE_RATE
            for row, system in systems.items():
                begin = time.process_time()
                if names[row].startswith(FMLLR):
                    file = [system.features(samples, sample_rate=SAMPLE_RATE)]
                    right[row, column, at] = accepts(system.adapted(file), samples, order)
                else:
                    right[row, column, at] = accepts(system, samples, order)
                seconds[row] += time.process_time() - begin
    right, seconds = right[twins], seconds[twins]
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
    header = ["tool", *conditions, "noisy", "against the first", "CPU x real time"]
    report(options, f"Tools against noise: {len(orders)} spoken orders understood, %", rows, header)


if __name__ == "__main__":
    main()
