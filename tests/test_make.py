"""From a corpus to a model on disk that hears, on a language of tones."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from factored_asr import Recognizer
from factored_asr.acoustic.hybrid import HybridModel
from factored_asr.cli import main
from factored_asr.corpus.corpus import Corpus
from factored_asr.errors import MissingError, OptionError
from factored_asr.evaluation import evaluate
from factored_asr.lexicon import Lexicon, Pronunciation
from factored_asr.lexicon.g2p import GuessWarning
from factored_asr.lexicon.g2p_training import G2POptions, train_g2p
from factored_asr.models.bundle import Bundle
from factored_asr.training.chain.options import TdnnOptions
from factored_asr.training.make import (
    SPHINX_CEPSTRA,
    TELEPHONE,
    MakeOptions,
    features_of,
    hold_out,
    make_model,
)
from factored_asr.training.monophone import MonoOptions
from factored_asr.training.schedule import Schedule
from factored_asr.training.tying import TreeOptions

RATE = 16000
TONES = {"LO": 400.0, "MI": 1300.0, "HI": 3000.0}
LEXICON = Lexicon({
    "low": (Pronunciation(("LO", "MI")),), "high": (Pronunciation(("HI", "MI")),),
    "mid": (Pronunciation(("MI",)),),
})
WORDS = tuple(LEXICON)
QUICK = MakeOptions(stage_options={"mono": MonoOptions(
    Schedule(passes=8, realign=(2, 3, 4, 5, 6), n_gaussians=40, grow_until=6)
)})


def speak(words: list[str], rng: np.random.Generator, rate: int = RATE) -> np.ndarray:
    """Words as tones of about 0.15 s a phone, in a little noise, with silence around them."""
    pieces = [np.zeros(int(0.3 * rate))]
    for word in words:
        for phone in LEXICON[word][0].phones:
            time = np.arange(int(rate * rng.uniform(0.12, 0.2))) / rate
            pitch = TONES[phone] * rng.uniform(0.95, 1.05)
            pieces.append(0.3 * np.sin(2 * np.pi * pitch * time))
    sound = np.concatenate([*pieces, np.zeros(int(0.3 * rate))])
    return sound + rng.normal(0, 0.003, len(sound))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten speakers who say six sentences each, a dictionary, and a language model."""
    folder, rng = tmp_path_factory.mktemp("tones"), np.random.default_rng(0)
    lines = ["path\tspeaker\ttext"]
    for speaker in range(10):
        for take in range(6):
            words = rng.choice(WORDS, size=rng.integers(1, 5)).tolist()
            name = f"s{speaker}-{take}.wav"
            soundfile.write(folder / name, speak(words, rng), RATE)
            lines.append(f"{name}\ts{speaker}\t{' '.join(words)}")
    (folder / "utterances.tsv").write_text("\n".join(lines) + "\n")
    LEXICON.write(folder / "tones.dict")
    (folder / "tones.arpa").write_text(
        "\\data\\\nngram 1=5\n\n\\1-grams:\n-0.6 </s>\n-99 <s>\n"
        + "".join(f"-0.6 {word}\n" for word in WORDS) + "\n\\end\\\n"
    )
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> Path:
    """Made on the command line, tuned on two speakers."""
    output = folder / "model"
    code = main([
        "train", "--corpus", str(folder), "--lexicon", str(folder / "tones.dict"),
        "--output", str(output), "--lm", str(folder / "tones.arpa"), "--exclude-speakers", "s9",
        "--origin", "tones", "--licence", "CC0", "--quiet",
    ])
    assert code == 0
    return output


def test_a_model_made_of_a_corpus_hears_a_new_speaker(
    folder: Path, model: Path, graph_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", "--model", str(model), "--corpus", str(folder), "--speakers", "s9"]
    assert main([*arguments, "--format", "json", "--quiet"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["n_words"] > 8 and result["wer"] < 0.1


def test_the_manifest_tells_how_it_was_made(model: Path) -> None:
    bundle = Bundle.find(model)
    assert bundle.folder is not None
    about = bundle.folder.about
    assert (about.origin, about.licences) == ("tones", {"corpus": "CC0"})
    assert [entry["stage"] for entry in about.training] == ["mono", "tune", "fold_in"]
    assert about.training[0]["failed"] == 0
    assert about.training[2]["frames"] > about.training[0]["frames"]
    tuned = about.training[1]
    assert bundle.dictation.acoustic_scale == pytest.approx(1 / tuned["lm_scale"])
    assert bundle.dictation.graph.word_penalty == tuned["word_penalty"]
    assert about.options["fold_in"] and about.options["stage_options"]["fold_in"]["passes"] == 4
    assert about.options["speakers"] == 9  # of ten one was excluded; two of them were tuned on
    assert len(bundle.acoustic_model().features.initial_mean) == 13


def test_speakers_tuned_on_may_be_kept_apart(
    folder: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The settings are the same; the model is that of the other speakers alone."""
    arguments = [
        "train", "--corpus", str(folder), "--lexicon", str(folder / "tones.dict"),
        "--output", str(tmp_path / "apart"), "--lm", str(folder / "tones.arpa"),
        "--exclude-speakers", "s9", "--no-fold-in", "--quiet",
    ]
    assert main(arguments) == 0
    assert "trained on them" not in capsys.readouterr().out
    apart, both = Bundle.find(tmp_path / "apart"), Bundle.find(model)
    assert apart.folder is not None and both.folder is not None
    about = apart.folder.about
    assert [entry["stage"] for entry in about.training] == ["mono", "tune"]
    assert about.training == both.folder.about.training[:2]
    assert about.options["speakers"] == 7 and not about.options["fold_in"]
    assert apart.dictation == both.dictation
    one, other = apart.acoustic_model(), both.acoustic_model()
    assert not np.array_equal(one.densities.means, other.densities.means)


def test_a_grammar_works_with_a_trained_model(
    folder: Path, model: Path, graph_cache: Path
) -> None:
    (folder / "g.jsgf").write_text("#JSGF V1.0;\ngrammar g;\npublic <g> = low high | high low;\n")
    recognizer = Recognizer.load(model, grammar=folder / "g.jsgf")
    sound = speak(["high", "low"], np.random.default_rng(5)).astype(np.float32)
    assert recognizer.transcribe(sound, sample_rate=RATE).text == "high low"


@pytest.mark.long
@pytest.mark.parametrize("name", ["tdnn", "chain"])
def test_a_network_is_made_tuned_and_trained_on_all_speakers(
    folder: Path, tmp_path: Path, graph_cache: Path, name: str
) -> None:
    pytest.importorskip("torch")
    chain = TdnnOptions(
        step=3, hidden=32, bottleneck=8, offsets=(1, 3), n_gaussians=20, passes=8,
        entropy_passes=4, tree=TreeOptions(n_leaves=8, ask_position=False), batch_frames=150,
        learning_rate=1e-2, speeds=(1.0,),
    )
    options = replace(QUICK, stages=("mono", name), stage_options={
        **QUICK.stage_options, name: chain if name == "chain" else replace(chain, step=1)})
    corpus, held_out = hold_out(Corpus.read(folder).without(["s9"]), ["s0"])
    made = make_model(corpus, LEXICON, tmp_path / "network", held_out=held_out,
                      lm=folder / "tones.arpa", options=options)
    about = Bundle.find(made.folder).folder.about
    assert [entry["stage"] for entry in about.training] == [
        "mono", name, "tune", "fold_in", name]
    assert about.options["stage_options"][name]["passes"] == 8
    recognizer = Recognizer.load(made.folder)
    assert isinstance(recognizer.model, HybridModel)
    found = evaluate(recognizer, Corpus.read(folder).select(["s9"]))
    assert found.errors.n_words > 8 and found.errors.rate < 0.1


def test_words_are_guessed_as_the_model_was_told(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A model of letters goes with the model, and all that guess ask that one."""
    told = Lexicon({"low": (Pronunciation(("HI",)),), "wol": (Pronunciation(("HI", "LO")),)})
    train_g2p(told, G2POptions(order=2)).write(tmp_path / "odd.g2p")
    made = make_model(Corpus.read(folder), LEXICON, tmp_path / "model", g2p=tmp_path / "odd.g2p",
                      options=QUICK)  # fmt: skip
    monkeypatch.setenv("FACTORED_ASR_CACHE", str(tmp_path))  # a graph in a cache asks nothing
    monkeypatch.setattr(
        "factored_asr.models.recipe.cached_g2p", lambda *_: pytest.fail("not asked for")
    )
    assert main(["lexicon", "g2p", "apply", "--model", str(made.folder), "low", "--quiet"]) == 0
    assert capsys.readouterr().out.split() == ["low", "HI"]
    (tmp_path / "g.jsgf").write_text("#JSGF V1.0;\ngrammar g;\npublic <g> = low | wol;\n")
    with pytest.warns(GuessWarning, match="the pronunciation of 'wol' is guessed: HI LO"):
        Recognizer.load(made.folder, grammar=tmp_path / "g.jsgf", guess=True)
    with pytest.raises(MissingError, match="no.g2p"):
        make_model(Corpus.read(folder), LEXICON, tmp_path / "m", g2p=tmp_path / "no.g2p")


def test_the_same_seed_gives_the_same_model(folder: Path, tmp_path: Path) -> None:
    corpus = Corpus.read(folder)
    for name, jobs in (("a", 1), ("b", 2)):
        options = MakeOptions(stage_options=QUICK.stage_options, jobs=jobs)
        made = make_model(corpus, LEXICON, tmp_path / name, options=options)
        assert made.tuning is None  # no language model, nothing to weigh
    first, second = (
        {file.name: file.read_bytes() for file in (tmp_path / name).iterdir()} for name in "ab"
    )
    assert first == second
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a", "b"]  # no checkpoints left


def test_a_training_that_was_killed_goes_on(folder: Path, tmp_path: Path) -> None:
    corpus = Corpus.read(folder)
    whole = make_model(corpus, LEXICON, tmp_path / "whole", options=QUICK)
    passes: list[int] = []

    class KilledError(Exception):
        pass

    def stop(done) -> None:  # type: ignore[no-untyped-def]
        passes.append(done.number)
        if len(passes) == 6:
            raise KilledError

    from factored_asr.training.make import Listener

    for _ in range(2):
        try:
            make_model(corpus, LEXICON, tmp_path / "m", options=QUICK, listener=Listener(stop))
        except KilledError:
            assert not (tmp_path / "m").exists()
    assert passes[6] > 1  # not from the beginning
    again = Bundle.find(tmp_path / "m").acoustic_model()
    np.testing.assert_array_equal(
        again.densities.means, whole.result.trained.model.densities.means
    )


def test_who_is_held_out() -> None:
    def corpus(n: int) -> Corpus:
        from factored_asr.corpus.utterance import NO_PATH, Utterance

        return Corpus(tuple(Utterance(f"u{i}", f"s{i:02}", ("a",), NO_PATH) for i in range(n)))

    assert hold_out(corpus(17))[1].speakers == ("s00", "s08", "s16")
    assert hold_out(corpus(3))[1].speakers == ("s02",)
    assert len(hold_out(corpus(1))[1]) == 0
    assert hold_out(corpus(3), ["s01"])[0].speakers == ("s00", "s02")


def test_the_front_end_fits_the_corpus(folder: Path, tmp_path: Path) -> None:
    features = features_of(Corpus.read(folder))
    assert features.sample_rate == 16000 and any(features.initial_mean)
    sound = speak(["low"], np.random.default_rng(0), 8000)
    soundfile.write(tmp_path / "low_ann_1.wav", sound, 8000)
    assert features_of(Corpus.read(tmp_path)).sample_rate == TELEPHONE.sample_rate
    np.save(tmp_path / "a.npy", np.random.default_rng(0).normal(5, 3, (50, 13)))
    (tmp_path / "c.tsv").write_text("path\tspeaker\ttext\na.npy\tann\tlow\n")
    assert features_of(Corpus.read(tmp_path / "c.tsv")).dct == SPHINX_CEPSTRA.dct


def test_what_train_refuses(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(OptionError, match="stage 'neural' must be one of mono"):
        make_model(
            Corpus.read(folder), LEXICON, tmp_path / "m", options=MakeOptions(("neural",))
        )
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "a.txt").write_text("dear Ann")
    arguments = ["train", "--corpus", str(folder), "--lexicon", str(folder / "tones.dict")]
    assert main([*arguments, "--output", str(tmp_path / "letters"), "--quiet"]) == 2
    assert "is there and no model" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["letters"]  # nothing was begun


def test_mmi_comes_last_again(folder: Path, tmp_path: Path) -> None:
    """Passes of maximum likelihood begin where MMI began, and MMI follows on everybody's speech."""
    few, rest = hold_out(Corpus.read(folder), ["s7", "s8", "s9"])
    options = replace(QUICK, stages=("mono", "mmi"))
    made = make_model(few, LEXICON, tmp_path / "m", held_out=rest, lm=folder / "tones.arpa",
                      options=options)  # fmt: skip
    folder_found = Bundle.find(made.folder).folder
    assert folder_found is not None
    told = folder_found.about.training
    assert [entry["stage"] for entry in told] == ["mono", "mmi", "tune", "fold_in", "mmi"]
    assert told[3]["frames"] > told[0]["frames"] and told[4]["frames"] > told[1]["frames"]
    assert made.result.log[-1].stage == "mmi"
