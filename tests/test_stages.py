"""The time that compiling still takes, estimated from the stages that are done."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.ctc_home import written_home

from factored_asr.graph.stages import LEAST, SHARES, Remaining
from factored_asr.models.bundle import Bundle
from factored_asr.models.recipe import Recipe


def test_seconds_follow_the_stages() -> None:
    clock = iter([10.0, *(10.0 + 40.0 * sum(list(SHARES.values())[: i + 1])
                          for i in range(len(SHARES)))])
    left = Remaining(lambda: next(clock))
    done, found = 0.0, []
    for name, share in SHARES.items():
        found.append((done, left(f"{name} (1,000 arcs)")))
        done += share
    assert done == pytest.approx(1.0)
    for share, seconds in found:
        if share < LEAST:
            assert seconds is None
        else:
            assert seconds == pytest.approx(40.0 * (1 - share))
    assert found[-1][1] is not None


def test_the_stages_are_those_of_compiling(tmp_path: Path) -> None:
    told: list[str] = []
    with written_home(tmp_path) as home:
        recipe = Recipe(Bundle.find(home / "model"))
        recipe.compile(recipe.bundle.acoustic_model(), told.append)
    named = [name for stage in told for name in SHARES if stage.startswith(name)]
    assert named == list(SHARES)
