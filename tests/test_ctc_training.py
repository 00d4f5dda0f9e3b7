"""Training of a head: which pronunciations were spoken, copies, states, teacher, and torch."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from factored_asr.corpus import Utterance
from factored_asr.corpus.distort import Distortion, computed_noise, distorted
from factored_asr.errors import MissingError, OptionError
from factored_asr.lexicon import Lexicon, Pronunciation
from factored_asr.training.ctc.states import CopyOptions, encode
from factored_asr.training.ctc.teacher import AgreementOptions, taught, words_of
from factored_asr.training.ctc.variants import (
    Variants,
    greedy_phones,
    phone_net,
    spoken_phones,
    variants_of,
)

RATE = 16_000
PHONES = ("A", "B", "C")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def log_softmax(x: np.ndarray) -> np.ndarray:
    return x - np.logaddexp.reduce(x, axis=1, keepdims=True)


# ------------------------------------------------------------------------------- pronunciations
def collapsed(labels: tuple[int, ...]) -> tuple[int, ...]:
    """What a path of outputs stands for: equal neighbours once, without blanks."""
    return tuple(label for label, _ in itertools.groupby(labels) if label)


def naive_spoken(variants: Variants, log_probs: np.ndarray) -> tuple[int, ...] | None:
    """Score all paths of outputs, and keep those that stand for one of the sentences."""
    sentences = {
        tuple(itertools.chain(*ways)) for ways in itertools.product(*variants)
    }
    best, found = -np.inf, None
    for path in itertools.product(range(log_probs.shape[1]), repeat=len(log_probs)):
        score = log_probs[np.arange(len(path)), list(path)].sum()
        if collapsed(path) in sentences and score > best:
            best, found = score, collapsed(path)
    return found


SENTENCES: list[Variants] = [
    (((1,), (2,)),),
    (((1, 2), (2,)), ((2,), (3, 3))),
    (((1, 1),),),
    (((1,), (1, 2), (2, 1)), ((1,), (3,)), ((3,),)),
]


@pytest.mark.parametrize("variants", SENTENCES)
def test_the_best_pronunciations_are_those_of_the_best_of_all_paths(
    variants: Variants, rng: np.random.Generator
) -> None:
    for n_frames in range(1, 7):
        log_probs = log_softmax(rng.normal(size=(n_frames, 4)) * 2)
        found, expected = spoken_phones(variants, log_probs), naive_spoken(variants, log_probs)
        assert (None if found is None else tuple(found)) == expected


def test_equal_phones_of_neighbouring_words_need_a_blank_between_them() -> None:
    net = phone_net((((1,),), ((1,), (2,))))
    first = int(np.flatnonzero((net.labels == 1) & (net.words[:, 0] == 0))[0])
    second = int(np.flatnonzero((net.labels == 1) & (net.words[:, 0] == 1))[0])
    other = int(np.flatnonzero(net.labels == 2)[0])

    def sources(node: int) -> list[int]:
        return net.source[net.first_in[node] : net.first_in[node + 1]].tolist()

    assert first not in sources(second) and first in sources(other)


def test_a_sound_of_fewer_frames_than_phones_has_no_pronunciation() -> None:
    assert spoken_phones((((1, 2, 3),),), np.zeros((2, 4), np.float32)) is None


def test_a_word_without_pronunciation_or_with_a_strange_phone_is_named() -> None:
    lexicon = Lexicon({"x": (Pronunciation(("X",)),)})
    with pytest.raises(MissingError, match="'y' has no pronunciation"):
        variants_of(["y"], lexicon, ("<blank>", *PHONES))
    with pytest.raises(MissingError, match="'x' has a phone that the head has no output for"):
        variants_of(["x"], lexicon, ("<blank>", *PHONES))


# ------------------------------------------------------------------------------------- distortion
def tone(seconds: float = 0.5, pitch: float = 300.0) -> np.ndarray:
    time = np.arange(int(RATE * seconds)) / RATE
    return (0.3 * np.sin(2 * np.pi * pitch * time)).astype(np.float32)


def test_copies_differ_by_number_and_name_and_come_again() -> None:
    copies = [distorted(tone(), RATE, name=name, number=number, speech=[tone(1.0, 90)])
              for name in "ab" for number in (1, 2)]
    again = distorted(tone(), RATE, name="a", number=1, speech=[tone(1.0, 90)])
    np.testing.assert_array_equal(copies[0], again)
    assert len({copy.tobytes() for copy in copies}) == 4
    for copy in copies:
        assert copy.dtype == np.float32 and np.abs(copy).max() <= 1


def test_a_faster_copy_has_a_higher_pitch() -> None:
    only = Distortion(speed=(1.25, 1.25), speed_share=1, noise_share=0, room_share=0, band_share=0)
    copy = distorted(tone(1.0, 400), RATE, only)
    spectrum = np.abs(np.fft.rfft(copy))
    assert len(copy) == pytest.approx(0.8 * RATE, abs=2)
    assert spectrum.argmax() * RATE / len(copy) == pytest.approx(500, abs=3)


def test_noise_stands_in_the_ratio_that_was_asked_for() -> None:
    only = Distortion(snr=(6, 6), speed_share=0, noise_share=1, room_share=0, band_share=0)
    x = tone(1.0)
    for number in range(1, 6):
        copy = distorted(x, RATE, only, number=number, noises=[np.ones(100, np.float32)])
        gain = copy @ x / (x @ x)
        noise = copy - gain * x
        blocks = [np.sum(y[: len(y) // 2048 * 2048].reshape(-1, 2048) ** 2, axis=1).max()
                  for y in (gain * x, noise)]
        assert 10 * np.log10(blocks[0] / blocks[1]) == pytest.approx(6, abs=1.5)


def test_silence_and_silent_noises_stay_finite() -> None:
    silent = np.zeros(RATE // 4, np.float32)
    for number in range(1, 20):
        for x in (silent, tone(0.25)):
            copy = distorted(x, RATE, number=number, noises=[silent], speech=[silent])
            assert np.isfinite(copy).all()


@pytest.mark.parametrize("seed", range(8))
def test_computed_noise_has_the_length_asked_for(seed: int) -> None:
    noise = computed_noise(5000, 8000, np.random.default_rng(seed))
    assert noise.shape == (5000,) and np.isfinite(noise).all() and noise.any()


@pytest.mark.parametrize(
    ("options", "law"),
    [({"noise_share": 1.2}, "noise_share is 1.2"), ({"snr": (9.0, 3.0)}, "snr must ascend"),
     ({"speed": (0.0, 1.0)}, "above 0"), ({"band": (9.0, 3.0, 1.0, 2.0)}, "band must ascend")],
)
def test_impossible_distortions_are_refused(options: dict, law: str) -> None:
    with pytest.raises(OptionError, match=law):
        Distortion(**options)


# ----------------------------------------------------------------------------------------- states
class Loudness:
    """An encoder whose states are mean squares of 10 ms; it counts its sounds."""

    sample_rate = RATE

    def __init__(self) -> None:
        self.n_encoded = 0

    def __repr__(self) -> str:
        return "Loudness"

    def states(self, samples: np.ndarray) -> np.ndarray:
        self.n_encoded += 1
        frames = samples[: len(samples) // 160 * 160].reshape(-1, 160)
        return np.repeat((frames**2).mean(axis=1, keepdims=True), 3, axis=1).astype(np.float32)


@pytest.fixture
def sounds(tmp_path: Path) -> list[Utterance]:
    made = []
    for i, seconds in enumerate((0.3, 0.5, 0.4)):
        path = tmp_path / f"{i}.wav"
        soundfile.write(path, tone(seconds, 200 + 50 * i), RATE)
        made.append(Utterance(str(i), "s", ("a",), path))
    return made


def test_states_are_computed_once_for_each_copy(sounds: list[Utterance], tmp_path: Path) -> None:
    encoder, folder = Loudness(), tmp_path / "states"
    seen = []
    states = encode(sounds, encoder, folder, CopyOptions(2), tick=lambda *n: seen.append(n))
    assert encoder.n_encoded == 9 and states.n_copies == 3 and states.n_values == 3
    assert [len(each[0]) for each in states.arrays] == [30, 50, 40] and seen == [(1, 1)]
    again = encode(sounds, encoder, folder, CopyOptions(2))
    assert encoder.n_encoded == 9
    for one, two in zip(states.arrays, again.arrays, strict=True):
        for a, b in zip(one, two, strict=True):
            np.testing.assert_array_equal(a, b)
    assert len(encode(sounds, encoder, folder, CopyOptions(1))) == 3 and encoder.n_encoded == 15


def test_what_cannot_be_read_is_left_out_and_named(
    sounds: list[Utterance], tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "long.wav", np.zeros(41 * RATE, np.float32), RATE)
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    bad = [Utterance(name, "s", ("a",), tmp_path / f"{name}.wav")
           for name in ("long", "broken", "absent")]
    states = encode([sounds[0], *bad, sounds[1]], Loudness(), tmp_path / "s", CopyOptions(0))
    assert [each.id for each in states.utterances] == ["0", "1"]
    assert len(states.arrays[1][0]) == 50 and len(states.skipped) == 3
    assert "longer than 40 s" in states.skipped[0] and "absent.wav" in states.skipped[2]


def test_states_of_two_corpora_add_up(sounds: list[Utterance], tmp_path: Path) -> None:
    one, two = (encode(sounds[:n], Loudness(), tmp_path / "s", CopyOptions(n)) for n in (1, 2))
    both = one + two
    assert len(both) == 3 and both.n_copies == 3
    assert [len(each) for each in both.arrays] == [2, 3, 3]
    assert [each.id for each in both.select([2, 0]).utterances] == ["1", "0"]


# ---------------------------------------------------------------------------------------- teacher
LEXICON = Lexicon({"ab": (Pronunciation(("A", "B")),), "c": (Pronunciation(("C",)),
                                                               Pronunciation(("B", "C")))})
OUTPUTS = ("<blank>", *PHONES)


def says(*phones: int) -> np.ndarray:
    """Log probabilities of a sure student: a phone and a blank in turn."""
    frames = np.full((2 * len(phones) + 1, 4), -9.0)
    frames[::2, 0] = frames[range(1, len(frames), 2), phones] = 0.0
    return log_softmax(frames)


def test_a_teachers_utterance_is_kept_where_the_student_agrees(
    sounds: list[Utterance], tmp_path: Path
) -> None:
    paths = [each.path for each in sounds] + [tmp_path / "absent.wav"]
    texts = iter(["Ab, c!", "Ab c c ab", "c d"])
    left_out = []
    corpus = taught(
        paths, lambda samples: next(texts), lambda samples: says(1, 2, 2, 3), LEXICON, OUTPUTS,
        RATE, left_out=lambda path, why: left_out.append((path.name, why)),
    )
    assert [each.text for each in corpus.utterances] == ["ab c"]
    assert [name for name, _ in left_out] == ["1.wav", "2.wav", "absent.wav"]
    assert "student disagrees" in left_out[0][1] and "lacks 'd'" in left_out[1][1]


@pytest.mark.parametrize(
    ("text", "why"),
    [("", "only 0 words"), ("ab", "only 1 words"), ("c 4 c", "digits"), ("ab c", "")],
)
def test_short_or_unusable_texts_are_left_out(
    sounds: list[Utterance], text: str, why: str
) -> None:
    left_out: list[str] = []
    corpus = taught([sounds[0].path], lambda samples: text, lambda samples: says(1, 2, 3), LEXICON,
                    OUTPUTS, RATE, AgreementOptions(phone_errors=0),
                    lambda path, reason: left_out.append(reason))
    assert len(corpus) == (not why) and all(why in each for each in left_out)


def test_a_teachers_capitals_and_marks_are_no_words() -> None:
    assert words_of("“Ab” — C…", LEXICON) == (("ab", "c"), "")


# ------------------------------------------------------------------------------------------ heads
def random_head(rng: np.random.Generator, offsets: tuple[int, ...] = (-1, 0, 1)):  # noqa: ANN201
    from factored_asr.acoustic.network.head import Head, Layer

    shapes = (len(offsets) * 576, 5), (5, 4)
    layers = [Layer(o, rng.normal(size=s).astype(np.float32), rng.normal(size=s[1:]).astype(
        np.float32)) for o, s in zip((offsets, (0,)), shapes, strict=True)]  # fmt: skip
    prior = log_softmax(rng.normal(size=(1, 4)))[0].astype(np.float32)
    return Head(OUTPUTS, prior, (5, 6), tuple(layers))


def test_phone_errors_are_counted_against_the_nearest_pronunciation(
    sounds: list[Utterance], tmp_path: Path, rng: np.random.Generator
) -> None:
    from factored_asr.training.ctc.network import log_prior, log_probs_of, phone_error_rate
    from factored_asr.training.ctc.states import States

    head, array = random_head(rng), (rng.normal(size=(9, 576)) / 20).astype(np.float16)
    states = States(tuple(sounds[:1]), 1, ((array,),))
    heard = greedy_phones(log_probs_of(head, array))
    ways = ((tuple(heard.tolist()), (1, 2, 3, 1, 2, 3)),)
    assert phone_error_rate(head, states, [ways]) == 0
    assert phone_error_rate(head, states, [((tuple(heard.tolist()) + (1, 3),),)]) > 0
    np.testing.assert_allclose(np.exp(log_prior(head, states)).sum(), 1, atol=1e-4)


# ------------------------------------------------------------------------------------------ torch
def spelt(rng: np.random.Generator, n: int):  # noqa: ANN201
    """Utterances whose states show their phones: three frames a phone, a blank between."""
    from factored_asr.training.ctc.states import States

    shown, variants, arrays, utterances = rng.normal(size=(4, 576)) / 20, [], [], []
    for i in range(n):
        phones = tuple(int(p) for p in rng.integers(1, 4, 5))
        labels = np.repeat(np.array([[0, p] for p in phones]).ravel(), 3)
        array = (shown[labels] + rng.normal(size=(len(labels), 576)) / 60).astype(np.float16)
        arrays.append((array, array[::-1][::-1]))
        other = tuple(1 + p % 3 for p in phones)
        variants.append((((other, phones) if i % 5 == 0 else (phones,)),))
        utterances.append(Utterance(str(i), "s", ("a",), Path(f"{i}.wav")))
    return States(tuple(utterances), 2, tuple(arrays)), variants


def test_training_learns_phones_finds_pronunciations_and_resumes(
    rng: np.random.Generator, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    from factored_asr.training.ctc.network import CtcOptions, phone_error_rate, train_head

    states, variants = spelt(rng, 40)
    options = CtcOptions(hidden=16, passes=16, batch_frames=150, learning_rate=0.01, dropout=0.0,
                         masked=0, realign=(5,))
    reports = []
    head = train_head(states, variants, PHONES, options, report=reports.append)
    assert phone_error_rate(head, states, variants) < 5
    assert reports[-1].loss < reports[0].loss / 2 and reports[5].changed >= 3
    again = train_head(states, variants, PHONES, options)
    np.testing.assert_array_equal(again.layers[0].weight, head.layers[0].weight)

    class StopError(Exception):
        pass

    def interrupt(report) -> None:  # noqa: ANN001
        if report.number == 8:
            raise StopError

    kept = tmp_path / "head.pt"
    with pytest.raises(StopError):
        train_head(states, variants, PHONES, options, checkpoint=kept, key="k", report=interrupt)
    seen = []
    resumed = train_head(states, variants, PHONES, options, checkpoint=kept, key="k",
                         report=lambda done: seen.append(done.number))
    assert seen == list(range(9, 17))
    np.testing.assert_array_equal(resumed.layers[0].weight, head.layers[0].weight)
    other = []
    train_head(states, variants, PHONES, options, checkpoint=kept, key="other",
               report=lambda done: other.append(done.number))
    assert other[0] == 1


def test_training_goes_on_from_a_head(rng: np.random.Generator) -> None:
    pytest.importorskip("torch")
    from factored_asr.training.ctc.network import CtcOptions, log_probs_of, train_head

    states, variants = spelt(rng, 6)
    start = random_head(rng)
    still = CtcOptions(hidden=5, passes=1, learning_rate=1e-9, realign=())
    same = train_head(states, variants, PHONES, still, start=start)
    np.testing.assert_allclose(log_probs_of(same, states.arrays[0][0]),
                               log_probs_of(start, states.arrays[0][0]), atol=1e-3)
    with pytest.raises(OptionError, match="another shape"):
        train_head(states, variants, PHONES, CtcOptions(hidden=6), start=start)


def test_a_head_that_is_held_stays_near_the_one_to_begin_with(rng: np.random.Generator) -> None:
    pytest.importorskip("torch")
    from factored_asr.training.ctc.network import CtcOptions, log_probs_of, train_head

    states, variants = spelt(rng, 6)
    start, apart = random_head(rng), []
    for held in (0.0, 0.3, 30.0):
        options = CtcOptions(hidden=5, passes=10, learning_rate=0.02, realign=(), held=held)
        head = train_head(states, variants, PHONES, options, start=start)
        old, new = (log_probs_of(each, states.arrays[0][0]) for each in (start, head))
        apart.append(float((np.exp(old) * (old - new)).sum(axis=1).mean()))
    assert apart[0] > 1.5 * apart[1] > 10 * apart[2] > 0
    with pytest.raises(OptionError, match="held is -1"):
        CtcOptions(held=-1.0)


def test_options_out_of_range_are_refused() -> None:
    from factored_asr.training.ctc.network import CtcOptions

    for wrong, law in (({"encoder_layers": (8,)}, "0 to 7"), ({"dropout": 1.0}, "dropout"),
                       ({"offsets": ((1, 0),)}, "ascend"), ({"passes": 0}, "passes")):
        with pytest.raises(OptionError, match=law):
            CtcOptions(**wrong)


def test_options_are_plain_values() -> None:
    from dataclasses import asdict

    from factored_asr.training.ctc.network import CtcOptions

    assert json.loads(json.dumps(asdict(CtcOptions())))["encoder_layers"] == [5, 6]


# ------------------------------------------------------------------------------- a model of its own
@pytest.fixture
def encoder():  # noqa: ANN201
    from factored_asr.acoustic.network import read_encoder

    try:
        return read_encoder()
    except MissingError as error:
        pytest.skip(str(error))


def test_kept_states_are_those_the_recogniser_scores(encoder, rng: np.random.Generator) -> None:  # noqa: ANN001
    from factored_asr.acoustic.network import NetworkModel, Window
    from factored_asr.training.ctc.make import Encoded
    from factored_asr.training.ctc.network import log_probs_of

    head, samples = random_head(rng), (rng.normal(size=20_001) / 10).astype(np.float32)
    session = NetworkModel(encoder, head, whole=Window(0, 999, 0)).session(
        np.arange(4), whole=True)  # fmt: skip
    session.accept(samples)
    list(session.finish())
    kept = Encoded(encoder, (5, 6)).states(samples)
    np.testing.assert_allclose(log_probs_of(head, kept), session.log_probs(), atol=2e-3)


@pytest.mark.parametrize("frames", [1, 383, 384, 385, 895, 5000])
def test_there_is_a_state_for_each_24_ms_begun(encoder, frames: int) -> None:  # noqa: ANN001
    from factored_asr.training.ctc.make import Encoded

    assert Encoded(encoder, (7,)).states(np.zeros(frames, np.float32)).shape == (
        -(-frames // 384), 288)  # fmt: skip


CLIPS = {"kitchen_light_on": "turn on the kitchen light", "music_stop": "stop the music"}
EXAMPLES = Path(__file__).parent.parent / "examples" / "audio"


@pytest.fixture
def tiny_corpus(tmp_path: Path) -> Path:
    lines = [f"{EXAMPLES / name}.wav\ts\t{text}" for name, text in CLIPS.items()]
    (tmp_path / "corpus.tsv").write_text("path\tspeaker\ttext\n" + "\n".join(lines) + "\n")
    words = {w for text in CLIPS.values() for w in text.split()}
    from factored_asr.models.bundle import Bundle
    from factored_asr.models.recipe import Recipe

    Recipe(Bundle.find("en-us")).read_lexicon().restrict(sorted(words)).write(
        tmp_path / "words.dict"
    )
    return tmp_path


def test_the_command_trains_a_model_that_loads(
    encoder, tiny_corpus: Path, capsys: pytest.CaptureFixture  # noqa: ANN001
) -> None:
    pytest.importorskip("torch")
    from factored_asr.cli import main
    from factored_asr.models.folder import ModelFolder

    model = tiny_corpus / "model"
    asked = ["train", "--stages", "ctc", "--corpus", str(tiny_corpus / "corpus.tsv"), "--lexicon",
             str(tiny_corpus / "words.dict"), "--output", str(model), "--passes", "2", "--copies",
             "1", "--origin", "two clips"]  # fmt: skip
    assert main([*asked, "--lm", str(tiny_corpus / "absent.arpa")]) == 1
    told = capsys.readouterr().err
    assert "absent.arpa" in told and "ctc" not in told  # before any work is done
    assert main(asked) == 0
    shown = capsys.readouterr()
    assert "2 utterances" in shown.out and "ctc 2/2" in shown.err
    folder = ModelFolder.open(model)
    acoustic = folder.acoustic_model()
    assert acoustic.head.layers[0].weight.shape == (3 * 576, 256)
    assert folder.about.origin == "two clips"
    assert folder.about.settings["dictation"]["prior_weight"] == 0.7
    assert not (tiny_corpus / "model.training").exists()
    scores = acoustic.session(np.arange(acoustic.n_pdfs), whole=False).accept(tone(2.0))
    assert scores.shape[1] == acoustic.n_pdfs and np.isfinite(scores).all()


@pytest.mark.parametrize(
    ("options", "why"),
    [(["--stages", "mono,ctc"], "ctc stands alone"), (["--teacher", "moonshine"], "together")],
)
def test_wrong_options_of_the_stage_are_named(
    tiny_corpus: Path, capsys: pytest.CaptureFixture, options: list[str], why: str
) -> None:
    from factored_asr.cli import main

    asked = ["train", "--stages", "ctc", "--corpus", str(tiny_corpus / "corpus.tsv"), "--lexicon",
             str(tiny_corpus / "words.dict"), "--output", str(tiny_corpus / "m"), *options]
    assert main(asked) == 2
    assert why in capsys.readouterr().err


def test_a_teacher_adds_utterances(encoder, tiny_corpus: Path) -> None:  # noqa: ANN001
    pytest.importorskip("torch")
    from factored_asr.corpus import Corpus
    from factored_asr.training.ctc.make import HeadOptions, make_head_model
    from factored_asr.training.ctc.network import CtcOptions

    said = []
    done = make_head_model(
        Corpus.read(tiny_corpus / "corpus.tsv"), Lexicon.read(tiny_corpus / "words.dict"),
        tiny_corpus / "model", untranscribed=[EXAMPLES / "music_stop.wav", EXAMPLES / "absent.wav"],
        teacher=lambda samples: said.append(len(samples)) or "Stop the music.", encoder=encoder,
        held_out=Corpus.read(tiny_corpus / "corpus.tsv"),
        options=HeadOptions(CtcOptions(passes=1, hidden=8), CopyOptions(0),
                            AgreementOptions(phone_errors=99)),
    )  # fmt: skip
    assert len(said) == 1 and (done.utterances, done.taught) == (3, 1)
    assert done.phone_errors is not None and done.phone_errors > 0


def test_a_network_is_adapted_to_a_corpus(
    encoder, tiny_corpus: Path, capsys: pytest.CaptureFixture  # noqa: ANN001
) -> None:
    pytest.importorskip("torch")
    from factored_asr.cli import main
    from factored_asr.models.bundle import Bundle
    from factored_asr.models.folder import ModelFolder

    asked = ["adapt", "--model", "en-us-network", "--corpus", str(tiny_corpus / "corpus.tsv"),
             "--lexicon", str(tiny_corpus / "words.dict"), "--output", str(tiny_corpus / "m")]
    assert main([*asked, "--tau", "3"]) == 2
    assert "Gaussian mixtures" in capsys.readouterr().err
    assert main(asked) == 0
    assert "ctc 40/40" in capsys.readouterr().err  # 20 passes over each of two heads
    before = Bundle.find("en-us-network").acoustic_model()
    folder = ModelFolder.open(tiny_corpus / "m")
    after = folder.acoustic_model()
    for old, new in ((before.head, after.head), (before.taught.head, after.taught.head)):
        moved = np.abs(new.layers[0].weight - old.layers[0].weight).max()
        assert 0 < moved < np.abs(old.layers[0].weight).max() / 4
        np.testing.assert_array_equal(new.log_prior, old.log_prior)
    assert folder.about.settings["dictation"]["prior_weight"] == 0.7
    assert folder.about.settings["commands"]["taught"]
    assert not folder.about.settings["conversation"]["taught"]
