"""Kaldi's GMM models, against what Kaldi's own code (in kaldi-hmm-gmm) says of the same files."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from support.files import KALDI_MODEL

from factored_asr.acoustic import BEGIN, END, INTERNAL, SINGLE, GmmModel
from factored_asr.cli import main
from factored_asr.errors import FormatError, MissingError
from factored_asr.features import FeatureOptions
from factored_asr.models.bundle import Bundle
from factored_asr.models.importers.kaldi import KaldiWarning, read_kaldi_model
from factored_asr.models.importers.kaldi_files import read_matrix, read_model, read_tree

FORMS = ("text", "binary")
CEPSTRA = FeatureOptions(normalisation="none")


@pytest.fixture(scope="module")
def expected() -> dict[str, np.ndarray]:
    with np.load(KALDI_MODEL / "expected.npz") as file:
        return dict(file)


def read(form: str, folder: Path | None = None) -> GmmModel:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KaldiWarning)
        return read_kaldi_model(folder or KALDI_MODEL / form, CEPSTRA)


# --- files ------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_the_tree_answers_as_in_kaldi(form: str, expected: dict[str, np.ndarray]) -> None:
    tree = read_tree(KALDI_MODEL / form / "tree")
    asked = expected["contexts"]
    np.testing.assert_array_equal(tree.pdfs(asked[:, :3], asked[:, 3]), expected["pdfs"])


@pytest.mark.parametrize("form", FORMS)
def test_self_loops_are_as_probable_as_in_kaldi(
    form: str, expected: dict[str, np.ndarray]
) -> None:
    model = read_model(KALDI_MODEL / form / "final.mdl")
    found, transition = [], 1
    for phone, state, pdf in model.triples.tolist():
        for target, _ in model.topology[phone][state].transitions:
            if target == state:
                found.append((phone, pdf, model.log_probs[transition]))
            transition += 1
    np.testing.assert_allclose(found, expected["loops"], rtol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_the_matrix_is_read(form: str, expected: dict[str, np.ndarray]) -> None:
    matrix = read_matrix(KALDI_MODEL / form / "final.mat")
    np.testing.assert_allclose(matrix, expected["matrix"], rtol=1e-6)


# --- the model --------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_frames_are_as_likely_as_in_kaldi(form: str, expected: dict[str, np.ndarray]) -> None:
    scores = read(form).densities.scorer()(expected["frames"])
    np.testing.assert_allclose(scores, expected["scores"], atol=1e-4)


def test_text_and_binary_are_one_model() -> None:
    text, binary = read("text"), read("binary")
    assert text.phones == binary.phones == ("SIL", "AA", "T")
    assert text.features == binary.features and text.features.splice == 0
    for name in ("hmm_pdfs", "hmm_phone", "triphone_contexts", "triphone_hmms"):
        np.testing.assert_array_equal(getattr(text, name), getattr(binary, name))
    np.testing.assert_allclose(text.hmm_loop_log_probs, binary.hmm_loop_log_probs, rtol=1e-5)
    assert text.transform is not None and text.transform.shape == (5, 40)


def test_phones_in_context_have_the_pdfs_of_kaldi(expected: dict[str, np.ndarray]) -> None:
    """Kaldi's numbers: SIL 1, AA_B 2 … AA_S 5, T_B 6, T_E 7, T_I 8, T_S 9."""
    model, pdf = read("text"), {}
    for *window, state in expected["contexts"].tolist():
        pdf[*window, state] = int(expected["pdfs"][len(pdf)])
    sil, aa, t = range(3)
    for (centre, left, right, position), window in {
        (aa, t, t, INTERNAL): (8, 4, 8), (aa, sil, sil, SINGLE): (1, 5, 1),
        (aa, t, sil, END): (8, 3, 1), (t, aa, aa, BEGIN): (3, 6, 4),
        (t, aa, aa, SINGLE): (3, 9, 2), (t, sil, aa, END): (1, 7, 2),
    }.items():
        hmm = int(model.hmm_index(centre, left, right, position))
        assert model.hmm_phone[hmm] == centre
        assert model.hmm_pdfs[hmm, :3].tolist() == [pdf[*window, s] for s in range(3)]


def test_loops_and_exits_add_up_to_one() -> None:
    model = read("binary")
    used = model.hmm_pdfs >= 0
    stay, leave = np.exp(model.hmm_loop_log_probs[used]), np.exp(model.hmm_exit_log_probs[used])
    np.testing.assert_allclose(stay + leave, 1, atol=1e-6)
    assert (model.hmm_pdfs[model.hmm_phone == 0] >= 0).all()  # silence has five states


def test_skips_are_told() -> None:
    with pytest.warns(KaldiWarning, match="phone 1: states that may be skipped"):
        read_kaldi_model(KALDI_MODEL / "text", CEPSTRA)


def test_a_first_pass_comes_with_its_own_mixtures(tmp_path: Path) -> None:
    folder = shutil.copytree(KALDI_MODEL / "text", tmp_path / "sat")
    text = (folder / "final.mdl").read_text()
    (folder / "final.alimdl").write_text(text)
    model = read("", folder)
    assert model.first_pass is not None
    np.testing.assert_array_equal(model.first_pass.means, model.densities.means)


@pytest.mark.filterwarnings("always::factored_asr.models.importers.kaldi.KaldiWarning")
def test_import_makes_a_model_of_our_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "model"
    assert main(["import", str(KALDI_MODEL / "binary"), "--output", str(output)]) == 0
    assert "may be skipped" in capsys.readouterr().err
    assert main(["info", str(output)]) == 0
    assert "3: SIL AA T" in capsys.readouterr().out


def test_a_folder_of_kaldi_is_found_by_its_files() -> None:
    with pytest.warns(KaldiWarning):
        model = Bundle.find(KALDI_MODEL / "text").acoustic_model()
    assert model.phones == read("text").phones and model.n_pdfs == read("text").n_pdfs


# --- what is refused --------------------------------------------------------


@pytest.mark.parametrize("name", ["final.mdl", "tree", "phones.txt"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(KALDI_MODEL / "text", tmp_path / "m")
    (folder / name).unlink()
    with pytest.raises(MissingError, match=name):
        read("", folder)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["final.mdl", "tree", "final.mat"])
def test_a_file_broken_off_anywhere_is_refused(tmp_path: Path, form: str, name: str) -> None:
    folder = shutil.copytree(KALDI_MODEL / form, tmp_path / "m")
    whole = (KALDI_MODEL / form / name).read_bytes()
    for size in np.linspace(0, len(whole.rstrip()) - 2, 25).astype(int):
        (folder / name).write_bytes(whole[:size])
        with pytest.raises(FormatError, match=name):
            read("", folder)


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("final.mdl", "<NUMPDFS> 14", "<NUMPDFS> 999999999", "promises 999999999 entries"),
        ("final.mdl", "<WEIGHTS>", "<HEIGHTS>", "must be <WEIGHTS>, is '<HEIGHTS>'"),
        ("final.mdl", "<PdfClass>", "<ForwardPdfClass>", "models of chain type are not supported"),
        ("final.mdl", "<DIMENSION> 5", "<DIMENSION> 6", r"must be \(\d, 6\)"),
        ("final.mdl", "<Triples>", "<Tuples>", "must go on with <Triples>"),
        ("tree", "Dependency 3 1", "Dependency 5 2", "contexts of 5 phones around place 2"),
        ("tree", "SE 0", "SE 7", "asks about place 7, must be -1 to 2"),
        ("tree", "CE 13", "CE 12", "which final.mdl does not know"),
        ("tree", "CE 13", "NULL", "no pdf for state 2 of phone"),
        ("phones.txt", "AA_I 4\n", "", "phone 4 of the model has no name"),
        ("phones.txt", "SIL", "PAU", "no phone of silence among"),
        ("phones.txt", "T_B 6", "T_B six", r"phones.txt:7: must be a phone and its number"),
    ],
)
def test_a_broken_file_says_what_is_wrong(
    tmp_path: Path, name: str, old: str, new: str, message: str
) -> None:
    folder = shutil.copytree(KALDI_MODEL / "text", tmp_path / "m")
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new))
    with pytest.raises(FormatError, match=message):
        read("", folder)


@pytest.mark.parametrize("form", FORMS)
def test_damaged_bytes_never_raise_anything_else(tmp_path: Path, form: str) -> None:
    rng = np.random.default_rng(0)
    folder = shutil.copytree(KALDI_MODEL / form, tmp_path / "m")
    for name in ("final.mdl", "tree", "final.mat", "phones.txt"):
        whole = (KALDI_MODEL / form / name).read_bytes()
        for _ in range(60):
            data = bytearray(whole)
            data[int(rng.integers(2, len(data)))] = int(rng.integers(256))
            (folder / name).write_bytes(bytes(data))
            try:
                read("", folder)
            except FormatError:
                pass
        (folder / name).write_bytes(whole)
    assert read("", folder).n_pdfs == 14
