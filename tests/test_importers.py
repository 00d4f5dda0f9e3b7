"""Sphinx models: every file in every form, and the scores of pocketsphinx itself."""

from __future__ import annotations

import shutil
import struct
from dataclasses import replace
from pathlib import Path

import naive_acoustic as naive
import numpy as np
import pytest
from support.sphinx import TINY_MDEF, chains, s3, tiny_model

from factored_asr.acoustic import BEGIN, DiagonalMixtures, TiedMixtures
from factored_asr.audio.reading import read_audio
from factored_asr.errors import FormatError, MissingError
from factored_asr.features import FrontEnd
from factored_asr.models.en_us import pocketsphinx_model_path
from factored_asr.models.importers.sphinx import read_feature_options, read_sphinx_model
from factored_asr.models.importers.sphinx_arrays import (
    LOG_UNIT,
    read_mixture_weights,
    read_sendump,
    read_transitions,
)
from factored_asr.models.importers.sphinx_mdef import read_definition


@pytest.fixture(scope="session")
def en_us() -> Path:
    return pocketsphinx_model_path() / "en-us"


@pytest.fixture(scope="module")
def sentence(data_dir: Path) -> Path:
    return data_dir / "native_dictation" / "sense_and_sensibility_01_austen_64kb-0880.wav"


@pytest.fixture(scope="module")
def peer(sentence: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pocketsphinx = pytest.importorskip("pocketsphinx")
    folder = tmp_path_factory.mktemp("peer")
    decoder = pocketsphinx.Decoder(
        senlogdir=str(folder), mfclogdir=str(folder), compallsen=True, pl_window=0,
        fwdflat=False, bestpath=False, loglevel="FATAL",
    )  # fmt: skip
    samples, _ = read_audio(sentence, sample_rate=16000)
    decoder.start_utt()
    decoder.process_raw(np.round(samples * 32768).astype("<i2").tobytes(), full_utt=True)
    decoder.end_utt()
    return folder


@pytest.fixture
def copy(en_us: Path, tmp_path: Path) -> Path:
    """A copy of the en-us model, to be spoilt."""
    return Path(shutil.copytree(en_us, tmp_path / "model"))


class TestEnUs:
    def test_it_is_the_model_that_its_readme_speaks_of(self, en_us: Path) -> None:
        model = read_sphinx_model(en_us)
        assert len(model.phones) == 42 and model.n_pdfs == 5126
        assert model.fillers == ("+NSN+", "+SPN+", "SIL")
        assert isinstance(model.densities, TiedMixtures)
        assert model.densities.means.shape == (42, 128, 39)
        assert model.densities.streams == (13, 13, 13)
        assert model.hmm_pdfs.shape == (29324, 3) and len(model.triphone_hmms) == 137_095 - 42
        stay_or_go = np.exp(model.hmm_loop_log_probs) + np.exp(model.hmm_exit_log_probs)
        np.testing.assert_allclose(stay_or_go, 1, atol=1e-5)
        options = model.features
        assert (options.low_hz, options.high_hz, options.n_mels) == (130, 6800, 25)
        assert options.remove_noise and options.lifter == 22 and options.dct == "ortho"
        assert options.initial_mean[:4] == (40, 3, -1, 0)

    def test_hmms_are_those_of_the_phones_first_and_each_another(self, en_us: Path) -> None:
        model = read_sphinx_model(en_us)
        assert model.hmm_pdfs[:42].tolist() == np.arange(126).reshape(42, 3).tolist()
        assert len(np.unique(np.column_stack([model.hmm_phone, model.hmm_pdfs]), axis=0)) == 29324
        centre = model.triphone_contexts[:, 0]
        np.testing.assert_array_equal(model.hmm_phone[model.triphone_hmms], centre)

    def test_context_is_found_as_sphinx_finds_it(self, en_us: Path) -> None:
        model = read_sphinx_model(en_us)
        questions = np.random.default_rng(0).integers(0, [42, 42, 42, 4], (20_000, 4))
        ask = naive.nearest_triphone(model.triphones)
        assert model.hmm_index(*questions.T).tolist() == [ask(*q) for q in questions.tolist()]
        k, ae, t = (model.phones.index(phone) for phone in ("K", "AE", "T"))
        silence = model.phones.index("SIL")
        assert model.hmm_index(k, silence, ae, BEGIN) != model.hmm_index(k, t, ae, BEGIN)

    def test_a_text_definition_says_the_same(self, en_us: Path, tmp_path: Path) -> None:
        binary = read_definition(en_us / "mdef")
        letters = "beis"
        lines = [
            "0.3", f"{len(binary.phones)} n_base", f"{len(binary.contexts)} n_tri",
            f"{len(binary.sequence) * 4} n_state_map", f"{binary.n_senones} n_tied_state",
            "126 n_tied_ci_state", f"{binary.n_matrices} n_tied_tmat", "# a comment",
        ]  # fmt: skip
        names = [
            f"{phone} - - - {'filler' if filler else 'n/a'}"
            for phone, filler in zip(binary.phones, binary.fillers, strict=True)
        ] + [
            f"{' '.join(binary.phones[p] for p in context[:3])} {letters[context[3]]} "
            f"{'filler' if binary.fillers[context[0]] else 'n/a'}"
            for context in binary.contexts.tolist()
        ]
        senones = binary.sequences[binary.sequence].tolist()
        lines += [
            f"{name} {matrix} {' '.join(map(str, states))} N"
            for name, matrix, states in zip(names, binary.matrix, senones, strict=True)
        ]
        (tmp_path / "mdef").write_text("\n".join(lines) + "\n")
        text = read_definition(tmp_path / "mdef")
        assert text.phones == binary.phones
        np.testing.assert_array_equal(text.fillers, binary.fillers)
        np.testing.assert_array_equal(text.contexts, binary.contexts)
        np.testing.assert_array_equal(text.matrix, binary.matrix)
        np.testing.assert_array_equal(
            text.sequences[text.sequence], binary.sequences[binary.sequence]
        )

    def test_plain_weights_say_the_same_as_quantised_ones(self, copy: Path) -> None:
        quantised = read_sphinx_model(copy)
        (copy / "sendump").unlink()
        weights = quantised.densities.weights.transpose(2, 0, 1)
        s3(copy / "mixture_weights", (*weights.shape, weights.size), weights)
        plain = read_sphinx_model(copy)
        mass = quantised.densities.weights.sum(axis=1, keepdims=True)
        expected = quantised.densities.weights / mass
        np.testing.assert_allclose(plain.densities.weights, expected, rtol=1e-4, atol=1e-7)
        np.testing.assert_allclose(plain.densities.weights.sum(axis=1), 1, rtol=1e-5)


class TestSenoneScores:
    """pocketsphinx writes its own features and senone scores of a real sentence."""

    def test_its_arithmetic_is_understood(self, en_us: Path, peer: Path) -> None:
        """Top four Gaussians, integers: equal but where two Gaussians tie to the last unit."""
        mixtures = read_sphinx_model(en_us).densities
        assert isinstance(mixtures, TiedMixtures)
        theirs = naive.read_senone_scores(peer / "000000000.sen")[:120]
        features = naive.sphinx_features(naive.read_cepstra(peer / "000000000.mfc"))[:120]
        quantised = np.round(np.log(mixtures.weights) / -LOG_UNIT).astype(int)
        ours = naive.sphinx_top_scores(mixtures, quantised, features)
        assert np.mean(ours == theirs) > 0.9998
        assert np.mean((ours == theirs).all(axis=1)) > 0.98

    def test_exact_scores_against_its_own(self, en_us: Path, peer: Path, sentence: Path) -> None:
        """From the sound on. The best senone itself is the same in only four frames of five.

        The peer leaves out all but four Gaussians of a codebook; with all 128, others come first.
        Our best is mostly within three of its units (0.3 nats) of its best: one a stream, the
        step to which it rounds.
        """
        model = read_sphinx_model(en_us)
        front_end = FrontEnd(replace(model.features, normalisation="batch"))
        samples, _ = read_audio(sentence, sample_rate=16000)
        features = front_end.features(samples)
        logged = naive.sphinx_features(naive.read_cepstra(peer / "000000000.mfc"))
        np.testing.assert_allclose(features, logged, atol=1e-3)
        scores = model.log_likelihoods(features)
        units = (scores.max(axis=1, keepdims=True) - scores) / LOG_UNIT
        theirs = naive.read_senone_scores(peer / "000000000.sen")
        assert theirs.shape == units.shape
        median = float(np.median(np.abs(units - theirs)) * LOG_UNIT)
        best = units.argmin(axis=1)
        theirs_of_best = theirs[np.arange(len(best)), best]
        same = float(np.mean(best == theirs.argmin(axis=1)))
        print(f"median difference {median:.2f} nats, same best senone {same:.1%} of frames")
        assert median < 1.0
        assert np.mean(theirs_of_best <= 3) >= 0.9
        assert same >= 0.75


class TestKindsOfModel:
    @pytest.mark.parametrize("sizes", [(13,), (5, 8)])
    @pytest.mark.parametrize(("n_books", "books"), [(1, [0] * 8), (3, [0, 0, 1, 1, 2, 2, 0, 0])])
    def test_tied(
        self, tmp_path: Path, n_books: int, books: list[int], sizes: tuple[int, ...]
    ) -> None:
        model = read_sphinx_model(tiny_model(tmp_path, n_books, sizes))
        assert isinstance(model.densities, TiedMixtures)
        assert model.densities.codebook.tolist() == books and model.densities.streams == sizes
        assert model.hmm_pdfs.tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]
        assert model.hmm_index(0, 1, 2, BEGIN) == 3 and model.fillers == ("SIL",)
        np.testing.assert_allclose(np.exp(model.hmm_loop_log_probs), 0.75, rtol=1e-6)
        features = np.random.default_rng(1).normal(size=(5, 13)).astype("f4")
        np.testing.assert_allclose(
            model.log_likelihoods(features), naive.tied_scores(model.densities, features), rtol=1e-5
        )

    def test_continuous(self, tmp_path: Path) -> None:
        model = read_sphinx_model(tiny_model(tmp_path, 8))
        assert isinstance(model.densities, DiagonalMixtures)
        assert model.densities.first_gaussian.tolist() == list(range(0, 33, 4))
        np.testing.assert_allclose(model.densities.weights.reshape(8, 4).sum(axis=1), 1, rtol=1e-6)
        features = np.random.default_rng(1).normal(size=(5, 13)).astype("f4")
        np.testing.assert_allclose(
            model.log_likelihoods(features), naive.diagonal_scores(model.densities, features),
            rtol=1e-5,
        )  # fmt: skip

    def test_streams_of_gaussians_stand_one_after_another_in_the_file(self, tmp_path: Path) -> None:
        folder = tiny_model(tmp_path, 1, (5, 8))
        s3(folder / "means", (1, 2, 4, 5, 8, 52), np.arange(52))
        means = read_sphinx_model(folder).densities.means
        assert means[0, 1].tolist() == [*range(5, 10), *range(28, 36)]

    def test_other_byte_order(self, tmp_path: Path) -> None:
        little = read_transitions(s3(tmp_path / "little", (2, 2, 3, 12), chains()))
        big = read_transitions(s3(tmp_path / "big", (2, 2, 3, 12), chains(), order=">"))
        np.testing.assert_array_equal(little, big)


class TestSendump:
    @staticmethod
    def write(path: Path, strings: list[str], body: bytes, order: str = "<") -> Path:
        blocks = [text.encode() + b"\0" for text in strings]
        head = b"".join(struct.pack(order + "i", len(block)) + block for block in blocks)
        path.write_bytes(head + struct.pack(order + "i", 0) + body)
        return path

    @pytest.mark.parametrize("order", "<>")
    def test_a_byte_a_weight_in_padded_rows(self, tmp_path: Path, order: str) -> None:
        rows = np.arange(2 * 3 * 6, dtype=np.uint8).reshape(2, 3, 6)  # five senones, one of padding
        body = struct.pack(order + "2i", 3, 6) + rows.tobytes()
        path = self.write(tmp_path / "sendump", ["feature_count 2"], body, order)
        weights = read_sendump(path, (2, 3, 5))
        np.testing.assert_allclose(np.log(weights) / -LOG_UNIT, rows[:, :, :5], rtol=1e-5)

    def test_four_bits_a_weight(self, tmp_path: Path) -> None:
        table = np.arange(16, dtype=np.uint8) * 10
        strings = ["a title", "cluster_count 16", "cluster_bits 4", "mixture_count 1"]
        body = table.tobytes() + bytes([0x21, 0x03, 0x54, 0x0F])  # low half first; three senones
        path = self.write(tmp_path / "sendump", strings, body)
        steps = np.log(read_sendump(path, (2, 1, 3))) / -LOG_UNIT
        np.testing.assert_allclose(steps, [[[10, 20, 30]], [[40, 50, 150]]], rtol=1e-5)

    @pytest.mark.parametrize(
        ("strings", "body", "law"),
        [
            (["feature_count 3"], b"", "3 streams of 4 Gaussians for 5 senones must be 2 of 4"),
            (["x"], struct.pack("<2i", 9, 5), "2 streams of 9 Gaussians"),
            (["x"], struct.pack("<2i", 4, 10**9), "weights of 8000000000 bytes cannot be in the 0"),
            (["x"], struct.pack("<2i", 4, 5) + bytes(39), "weights of 40 bytes .* 39 bytes left"),
            (["x"], b"", "numbers of rows and columns of 8 bytes"),
            (["cluster_count 7"], b"", "7 clusters"),
            (["cluster_count 15"], bytes([0] * 16 + [16] * 40), "index 16 must be below 16"),
            ([], b"", "numbers of rows and columns of 8 bytes"),
        ],
    )
    def test_what_breaks_it(
        self, tmp_path: Path, strings: list[str], body: bytes, law: str
    ) -> None:
        path = self.write(tmp_path / "sendump", strings, body)
        with pytest.raises(FormatError, match=law):
            read_sendump(path, (2, 4, 5))

    def test_a_header_without_end(self, tmp_path: Path) -> None:
        (tmp_path / "sendump").write_bytes(struct.pack("<i", 3) + b"ab\0")
        with pytest.raises(FormatError, match="size of a header string of 4 bytes"):
            read_sendump(tmp_path / "sendump", (1, 1, 1))
        (tmp_path / "sendump").write_bytes(struct.pack("<i", 900) + b"ab\0")
        with pytest.raises(FormatError, match="string of 900 bytes"):
            read_sendump(tmp_path / "sendump", (1, 1, 1))


class TestBadFiles:
    @pytest.mark.parametrize("name", ["mdef", "means", "variances", "transition_matrices"])
    def test_a_file_that_is_not_there(self, copy: Path, name: str) -> None:
        (copy / name).unlink()
        with pytest.raises(MissingError, match=f"{name}: .* needs this file"):
            read_sphinx_model(copy)

    @pytest.mark.parametrize(
        "name", ["mdef", "means", "variances", "sendump", "transition_matrices"]
    )
    @pytest.mark.parametrize("length", [0, 3, 40, -4])
    def test_a_truncated_file(self, copy: Path, name: str, length: int) -> None:
        data = (copy / name).read_bytes()
        (copy / name).write_bytes(data[:length])
        with pytest.raises(FormatError, match=name):
            read_sphinx_model(copy)

    def test_a_flipped_bit(self, copy: Path) -> None:
        data = bytearray((copy / "means").read_bytes())
        data[5000] ^= 4
        (copy / "means").write_bytes(data)
        with pytest.raises(FormatError, match="means: checksum"):
            read_sphinx_model(copy)

    @pytest.mark.parametrize("size", [2**31 - 1, 0, -1])
    def test_a_size_that_lies(self, tmp_path: Path, size: int) -> None:
        path = s3(tmp_path / "transition_matrices", (size, 2, 3, 12), chains())
        with pytest.raises(FormatError, match="must agree|must be positive"):
            read_transitions(path)

    @pytest.mark.parametrize(
        ("place", "law"),
        [((1, 0, 2), "matrix 1: .* state 0 to 2 skips a state"), ((0, 1, 0), "1 to 0 goes back")],
    )
    def test_transitions_that_are_no_chain(
        self, tmp_path: Path, place: tuple[int, ...], law: str
    ) -> None:
        matrices = chains()
        matrices[place] = 0.1
        with pytest.raises(FormatError, match=law):
            read_transitions(s3(tmp_path / "transition_matrices", (2, 2, 3, 12), matrices))

    def test_a_state_without_an_exit(self, tmp_path: Path) -> None:
        matrices = chains()
        matrices[1, 1, 2] = 0
        with pytest.raises(FormatError, match="matrix 1: state 1 can never be left"):
            read_transitions(s3(tmp_path / "transition_matrices", (2, 2, 3, 12), matrices))

    def test_a_state_that_is_left_at_once_has_no_loop(self, tmp_path: Path) -> None:
        matrices = chains()
        matrices[0, 0, 0] = 0
        loop, exit_ = read_transitions(s3(tmp_path / "tm", (2, 2, 3, 12), matrices))
        assert loop[0, 0] == -np.inf and exit_[0, 0] == 0

    def test_weights_that_are_all_zero(self, tmp_path: Path) -> None:
        path = s3(tmp_path / "mixture_weights", (2, 1, 3, 6), np.array([1, 2, 3, 0, 0, 0]))
        with pytest.raises(FormatError, match="senone 1: the weights of stream 0 are all zero"):
            read_mixture_weights(path, (1, 3, 2))

    def test_files_that_do_not_fit_each_other(self, tmp_path: Path) -> None:
        folder = tiny_model(tmp_path, 3)
        (folder / "feat.params").write_text("-feat 1s_c_d -nfilt 25 -transform dct\n")
        with pytest.raises(FormatError, match="do not fit each other: .* 26 features"):
            read_sphinx_model(folder)
        with pytest.raises(FormatError, match="2 codebooks must be one, one a phone"):
            read_sphinx_model(tiny_model(tmp_path, 2))
        folder = tiny_model(tmp_path, 3)
        s3(folder / "transition_matrices", (1, 2, 3, 6), chains(1))
        with pytest.raises(FormatError, match="1 matrices of 2 states must be 2"):
            read_sphinx_model(folder)

    @pytest.mark.parametrize(
        ("old", "new", "law"),
        [
            ("0.3", "0.4", ":1: .* begin with its version"),
            ("3 n_base", "three n_base", ":2: 'three n_base' must be a count"),
            ("8 n_tied_state\n", "", "must be a count|lacks n_tied_state"),
            ("8 n_tied_state", "7 n_tied_state", "senone 7 is not one of 7"),
            ("1 n_tri", "2 n_tri", "4 lines of phones must be n_base 3 \\+ n_tri 2"),
            ("12 n_state_map", "13 n_state_map", "n_state_map 13 must be a multiple"),
            ("2 n_tied_tmat", "1 n_tied_tmat", "transition matrix 1 is not one of 1"),
            ("AH SIL   T b", "AH SIL   D b", ":13: 'D' must be a phone defined above"),
            ("AH SIL   T b", "AH SIL   T x", ":13: 'x' must be a phone .* b, e, i or s"),
            ("4      5 N", "4      five N", ":12: .* must have matrix and senones as numbers"),
            ("4      5 N", "4      5", ":12: .* must have 9 columns"),
            ("T   -   - -", "T   -   AH -", ":12: .* without context"),
            ("filler    1", "fill    1", ":11: .* filler or n/a"),
            ("    T   -", "   AH   -", ":10: .* a name of its own"),
            ("SIL", "PAU", "'SIL' is not a phone"),
        ],
    )
    def test_a_malformed_definition(self, tmp_path: Path, old: str, new: str, law: str) -> None:
        folder = tiny_model(tmp_path, 1)
        (folder / "mdef").write_text(TINY_MDEF.replace(old, new))
        with pytest.raises(FormatError, match=law):
            read_sphinx_model(folder)

    def test_a_definition_that_is_neither_text_nor_binary(self, tmp_path: Path) -> None:
        (tmp_path / "mdef").write_bytes(b"\x80\xfe\x00\x01" * 30)
        with pytest.raises(FormatError, match="neither a text nor a binary"):
            read_definition(tmp_path / "mdef")

    @pytest.mark.parametrize(
        ("count", "value", "law"),
        [
            (0, 2**31 - 1, "phones of"),
            (1, 2**30, "cannot be in the"),
            (2, 0, "0 states each"),
            (4, 100, "is not one of 100"),
            (6, 3, "must be 3 × 3"),
            (8, -1, "cannot be in the"),
        ],
    )
    def test_a_binary_definition_that_lies(
        self, en_us: Path, tmp_path: Path, count: int, value: int, law: str
    ) -> None:
        data = bytearray((en_us / "mdef").read_bytes())
        at = 12 + struct.unpack_from("<i", data, 8)[0] + 4 * count
        data[at : at + 4] = struct.pack("<i", value)
        (tmp_path / "mdef").write_bytes(data)
        with pytest.raises(FormatError, match=law):
            read_definition(tmp_path / "mdef")

    @pytest.mark.parametrize(
        ("line", "law"),
        [
            ("-lowerf", ":1: '-lowerf' must be pairs"),
            ("lowerf 130", ":1: .* must be pairs"),
            ("-lowerf low", "-lowerf 'low' must be a number"),
            ("-lowerf 9000", "not supported: low_hz"),
            ("-frate 0", "not supported"),
            ("-feat s2_4x", "not supported: streams is 's2_4x'"),
            ("-transform fft", "not supported: dct is 'fft'"),
            ("-lda feature_transform", "-lda feature_transform is not supported"),
            ("-varnorm yes", "-varnorm yes is not supported, only no"),
            ("-remove_noise perhaps", "must be yes or no"),
            ("-svspec 0-12/14-38", "must name all 39 features in order"),
            ("-svspec all", "must hold ranges"),
            ("-cmninit 40,x", "-cmninit 'x' must be a number"),
        ],
    )
    def test_a_front_end_that_cannot_be(self, tmp_path: Path, line: str, law: str) -> None:
        (tmp_path / "feat.params").write_text(line + "\n")
        with pytest.raises(FormatError, match=law):
            read_feature_options(tmp_path / "feat.params")


def test_a_front_end_by_default_and_by_name(tmp_path: Path) -> None:
    options, streams = read_feature_options(tmp_path / "feat.params")
    assert (options.n_mels, options.lifter, options.dct, streams) == (40, 0, "legacy", ())
    (tmp_path / "feat.params").write_text(
        "-samprate 8000 -nfilt 20\n-upperf 3500 # telephone\n-cmn none\n-cmninit 38.5,1\n"
        "-svspec 0-12/13-25,26-38\n"
    )
    options, streams = read_feature_options(tmp_path / "feat.params")
    assert (options.sample_rate, options.n_fft, options.high_hz) == (8000, 256, 3500)
    assert options.normalisation == "none" and options.initial_mean[:3] == (38.5, 1, 0)
    assert streams == (13, 26)
