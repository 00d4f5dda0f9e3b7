"""The cost of conversations: spoken commands by three graphs of one grammar.

    python tests/bench/conversation_cost.py [--models en-us-network,en-us] [--repeat 3] [--profile]

The first turns of the dialogues of tests/data/spoken that are plain commands, in all voices that
are kept there, with lm/house.yaml: the commands alone, with their denials (the default), and all
that a dialogue understands (``conversation=True``), alone and with `Dialogue.hear` of the result.
Each sound is recognised in all four ways in turn,
``--repeat`` times, and the least CPU time of each counts. The ratio to the first row has its 95 %
interval by a paired bootstrap over sounds. Bar: at most 20 % more. ``--profile`` prints where the
time of each goes.
"""

from __future__ import annotations

import cProfile
import pstats
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from common import REPOSITORY, SAMPLE_RATE, paired_bootstrap, parser, report

sys.path[:0] = [str(REPOSITORY / "tests")]

from support.spoken import spoken_dialogues  # noqa: E402

from factored_asr import Recognizer, Transcript  # noqa: E402
from factored_asr.dialogue import Dialogue, Memory, World  # noqa: E402
from factored_asr.language import Grammar  # noqa: E402

HOUSE = REPOSITORY / "lm" / "house.yaml"
System = Callable[[np.ndarray], object]


def main() -> None:
    """Time everything, print the table."""
    made = parser(__doc__)
    made.add_argument("--models", default="en-us-network,en-us")
    made.add_argument("--repeat", type=int, default=3)
    made.add_argument("--profile", action="store_true")
    options = made.parse_args()
    sounds = commands()[: options.limit or None]
    seconds = sum(map(len, sounds)) / SAMPLE_RATE
    rows: list[list[object]] = []
    for model in options.models.split(","):
        systems = systems_of(model)
        spent = timed(list(systems.values()), sounds, options.repeat)
        for (name, each), of_all in zip(systems.items(), spent, strict=True):
            # In microseconds: sums below 1 would count as 1, as those of errors do.
            more = paired_bootstrap(1e6 * of_all, 1e6 * spent[0])
            percent = [100 * (each - 1) for each in (more.ratio, more.low, more.high)]
            rows.append([model, name, f"{of_all.sum() / seconds:.4f}",
                         "{:+.1f} % ({:+.1f} to {:+.1f})".format(*percent)])  # fmt: skip
            if options.profile:
                profiled(f"{model}, {name}", each, sounds)
    report(options, f"The cost of conversations, {len(sounds)} spoken commands", rows,
           ["model", "graph", "CPU × real time", "more"])


def commands() -> list[np.ndarray]:
    """The sounds of plain commands that begin a dialogue."""
    return [spoken.samples(0) for spoken in spoken_dialogues("shipped")
            if spoken.turns[0].kind == "command"]


def systems_of(model: str) -> dict[str, System]:
    """What is timed by name, the plain one first."""
    denied = Recognizer.load(model, grammar=HOUSE)
    settings = denied.options
    plain = replace(settings, graph=replace(settings.graph, denials=False))
    recognisers = {
        "commands": Recognizer.load(model, grammar=HOUSE, options=plain),
        "and denials": denied,
        "conversation": Recognizer.load(model, grammar=HOUSE, conversation=True),
    }
    systems = {f"{name}, {each.graph.n_states} states": partial(recognised, each)
               for name, each in recognisers.items()}
    house = Dialogue(Grammar.read(HOUSE), World.read(HOUSE))
    return systems | {"conversation and dialogue": partial(
        heard, recognisers["conversation"], house)}


def recognised(recognizer: Recognizer, sound: np.ndarray) -> Transcript:
    """What a recogniser makes of a sound."""
    return recognizer.transcribe(sound, sample_rate=SAMPLE_RATE)


def heard(recognizer: Recognizer, house: Dialogue, sound: np.ndarray) -> None:
    """Recognise a sound, and let a dialogue that has just begun act on it."""
    house.memory = Memory(house.world.start())
    house.hear(recognised(recognizer, sound))


def timed(systems: list[System], sounds: list[np.ndarray], repeat: int) -> np.ndarray:
    """CPU seconds of each system and sound, (n_systems, n_sounds), the least of all repeats."""
    for system in systems:
        system(sounds[0])
    spent = np.full((len(systems), len(sounds)), np.inf)
    for _ in range(repeat):
        for i, sound in enumerate(sounds):
            for k in np.roll(np.arange(len(systems)), i):  # none always follows the same
                system = systems[k]
                began = time.process_time()
                system(sound)
                spent[k, i] = min(spent[k, i], time.process_time() - began)
    return spent


def profiled(name: str, system: System, sounds: list[np.ndarray]) -> None:
    """Print the functions that take the most time."""
    profile = cProfile.Profile()
    profile.enable()
    for sound in sounds:
        system(sound)
    profile.disable()
    print(f"----- {name}")
    pstats.Stats(profile).sort_stats("tottime").print_stats(14)


if __name__ == "__main__":
    main()
