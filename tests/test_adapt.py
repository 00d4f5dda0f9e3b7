"""A model moved towards a small corpus, and towards the voice in some files, by the program."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import soundfile

from factored_asr import Recognizer
from factored_asr.acoustic import TiedMixtures
from factored_asr.acoustic.gmm.session import GmmSession
from factored_asr.cli.app import main
from factored_asr.models.bundle import Bundle
from factored_asr.recognizer.session import Session
from factored_asr.recognizer.speaker import SpeakerOptions

GRAMMAR = Path(__file__).parent.parent / "lm" / "smart_home.yaml"
SOUNDS = ("kitchen_light_on.wav", "bedroom_light_off.wav", "blinds_open.wav")


@pytest.fixture(scope="module")
def corpus(
    tmp_path_factory: pytest.TempPathFactory, audio_dir: Path, spoken: Mapping[str, str]
) -> Path:
    """A table of three commands, one of them with a word that no dictionary has."""
    lines = ["id\tpath\tspeaker\ttext"]
    lines += [f"{name[:-4]}\t{audio_dir / name}\tvoice\t{spoken[name]}" for name in SOUNDS]
    lines.append(f"odd\t{audio_dir / SOUNDS[0]}\tvoice\tturn on the xyzzy")
    table = tmp_path_factory.mktemp("corpus") / "commands.tsv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return table


def test_the_program_adapts_a_model_and_writes_it(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], audio_dir: Path
) -> None:
    arguments = ["adapt", "--model", "en-us", "--corpus", str(corpus), "--output"]
    assert main([*arguments, str(tmp_path / "mine"), "--method", "map", "--tau", "5"]) == 1
    told = capsys.readouterr()
    assert "adapted to 3 utterances of 1 speakers" in told.out
    assert "xyzzy" in told.err and "map 3/3" in told.err
    old, new = Bundle.find("en-us"), Bundle.find(tmp_path / "mine")
    before, after = old.acoustic_model().densities, new.acoustic_model().densities
    assert isinstance(before, TiedMixtures) and isinstance(after, TiedMixtures)
    assert after.means.shape == before.means.shape
    moved = np.abs(after.means - before.means).max(axis=2)
    assert moved.max() > 0.1 and np.median(moved) < 0.05  # few were heard
    np.testing.assert_allclose(after.weights.sum(axis=1), 1, rtol=1e-4)
    assert new.dictation == old.dictation
    assert new.folder is not None and "adapted to" in new.folder.about.origin
    recognizer = Recognizer.load(tmp_path / "mine", grammar=GRAMMAR)
    assert recognizer.transcribe(audio_dir / SOUNDS[1]).text == "turn off the bedroom light"


def test_transcribe_adapts_to_the_speaker_of_a_folder(
    audio_dir: Path, spoken: Mapping[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF")
    files = [*(str(audio_dir / name) for name in SOUNDS), str(broken)]
    grammar = ["--model", "en-us", "--grammar", str(GRAMMAR)]
    assert main(["transcribe", *grammar, "--adapt", "speaker", "--quiet", *files]) == 1
    told = capsys.readouterr()
    heard = [line.split("\t")[1] for line in told.out.splitlines()]
    assert heard == [spoken[name] for name in SOUNDS]
    assert told.err.count("broken.wav") == 1
    for wrong in (["-"], ["--live", files[0]]):
        assert main(["transcribe", *grammar, "--adapt", "speaker", *wrong]) == 2
        assert "decodes twice" in capsys.readouterr().err


def test_a_recogniser_adapts_to_a_voice(graph_cache: Path, audio_dir: Path) -> None:
    """The likelihood of what was heard rises with the voice's own map."""
    recognizer = Recognizer.load("en-us", grammar=GRAMMAR)
    adapted = recognizer.adapted(
        [audio_dir / name for name in SOUNDS], SpeakerOptions(rounds=1)
    )
    assert adapted.graph is recognizer.graph
    transform = adapted.model.transform
    assert transform is not None and transform.shape == (39, 40)
    total = 0.0
    for name in SOUNDS:
        session = Session(recognizer.pipeline, whole=True)
        session.feed(audio_dir / name)
        pdfs = recognizer.graph.label_pdf[session.search().lattice.best().labels]
        assert isinstance(session.acoustic, GmmSession)
        x = session.acoustic.features()
        before, after = (
            each.model.log_likelihoods(x)[range(len(x)), pdfs].sum()
            for each in (recognizer, adapted)
        )
        total += after - before + len(x) * np.linalg.slogdet(transform[:, :-1].astype(float))[1]
    assert total > 0


def test_the_program_mixes_noise_into_the_corpus(corpus: Path, tmp_path: Path) -> None:
    noise = tmp_path / "hiss.wav"
    hiss = np.random.default_rng(0).normal(0, 0.1, 16000)
    soundfile.write(noise, hiss.astype(np.float32), 16000)
    heard = []
    for name, more in (("clean", []), ("noisy", ["--noise", str(noise)])):
        arguments = ["adapt", "--corpus", str(corpus), "--output", str(tmp_path / name), *more]
        main([*arguments, "--method", "map", "--quiet"])
        about = Bundle.find(tmp_path / name).folder.about
        heard.append(about.training[0]["n_frames"])
    assert heard[1] > 3 * heard[0] > 0  # three copies besides, silences aside
