"""Recognisers that come trained, for example 09: en-us, and moonshine tiny, an end-to-end system.

`factored-asr compare` does the same from the command line, with any other system.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from factored_asr.compare.material import Item, read_labelled, read_spoken
from factored_asr.compare.run import CompareOptions, compare
from factored_asr.compare.systems import SystemSpec
from factored_asr.corpus.utterance import Utterance


def ready_made(data: Path, every: int) -> list[dict[str, Any]]:
    """en-us and moonshine: words wrong of dictation, orders understood of a grammar's."""
    orders = data / "coffee_commands"
    materials: dict[str, tuple[Sequence[Item], CompareOptions]] = {
        "native dictation": (sentences(data / "native_dictation"), CompareOptions()),
        "accented dictation": (read_spoken(data / "accented_english")[::every * 2],
                               CompareOptions()),
        "spoken orders": (read_labelled(orders / "clean", orders / "labels.json")[::every],
                          CompareOptions(grammar=orders / "grammar.yaml")),
    }  # fmt: skip
    systems = [SystemSpec.parse("ours"), SystemSpec.parse("moonshine")]
    rows = []
    for name, (items, settings) in materials.items():
        for row in compare(items, systems, settings).rows:
            what = "of orders understood" if row.understood else "of words wrong"
            rows.append({
                "task": name, "system": row.system, "measure": what, "rate": row.value,
                "low": row.low, "high": row.high, "sounds": len(items), "p": row.p,
                "cpu": row.factor("cpu"),
            })  # fmt: skip
    return rows


def sentences(folder: Path) -> list[Item]:
    """Of a file with lines ``<s> words </s> (name)``."""
    items = []
    for line in (folder / "transcription").read_text(encoding="utf-8").splitlines():
        _, *words, _, name = line.split()
        path = folder / f"{name.strip('()')}.wav"
        items.append(Item(path.stem, Utterance(path.stem, "", tuple(words), path)))
    return items
