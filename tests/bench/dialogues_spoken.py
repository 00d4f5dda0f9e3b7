"""Spoken dialogues with the house of lm/house.yaml: what is done after each turn.

    python tests/bench/dialogues_spoken.py [--model en-us-network] [--conditions all] [--every 4]
        [--snr 6] [--plain]

The dialogues of tests/data/spoken by synthetic voices: those in the repository, or all eight voices
at two rates (``--conditions all``; needs flite and espeak-ng), clean, at 15 and at 6 dB, or at one
of these (``--snr``; inf is clean). A dialogue goes on from what was really done, so that an error
may cause others; with ``--apart`` each turn follows the right ones. A turn is right if exactly the
expected actions follow; wrong, if any other action is done. Bars: at least 90 % right, at most
0.5 % wrong; no negated command and no refusal acted on as the command in it. ``--plain`` recognises
the grammar with ``DENIALS`` alone. ``--show`` prints every turn that is not right.
"""

from __future__ import annotations

import math
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from common import REPOSITORY, SAMPLE_RATE, parser, report

sys.path[:0] = [str(REPOSITORY / "tests")]

from support.spoken import Spoken, Turn, spoken_dialogues  # noqa: E402

from factored_asr import Recognizer  # noqa: E402
from factored_asr.dialogue import Dialogue, Memory, Outcome, World  # noqa: E402
from factored_asr.graph import DENIALS  # noqa: E402
from factored_asr.language import Grammar  # noqa: E402

HOUSE = REPOSITORY / "lm" / "house.yaml"
DENIED = ("negated", "refusal")


@dataclass(frozen=True)
class Result:
    """What came of one turn."""

    spoken: Spoken
    turn: Turn
    text: str
    outcome: Outcome
    reason: str

    @property
    def right(self) -> bool:
        """Exactly the expected actions."""
        return self.outcome.actions == self.turn.do

    @property
    def wrong(self) -> bool:
        """Something was done that was not to be done."""
        return not set(self.outcome.actions) <= set(self.turn.do)

    @property
    def reversed(self) -> bool:
        """A denied command was acted on."""
        acts = self.outcome.utterance.acts
        return self.turn.kind in DENIED and self.wrong and any(a.kind == "command" for a in acts)


def recogniser(model: str, plain: bool) -> Recognizer:
    """The recogniser of conversations, or of commands and their denials."""
    if not plain:
        return Recognizer.load(model, grammar=HOUSE, conversation=True)
    commands = Recognizer.load(model, grammar=HOUSE).options
    graph = replace(commands.graph, prefixes=DENIALS)
    return Recognizer.load(model, grammar=HOUSE,
                           options=replace(commands, graph=graph).with_lattice())


def play(
    recognizer: Recognizer, spoken: Spoken, snr: float, folder: Path, apart: bool
) -> Iterator[Result]:
    """Play one dialogue; with `apart` each turn follows the right ones."""
    house = Dialogue(Grammar.read(HOUSE), World.read(HOUSE))
    for i, turn in enumerate(spoken.turns):
        if apart:
            house.memory = Memory(house.world.start())
            for before in spoken.turns[:i]:
                house.hear(before.say)
        samples = spoken.samples(i, None if math.isinf(snr) else snr, folder)
        said = recognizer.transcribe(samples, sample_rate=SAMPLE_RATE)
        yield Result(spoken, turn, said.text, house.hear(said), str(said.reason))


def rows(results: dict[float, list[Result]]) -> Iterator[list[str]]:
    """Yield the lines of the table."""
    kinds = Counter(each.turn.kind for some in results.values() for each in some)
    for kind in ("all", *kinds):
        for snr, some in results.items():
            of_kind = [each for each in some if kind in ("all", each.turn.kind)]
            if not of_kind:
                continue
            n, level = len(of_kind), "clean" if math.isinf(snr) else f"{snr:g} dB"
            right, wrong = (100 * np.mean([getattr(e, of) for e in of_kind])
                            for of in ("right", "wrong"))
            nothing = 100 * np.mean([not e.outcome.actions and not e.right for e in of_kind])
            turned = sum(each.reversed for each in of_kind)
            more = f"{turned} of {n}" if kind in DENIED else ""
            yield [kind, level, str(n), f"{right:.1f}", f"{wrong:.2f}", f"{nothing:.1f}", more]


def main() -> None:
    """Print the table."""
    made = parser(__doc__)
    made.add_argument("--conditions", default="shipped", choices=("shipped", "all"))
    made.add_argument("--every", type=int, default=1)
    made.add_argument("--first", type=int, default=0, help="with --every: which of them")
    made.add_argument("--snr", type=float, action="append")
    for option in ("--plain", "--apart", "--show"):
        made.add_argument(option, action="store_true")
    made.add_argument("--model", default="en-us")
    options = made.parse_args()
    recognizer = recogniser(options.model, options.plain)
    results, cpu, seconds = defaultdict[float, list[Result]](list), 0.0, 0.0
    dialogues = list(spoken_dialogues(options.conditions))[options.first :: options.every]
    for spoken in dialogues[: options.limit or None]:
        for snr in options.snr or (math.inf, 15.0, 6.0):
            begun = time.process_time()
            found = list(play(recognizer, spoken, snr, options.work / "spoken", options.apart))
            cpu += time.process_time() - begun
            seconds += sum(len(spoken.samples(i)) for i in range(len(spoken.turns))) / SAMPLE_RATE
            results[snr] += found
            for each in (e for e in found if options.show and not e.right):
                print(f"{snr:g} dB {spoken.voice} {spoken.speed}: {each.turn.say!r} "
                      f"({each.turn.kind}) -> {each.text!r} {each.reason[:70]} "
                      f"{each.outcome.actions} {'?' if each.outcome.ask else ''}"
                      f"{' WRONG' if each.wrong else ''}", flush=True)
    print(f"{cpu / seconds:.3f} CPU seconds for each second of sound")
    report(options, "Spoken dialogues", list(rows(results)),
           ["turns", "noise", "n", "right, %", "wrong action, %", "no action, %", "reversed"])


if __name__ == "__main__":
    main()
