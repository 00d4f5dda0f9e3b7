"""The example of live words, and the files for services, say what is true."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_live_words_in_the_terminal() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "11_live.py", "--fast", "--grammar",
         ROOT / "lm" / "smart_home.yaml", ROOT / "examples" / "audio" / "kitchen_light_on.wav"],
        capture_output=True, text=True, check=False, timeout=300, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("turn on the kitchen light\tTurnOn {")


def test_services_use_options_that_there_are() -> None:
    from factored_asr.cli import app

    parser = app._parser()
    docker = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    words = [re.findall(r'"([^"]*)"', line) for line in docker.splitlines()
             if line.startswith(("ENTRYPOINT", "CMD"))]
    assert words[0][0].endswith("/factored-asr")
    parser.parse_args(words[0][1:] + words[1])
    unit = (ROOT / "deploy" / "factored-asr.service").read_text(encoding="utf-8")
    command = re.search(r"ExecStart=\S+/factored-asr (.*) \$OPTIONS", unit)
    assert command is not None
    options = parser.parse_args(command[1].split())
    stop = int(re.search(r"TimeoutStopSec=(\d+)", unit)[1])  # type: ignore[index]
    assert options.drain == 0 and stop > 10 + 3  # the default, and what follows it
    assert "USER asr" in docker and "DynamicUser=yes" in unit


def test_a_server_recognises_what_the_library_does_by_default() -> None:
    """The graph is that of `transcribe`: denied commands included, unless they are declined."""
    from factored_asr.cli import app
    from factored_asr.cli.serve import _recipe_of
    from factored_asr.cli.shared import recipe_of

    parser, grammar = app._parser(), str(ROOT / "lm" / "smart_home.yaml")
    for more in ([], ["--no-denials"], ["--denials"], ["--prefix", "computer"], ["--beam", "9"]):
        served = _recipe_of(parser.parse_args(["serve", "--grammar", grammar, *more]), grammar)
        plain = recipe_of(parser.parse_args(["transcribe", "--grammar", grammar, *more, "a.wav"]))
        assert served == plain
    dictation = _recipe_of(parser.parse_args(["serve"]), None)
    assert dictation == recipe_of(parser.parse_args(["transcribe", "a.wav"]))


def test_phrases_are_closed() -> None:
    """No word comes from elsewhere, such as those of denials."""
    from factored_asr.models.bundle import Bundle
    from factored_asr.models.recipe import Recipe
    from factored_asr.server import Limits
    from factored_asr.server.phrases import PhraseCompiler, compile_phrases

    recipe = Recipe(Bundle.find("en-us"))
    compiler = PhraseCompiler(recipe.bundle.acoustic_model(), recipe, Limits())
    graph, background = compile_phrases(compiler.recipe, ["stop", "the music"])
    assert sorted(graph.words[1:]) == ["music", "stop", "the"] and background is not None
