"""The parameters of a Gaussian-mixture model: front end, HMMs of phones in context, densities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np

from factored_asr.acoustic.gmm.mixtures import DiagonalMixtures, TiedMixtures
from factored_asr.acoustic.gmm.tools import NoiseOptions, SnrScale
from factored_asr.acoustic.gmm.transforms import apply_affine, check_affine, compose
from factored_asr.acoustic.gmm.tree import DecisionTree
from factored_asr.acoustic.gmm.triphones import Triphones
from factored_asr.acoustic.topology import N_POSITIONS, Topology
from factored_asr.errors import OptionError
from factored_asr.features import FeatureOptions, FrontEnd


@dataclass(frozen=True, eq=False)
class GmmParameters:
    """Phones, their HMMs in context, and the densities of the HMMs' states.

    A frozen record of arrays and plain options. An HMM is a chain of states: from each one can
    stay (loop) or go on (exit), never skip.

    Raises
    ------
    OptionError
        Parts that do not fit each other.
    """

    phones: tuple[str, ...]
    """Context-independent phones; HMM i < len(phones) is that of phones[i] out of context."""
    silence: str
    """The phone of silence."""
    fillers: tuple[str, ...]
    """Phones that are no speech, silence among them."""
    features: FeatureOptions
    """The front end the densities were trained on."""
    densities: DiagonalMixtures | TiedMixtures
    """One pdf for each column of a score matrix."""
    hmm_pdfs: np.ndarray
    """(n_hmms, max_states) int32: pdf of each state; -1 beyond an HMM's last."""
    hmm_phone: np.ndarray
    """(n_hmms,) int32: index of the phone that an HMM realises."""
    hmm_loop_log_probs: np.ndarray
    """(n_hmms, max_states) float32: log probability of staying another frame; may be -inf."""
    hmm_exit_log_probs: np.ndarray
    """(n_hmms, max_states) float32: log probability of going on to the next state, or out."""
    triphone_contexts: np.ndarray
    """(n_triphones, 4) int32: centre, left, right phone and word position (see topology.py);
    no rows for a context-independent model."""
    triphone_hmms: np.ndarray
    """(n_triphones,) int32: HMM of each triphone."""
    transform: np.ndarray | None = None
    """(n_outputs, n_features + 1) float32: affine map from features to what the densities take,
    the last column its offset (LDA, MLLT, fMLLR; see transforms.py); None where they are one."""
    tree: DecisionTree | None = None
    """What the HMMs of triphones were read off, kept to be read by people and further training;
    `triphone_contexts` and `hmm_pdfs` say the same."""

    first_pass: DiagonalMixtures | TiedMixtures | None = None
    """Densities for speakers without a map of their own, where `densities` were trained behind
    those of the training speakers (SAT); of the same pdfs. None where one set serves both."""
    mean: np.ndarray | None = None
    """(n_cepstra,): a speaker's cepstral mean, which is taken off every sound; None: that of each
    sound."""
    speaker_map: np.ndarray | None = None
    """(n, n + 1): the speaker's part of `transform`; None where there is none."""
    noise: NoiseOptions | None = None
    """How the model is moved to the noise of whole sounds; None: not. A model with a `transform`
    is not moved."""
    snr_scale: SnrScale | None = None
    """How scores of whole sounds are weighted by their signal-to-noise ratio; None: not."""

    def __post_init__(self) -> None:
        for name in ("hmm_pdfs", "hmm_phone", "triphone_contexts", "triphone_hmms"):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), np.int32))
        for name in ("hmm_loop_log_probs", "hmm_exit_log_probs"):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), np.float32))
        self._check_phones()
        self._check_hmms()
        self._check_features()

    @property
    def n_pdfs(self) -> int:
        """Number of pdfs: the columns of a score matrix."""
        return self.densities.n_pdfs

    @property
    def frame_seconds(self) -> float:
        """Seconds from one frame to the next."""
        return self.features.frame_shift

    def hmm_index(self, *context: np.ndarray | int) -> np.ndarray:
        """HMM of each phone in its context, int32; arguments as for `Triphones.hmm_index`."""
        return self.triphones.hmm_index(*context)

    @cached_property
    def triphones(self) -> Triphones:
        """The triphones with their fall-back; the large table is made at the first look-up."""
        silence, *fillers = (self.phones.index(each) for each in (self.silence, *self.fillers))
        contexts, hmms = self.triphone_contexts, self.triphone_hmms
        return Triphones(len(self.phones), contexts, hmms, silence, tuple(fillers))

    @property
    def sample_rate(self) -> int:
        """Samples a second that sessions take, Hz."""
        return self.features.sample_rate

    @property
    def look_ahead_seconds(self) -> float:
        """Seconds that features of a frame wait for the frames after it."""
        return self.features.lookahead * self.frame_seconds

    @cached_property
    def front_end(self) -> FrontEnd:
        """The front end, with its tables."""
        return FrontEnd(self.features)

    def features_of(self, cepstra: np.ndarray) -> np.ndarray:
        """Return the features of a whole sound from its static cepstra, its mean taken off."""
        if self.mean is None:
            return self.front_end.features_from_cepstra(cepstra)
        return self.front_end.dynamic(cepstra - self.mean.astype(np.float32))

    @cached_property
    def topology(self) -> Topology:
        """The HMMs as units, and which one a phone in context is."""
        n, classes = len(self.phones), np.repeat(np.arange(len(self.phones)), N_POSITIONS)
        if len(self.triphone_hmms):
            units = self.triphones.table.transpose(1, 0, 2, 3).reshape(-1, n, n)
        else:  # right neighbours are told apart all the same: graphs then stay as they were
            units = np.broadcast_to(classes[:, None, None], (len(classes), 1, n))
        return Topology(
            self.phones, self.silence, self.fillers, self.hmm_phone, self.hmm_pdfs, self.hmm_pdfs,
            self.hmm_loop_log_probs, self.hmm_exit_log_probs, alone=np.arange(n), unit_of=units,
            left_class=classes * bool(len(self.triphone_hmms)), right_class=classes,
        )

    def scorer(self, pdfs: np.ndarray | None = None) -> Callable[[np.ndarray], np.ndarray]:
        """Prepare log-likelihoods once, for many calls: a stream keeps it between chunks.

        Parameters
        ----------
        pdfs
            The pdfs to score; None for all. A grammar uses a few hundred of thousands.

        Returns
        -------
        A function from features (n_frames, n_features) to scores, natural log, float32, with one
        column for each pdf asked for, in their order. Threads may share it. The score matrix is
        all the memory it takes but for a few megabytes; feed long audio in parts.

        Raises
        ------
        OptionError
            A pdf the model does not have; later, features of the wrong shape, NaN or infinite.
        """
        score, transform = self.densities.scorer(pdfs), self.transform
        if transform is None:
            return score
        return lambda features: score(apply_affine(transform, features))

    def with_transform(self, affine: np.ndarray) -> Self:
        """The same model behind one map more, such as a speaker's fMLLR.

        That speaker is no stranger any more: there are no first-pass densities.

        Parameters
        ----------
        affine
            (n, n + 1) for densities over n values; applied after the model's own transform.

        Raises
        ------
        OptionError
            The map has another shape, or a value that is not finite.
        """
        affine = check_affine(affine, self.densities.n_features)
        transform = compose(affine, self.transform)
        return replace(self, transform=transform, speaker_map=None, first_pass=None)

    @property
    def unadapted(self) -> Self:
        """The model for a speaker whose map is not known: with its first-pass densities."""
        if self.first_pass is None:
            return self
        return replace(self, densities=self.first_pass, first_pass=None)

    def log_likelihoods(self, features: np.ndarray, pdfs: np.ndarray | None = None) -> np.ndarray:
        """Return ``scorer(pdfs)(features)``."""
        return self.scorer(pdfs)(features)

    def _check_features(self) -> None:
        first = self.first_pass
        if first is not None and (first.n_pdfs, first.n_features) != (
            self.densities.n_pdfs, self.densities.n_features
        ):
            raise OptionError(
                f"first-pass densities of {first.n_pdfs} pdfs over {first.n_features} values do "
                f"not match {self.n_pdfs} over {self.densities.n_features}"
            )
        n_inputs, n_outputs = self.features.n_features, self.densities.n_features
        if self.transform is not None:
            object.__setattr__(self, "transform", check_affine(self.transform, n_inputs))
            n_inputs = len(self.transform)
        if n_inputs != n_outputs:
            given = "front end gives" if self.transform is None else "transform leaves"
            raise OptionError(
                f"the {given} {n_inputs} features a frame, the densities take {n_outputs}"
            )

    def _check_phones(self) -> None:
        if len(set(self.phones)) != len(self.phones):
            raise OptionError("phones must be distinct")
        for phone in (self.silence, *self.fillers):
            if phone not in self.phones:
                raise OptionError(f"{phone!r} is not a phone of the model")

    def _check_hmms(self) -> None:
        shape = self.hmm_pdfs.shape
        if len(shape) != 2 or shape[0] < len(self.phones) or not shape[1]:
            raise OptionError(
                f"hmm_pdfs must be (n_hmms, max_states) with an HMM for each phone, got {shape}"
            )
        if self.hmm_phone.shape != shape[:1] or any(
            table.shape != shape for table in (self.hmm_loop_log_probs, self.hmm_exit_log_probs)
        ):
            raise OptionError("hmm_phone and the log probabilities must match hmm_pdfs in shape")
        if (self.hmm_phone[: len(self.phones)] != np.arange(len(self.phones))).any():
            raise OptionError("the first HMMs must be those of the phones out of context, in order")
        if self.hmm_phone.min() < 0 or self.hmm_phone.max() >= len(self.phones):
            raise OptionError(f"hmm_phone must lie in 0..{len(self.phones) - 1}")
        used = self.hmm_pdfs >= 0
        if not used[:, 0].all() or (used[:, 1:] & ~used[:, :-1]).any():
            raise OptionError("an HMM needs a state, and -1 may only follow its last")
        if self.hmm_pdfs.max() >= self.n_pdfs:
            raise OptionError(f"pdf {self.hmm_pdfs.max()} is not one of {self.n_pdfs} densities")
        if not (self.hmm_exit_log_probs[used] > -np.inf).all():
            raise OptionError("a state that cannot be left: its exit log probability is -inf")
        hmms = self.triphone_hmms
        if hmms.ndim != 1 or self.triphone_contexts.shape != (len(hmms), 4):
            raise OptionError(
                f"triphones need an HMM and four numbers each, got {hmms.shape} and "
                f"{self.triphone_contexts.shape}"
            )
        if hmms.size and (hmms.min() < 0 or hmms.max() >= shape[0]):
            raise OptionError(f"HMMs of triphones must lie in 0..{shape[0] - 1}")
