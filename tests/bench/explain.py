"""Are explanations exact? The costs shown against what the search paid, and what explaining takes.

For each sound: the words, how far the sum of all factors lies from the path's cost (bar: 1e-3), the
remainder that backing off leaves, the share of words with a competitor in the lattice, and the CPU
seconds of `Recognizer.explain` (without ablations) for each second of sound, the decode included.
Dictation on native_dictation, commands on coffee_commands.
"""

from __future__ import annotations

import time
from pathlib import Path

from common import native_dictation, parser, report

from factored_asr import Recognizer
from factored_asr.explain import ExplainOptions

BARE = ExplainOptions(without=())


def row(recognizer: Recognizer, name: str, path: Path) -> list[str]:
    """A line of the table."""
    began = time.process_time()
    explained = recognizer.explain(path, options=BARE)
    seconds = time.process_time() - began
    words = explained.words
    error = abs(explained.costs.total - explained.cost) if explained.parts else 0.0
    return [
        name, str(len(words)), f"{error:.1e}", f"{explained.costs.remainder:+.3f}",
        f"{sum(each.competitor is not None for each in words)} of {len(words)}",
        f"{seconds / explained.transcript.duration:.2f}",
    ]


def main() -> None:
    """Explain, compare, print."""
    arguments = parser(__doc__)
    options = arguments.parse_args()
    rows = []
    dictation = Recognizer.load("en-us")
    utterances = native_dictation(options.data)[: options.limit or None]
    dictation.explain(utterances[0].path, options=BARE)  # compiles the kernels
    for utterance in utterances:
        rows.append(row(dictation, f"dictation, {Path(utterance.path).stem[-4:]}", utterance.path))
    coffee = options.data / "coffee_commands"
    commands = Recognizer.load("en-us", grammar=coffee / "grammar.yaml")
    for sound in sorted((coffee / "clean").glob("*.flac"))[: options.limit or 8]:
        rows.append(row(commands, f"commands, {sound.stem[:8]}", sound))
    header = ["sound", "words", "|sum − cost|", "remainder", "words with a competitor", "CPU s / s"]
    report(options, "Explanations: does what is shown add up?", rows, header)


if __name__ == "__main__":
    main()
