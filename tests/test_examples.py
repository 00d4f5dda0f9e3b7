"""The examples run as a reader would run them, draw their picture, and say what they claim."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from factored_asr.corpus.corpus import Corpus
from factored_asr.decoder import BeamOptions, decode
from factored_asr.language import EstimateOptions, estimate
from factored_asr.training.data import load_data

EXAMPLES = Path(__file__).parents[1] / "examples"
NUMBERED = sorted(path.name for path in EXAMPLES.glob("[0-9][0-9]_*.py"))
CLAIMS = {
    "01": r'slt says "stop": recognised "stop".*\n.*slt says "zero": recognised "zero"',
    "02": r"by hand and by the library: 0\.\d+ apart",
    "03": r"H ∘ C ∘ L ∘ G: states, each with its loop: \d+ states",
    "04": r"(?m)^ +20 +\d\.\d% +0\.0%|^ +20 +\d\d\.\d% +0\.0%",
    "05": r"16 passes: 15\d Gaussians, .* (8|9)[05]% of|16 passes: .* 100% of",
    "06": r"no alexa don't turn on the kitchen light\n +→ off kitchen light; on bedroom light",
    "08": r"drawn from 08_the_prior_in_noise.json, measured earlier\n(.*\n)*"
          r"grammar +6\.0: +65% \(5\d% to 7\d%\)",  # fmt: skip
    "07": r"en-us: hundreds of people: 1[5-9] of 20",
    "09": r"an4, 5 min .* sat +[12]\d\.\d %(.*\n)+?an4, 5 min .* CTC, greedy +[56]\d\.\d %",
    "10": r"speaker-adaptive +by hand +word pairs +\d\.\d %",
    "12": r"sums \d\.\de-0[6-9] apart, gradient \d\.\de-0[6-9] apart\n"
          r".* frame 2: (\+0\.\d{3})\d; .* score: \1\d\n.*'ten' has 9\d %",
    "14": r"shared +9\d thousand weights(.*\n)+separate, full size +38\d thousand",
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


# --- the network of example 09 --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "heard"),
    [("_ada_", "ada"), ("aaddaa", "ada"), ("_ad_da", "adda"), ("ad da", "ad da"), ("ad_ _", "ad")],
)
def test_letters_of_steps_are_read_as_words(
    said: str, heard: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    from end_to_end import spelling_graph

    letters = ["", " ", "a", "d"]
    words = estimate([["ada"], ["adda"], ["ad", "da"]], EstimateOptions(order=1, unknown=False))
    scores = np.full((len(said), len(letters)), -20.0, np.float32)
    for step, letter in enumerate(said):
        scores[step, letters.index(letter.strip("_"))] = 0.0
    path = decode(spelling_graph(words, letters), scores, BeamOptions(beam=60)).best()
    assert path.reached_final
    assert " ".join(path.words) == heard


def test_a_network_learns_and_the_same_seed_gives_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch", reason="needs pip install '.[train]'")
    monkeypatch.syspath_prepend(EXAMPLES)
    from end_to_end import train_network

    one_voice = Corpus.read(EXAMPLES / "words").select(["slt"])
    data = load_data(one_voice)
    networks = [train_network(data, n, seed=1) for n in (200, 200)]
    first, again = (network.scores(data.features(0)) for network in networks)
    assert np.array_equal(first, again)
    losses = [float(each) for each in re.findall(r"loss (\d+\.\d+)", capsys.readouterr().out)]
    assert losses[1] < 0.7 * losses[0]
