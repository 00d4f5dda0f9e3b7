"""Every route gives the same words, costs, confidences, meanings and rejections for a sound.

The routes: a path, an array, a file object; ready-made frames of a GMM; a stream that re-decodes,
in chunks of any size; batch; evaluate; explain. And a stream without re-decoding agrees with itself
in any chunking.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.hybrid import random_hybrid
from support.network import encoder
from support.routes import RATE, Result, check_routes, frames_of

from factored_asr import Recognizer
from factored_asr.audio.mixing import add_noise
from factored_asr.audio.reading import read_audio
from factored_asr.lattice import SecondPassOptions
from factored_asr.lexicon import Lexicon
from factored_asr.models.bundle import Bundle
from factored_asr.models.folder import About, write_model
from factored_asr.recognizer.session import Session
from factored_asr.recognizer.speaker import SpeakerOptions
from factored_asr.training.make import settings_of

ROOT = Path(__file__).parent.parent
GRAMMAR = ROOT / "lm" / "smart_home.yaml"
CONFIDENT = SecondPassOptions(confidences=True)


def sounds() -> dict[str, np.ndarray]:
    """A dozen: clean, noisy, silent, out of grammar."""
    folder, rng = ROOT / "examples" / "audio", np.random.default_rng(0)
    names = ["kitchen_light_on", "music_stop", "heating_twenty_one", "weather", "good_morning",
             "train", "silence"]
    clean = {name: read_audio(folder / f"{name}.wav", sample_rate=RATE)[0] for name in names}
    hiss = rng.normal(0, 0.1, 10 * RATE).astype(np.float32)
    noisy = {
        f"{name} at {snr} dB": add_noise(clean[name], hiss[: len(clean[name])], snr)
        for name, snr in (("kitchen_light_on", 10), ("music_stop", 5), ("weather", 15))
    }
    return {
        **clean, **noisy, "hiss": hiss[: 2 * RATE], "digital silence": np.zeros(RATE, np.float32),
    }


SOUNDS = sounds()


TOOLS = [(), ("vts",), ("scale",), ("mask",), ("no-removal",), ("vts", "scale", "mask")]


@pytest.fixture(scope="module")
def commands(graph_cache: Path) -> Callable[[tuple[str, ...] | None], Recognizer]:
    plain = Recognizer.load("en-us", grammar=GRAMMAR, second_pass=CONFIDENT)

    def with_tools(tools: tuple[str, ...] | None) -> Recognizer:
        if tools is None:
            return plain
        return Recognizer.load(
            "en-us", grammar=GRAMMAR, options=plain.options.against_noise(tools)
        )

    return with_tools


@pytest.mark.parametrize("name", SOUNDS)
def test_commands_by_every_route(
    commands: Callable[..., Recognizer], tmp_path: Path, name: str
) -> None:
    result = check_routes(commands(None), SOUNDS[name], tmp_path)
    if name in ("kitchen_light_on", "music_stop", "heating_twenty_one"):
        assert len(result.words) >= 3 and None not in result.confidences
    if name in ("weather", "hiss", "silence", "digital silence"):
        assert not result.words and result.reason


@pytest.mark.parametrize("tools", TOOLS, ids="+".join)
def test_each_tool_against_noise_by_every_route(
    commands: Callable[..., Recognizer], tmp_path: Path, tools: tuple[str, ...]
) -> None:
    recognizer = commands(tools)
    for name in ("music_stop", "kitchen_light_on at 10 dB"):
        check_routes(recognizer, SOUNDS[name], tmp_path)


def test_an_adapted_speaker_by_every_route(
    commands: Callable[..., Recognizer], tmp_path: Path
) -> None:
    sound = SOUNDS["kitchen_light_on"]
    plain = commands(None)
    adapted = plain.adapted([sound], SpeakerOptions(rounds=1), sample_rate=RATE)
    result = check_routes(adapted, sound, tmp_path)
    assert result.cost != pytest.approx(Result.of(plain.transcribe(sound, sample_rate=RATE)).cost)
    from_frames = plain.adapted([frames_of(plain, sound)], SpeakerOptions(rounds=1))
    result.check(Result.of(from_frames.transcribe(sound, sample_rate=RATE)))


def test_alignment_has_the_scores_of_recognition(commands: Callable[..., Recognizer]) -> None:
    """In noise, too: the aligner and the search see one acoustic session's values."""
    recognizer = commands(("vts", "mask"))
    sound = SOUNDS["kitchen_light_on at 10 dB"]
    session = Session(recognizer.pipeline, whole=True)
    session.feed(sound, RATE)
    path = session.search().lattice.best()
    assert session.acoustic.in_noise
    pdfs = recognizer.graph.label_pdf[path.labels]
    again = np.concatenate(list(session.acoustic.scores(np.unique(pdfs))))
    columns = np.searchsorted(np.unique(pdfs), pdfs)
    np.testing.assert_allclose(
        session.acoustic.path_scores(pdfs), again[np.arange(len(pdfs)), columns], atol=1e-3
    )
    aligned = recognizer.align(sound, "turn on the kitchen light", sample_rate=RATE)
    decoded = recognizer.transcribe(sound, sample_rate=RATE)
    assert [each.word.text for each in aligned.words] == [word.text for word in decoded.words]
    for each, word in zip(aligned.words, decoded.words, strict=True):
        assert each.word.start == pytest.approx(word.start, abs=0.1)


@pytest.fixture(scope="module")
def small_dictation(graph_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    """Dictation by a bigram of a few words: no minute of compiling."""
    arpa = tmp_path_factory.mktemp("lm") / "small.arpa"
    words = "turn on off the kitchen chicken light lights stop music train good morning".split()
    unigrams = "\n".join(f"-1.2 {word} -0.3" for word in ["<s>", "</s>", *words])
    arpa.write_text(
        f"\\data\\\nngram 1={len(words) + 2}\nngram 2=2\n\n\\1-grams:\n{unigrams}\n\n"
        "\\2-grams:\n-0.3 turn on\n-0.4 kitchen light\n\n\\end\\\n"
    )
    return Recognizer.load("en-us", lm=arpa, second_pass=CONFIDENT)


@pytest.mark.parametrize("name", SOUNDS)
def test_dictation_by_every_route(
    small_dictation: Recognizer, tmp_path: Path, name: str
) -> None:
    check_routes(small_dictation, SOUNDS[name], tmp_path)


@pytest.fixture(scope="module")
def network(graph_cache: Path) -> Recognizer:
    encoder()
    return Recognizer.load("en-us-network", grammar=GRAMMAR, second_pass=CONFIDENT)


@pytest.mark.parametrize(
    "name", ["kitchen_light_on", "music_stop at 5 dB", "weather", "hiss", "digital silence"]
)
def test_commands_of_the_network_by_every_route(
    network: Recognizer, tmp_path: Path, name: str
) -> None:
    result = check_routes(network, SOUNDS[name], tmp_path)
    if "dB" not in name:
        assert bool(result.words) == (name == "kitchen_light_on")
    assert result.words or result.reason
    assert None not in result.confidences


@pytest.fixture(scope="module")
def hybrid(graph_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    """A network over cepstra; its numbers are random, so are its words."""
    settings = {name: of.to_dict() for name, of in settings_of(True, random_hybrid()).items()}
    folder = write_model(
        tmp_path_factory.mktemp("hybrid") / "model", random_hybrid(),
        lexicon=Lexicon.read(Bundle.find("en-us").lexicon), about=About(settings=settings),
    )
    return Recognizer.load(folder, grammar=GRAMMAR, second_pass=CONFIDENT)


@pytest.mark.parametrize("name", ["kitchen_light_on", "music_stop at 5 dB", "silence"])
def test_commands_of_a_hybrid_model_by_every_route(
    hybrid: Recognizer, tmp_path: Path, name: str
) -> None:
    result = check_routes(hybrid, SOUNDS[name], tmp_path)
    assert bool(result.words) == (name != "silence")


def test_a_speaker_adapted_by_a_hybrid_model(hybrid: Recognizer, tmp_path: Path) -> None:
    sound = SOUNDS["kitchen_light_on"]
    adapted = hybrid.adapted([sound], SpeakerOptions(rounds=2), sample_rate=RATE)
    result = check_routes(adapted, sound, tmp_path)
    assert result.cost != pytest.approx(Result.of(hybrid.transcribe(sound, sample_rate=RATE)).cost)
    aligned = hybrid.align(sound, "turn on the kitchen light", sample_rate=RATE)
    assert [each.word.text for each in aligned.words] == "turn on the kitchen light".split()


def test_dictation_of_the_network_by_every_route(
    small_dictation: Recognizer, tmp_path: Path
) -> None:
    assert small_dictation.recipe is not None
    recognizer = Recognizer.load(
        "en-us-network", lm=small_dictation.recipe.lm, second_pass=CONFIDENT
    )
    for name in ("kitchen_light_on", "train", "silence"):
        check_routes(recognizer, SOUNDS[name], tmp_path)


@pytest.mark.slow
def test_open_dictation_by_every_route(graph_cache: Path, tmp_path: Path) -> None:
    recognizer = Recognizer.load("en-us", second_pass=CONFIDENT)
    for name in ("weather", "train", "silence", "kitchen_light_on at 10 dB"):
        check_routes(recognizer, SOUNDS[name], tmp_path)
