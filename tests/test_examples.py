"""The examples run as a reader would run them, draw their picture, and say what they claim."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
NUMBERED = sorted(path.name for path in EXAMPLES.glob("[0-9][0-9]_*.py"))
CLAIMS = {
    "01": r'slt says "stop": heard "stop".*\n.*slt says "zero": heard "zero"',
    "02": r"by hand and by the library: 0\.\d+ apart",
    "03": r"H ∘ C ∘ L ∘ G: states, each with its loop: \d+ states",
    "04": r"(?m)^ +20 +\d\.\d% +0\.0%|^ +20 +\d\d\.\d% +0\.0%",
    "05": r"16 passes: 15\d Gaussians, .* (8|9)[05]% of|16 passes: .* 100% of",
    "06": r"no alexa don't turn on the kitchen light\n +→ off kitchen light; on bedroom light",
    "08": r"drawn from 08_the_prior_in_noise.json, measured earlier\n(.*\n)*grammar +6\.0",
    "07": r"en-us: hundreds of people: 1[5-9] of 20",
}


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all: 07 takes the model that 05 has trained."""
    return tmp_path_factory.mktemp("examples")


@pytest.mark.parametrize("name", [name for name in NUMBERED if name[:2] in CLAIMS])
def test_runs_and_draws(name: str, output: Path) -> None:
    pytest.importorskip("matplotlib")
    environment = {**os.environ, "PYTHONPATH": str(EXAMPLES.parent)}
    done = subprocess.run(
        [sys.executable, EXAMPLES / name, "--output", output], capture_output=True, text=True,
        env=environment, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.search(CLAIMS[name[:2]], done.stdout), done.stdout
    picture = output / f"{Path(name).stem}.png"
    assert picture.stat().st_size > 10_000


def test_every_example_tells_its_story() -> None:
    assert NUMBERED, "no examples"
    for name in NUMBERED:
        text = (EXAMPLES / name).read_text(encoding="utf-8")
        assert text.startswith('"""'), f"{name} says nothing of itself"
        assert f"python examples/{name}" in text, f"{name} does not say how to run it"


def test_the_spoken_words_are_small_and_complete() -> None:
    files = sorted((EXAMPLES / "words").rglob("*.flac"))
    assert len(files) == 8 * 20
    assert sum(path.stat().st_size for path in files) < 3_000_000
