"""The stages tdnn and chain: from the alignments of Gaussian mixtures to a network over the same
frames.

In the stage tdnn each frame learns the pdf that the alignment gives it, by cross-entropy. The
network then scores the states of the model before, whose Gaussians count a little next to it.

The stage chain begins in this way, with states of its own every 30 ms. Then lattice-free MMI makes
what was said likelier than all else that could be said. Cross-entropy goes on with a small weight
on outputs of its own, as in Kaldi. The weights of the last steps are averaged.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from factored_asr.acoustic.hybrid import HybridModel
from factored_asr.lexicon import Lexicon
from factored_asr.training.alignment import Trained
from factored_asr.training.chain.examples import Example, Examples, make_examples
from factored_asr.training.chain.mmi import mmi
from factored_asr.training.chain.network import Tdnn, exported, torch_module
from factored_asr.training.chain.options import TdnnOptions
from factored_asr.training.data import TrainingData
from factored_asr.training.em import PassReport, Run, needed

FADE = 0.03
"""Share of all steps in which the learning rate rises; it then falls to this share."""
ORTHOGONAL_EVERY = 4
"""Steps between moves of the first factors towards rows at right angles."""
MOMENT_FRAMES = 200_000
"""Frames of the input of which the moments of averaged weights are taken, about."""
LONGEST_GRADIENT = 5.0


def train_tdnn(
    data: TrainingData, lexicon: Lexicon, trained: Trained | None,
    options: TdnnOptions | None = None, run: Run | None = None,
) -> Trained:
    """Train a network over HMMs on the alignments, frames and speakers' maps of a GMM.

    The result keeps the GMM and its alignments, and holds the `HybridModel`. Reports give the
    objective for each frame of the output as the log-likelihood: that of the pdfs, then, of a chain
    model, that of lattice-free MMI. Raises OptionError if there is no model, MissingError without
    torch.
    """
    options, run = options or TdnnOptions(), run or Run()
    before = needed(trained, stage_of(options), "sat")
    torch_module()
    begun, state = run.begun or (0, before)
    examples = make_examples(data, lexicon, before, options, run.jobs)
    training = _Training(examples, options)
    training.resume(state.state, begun)
    while training.number < options.passes:
        report = training.one_pass()
        if run.report:
            run.report(report)
        if run.keep:
            run.keep(training.number, replace(before, state=training.state()))
    hybrid = HybridModel(examples.states, exported(training.final(), options),
                         options.gaussian_weight)
    return replace(before, hybrid=hybrid, state={})


def stage_of(options: TdnnOptions) -> str:
    """Return the name of the stage that trains with these options."""
    return "tdnn" if options.step == 1 else "chain"


class _Training:
    """A network in training: torch's tensors, and the order of the steps."""

    def __init__(self, examples: Examples, options: TdnnOptions):
        self._torch = torch = torch_module()
        self._examples, self._options = examples, options
        n_values = examples.states.densities.n_features
        self._tdnn = Tdnn(n_values, examples.states.n_pdfs, options)
        self._optimiser = torch.optim.AdamW(
            self._tdnn.weights.values(), lr=options.learning_rate, betas=(0.9, 0.98),
            weight_decay=options.weight_decay,
        )
        self.number = self._step = self._n_averaged = 0
        self._average: dict[str, Any] = {}
        self._n_steps = options.passes * len(self._batches(np.random.default_rng(0)))

    def one_pass(self) -> PassReport:
        """Train on one copy of every utterance."""
        options, examples = self._options, self._examples
        rng = np.random.default_rng([options.seed, self.number])
        random = self._torch.Generator().manual_seed(options.seed * 1000 + self.number)
        discriminative = options.step > 1 and self.number >= options.entropy_passes
        total = entropy = 0.0
        n_frames = n_left_out = 0
        for batch in self._batches(rng):
            done = self._one_step(batch, rng, random, discriminative)
            total, entropy = total + done[0], entropy + done[1]
            n_frames, n_left_out = n_frames + done[2], n_left_out + done[3]
        self.number += 1
        densities = examples.states.densities
        notes = [f"cross-entropy {entropy / n_frames:.3f}"]
        if n_left_out:
            notes.append(f"{n_left_out} utterances shorter than their texts")
        objective = total if discriminative else -entropy
        return PassReport(
            stage_of(options), self.number, options.passes, n_frames, objective / n_frames,
            densities.n_pdfs, densities.means.size // densities.n_features, examples.failed,
            tuple(notes),
        )

    def _batches(self, rng: np.random.Generator) -> list[list[Example]]:
        """Draw a copy of each utterance, and put those of like lengths together."""
        drawn = [copies[int(rng.integers(len(copies)))] for copies in self._examples.utterances]
        lengths = np.array([len(each.pdfs) for each in drawn])
        batches, batch = [], list[Example]()
        for i in np.argsort(lengths + rng.uniform(0, 20, len(lengths)), kind="stable").tolist():
            longest = max([lengths[i], *(len(each.pdfs) for each in batch)])
            if batch and (len(batch) + 1) * longest > self._options.batch_frames:
                batches.append(batch)
                batch = []
            batch.append(drawn[i])
        batches.append(batch)
        return [batches[i] for i in rng.permutation(len(batches))]

    def _inputs(self, batch: list[Example], rng: np.random.Generator) -> Any:
        """Return the frames of a batch, each with its edges repeated: (n, n_frames, n_values)."""
        options, context = self._options, self._tdnn.context
        longest = max(len(each.pdfs) for each in batch) * options.step
        x = np.empty((len(batch), longest + 2 * context, self._tdnn.n_inputs), np.float32)
        for row, each in zip(x, batch, strict=True):
            frames = each.observed(mapped=rng.random() >= options.unmapped,
                                   volume=rng.normal(0, options.volume))
            at = np.arange(-context, longest + context).clip(0, len(frames) - 1)
            row[:] = frames[at]
        return self._torch.from_numpy(x)

    def _one_step(
        self, batch: list[Example], rng: np.random.Generator, random: Any, discriminative: bool
    ) -> tuple[float, float, int, int]:
        """Return the sums of objective and cross-entropy, frames, and utterances left out."""
        torch, options, tdnn = self._torch, self._options, self._tdnn
        rows = tdnn.rows(self._inputs(batch, rng), random)
        targets = np.full(rows.shape[:2], -1)
        for row, each in zip(targets, batch, strict=True):
            row[: len(each.pdfs)] = each.pdfs
        pdfs, n_frames = torch.from_numpy(targets), int((targets >= 0).sum())
        scores = tdnn.scores(rows)
        entropy = self._entropy(tdnn.scores(rows, "entropy"), pdfs)
        objective, n_left_out = 0.0, 0
        if discriminative:
            gradient, objective, n_left_out = self._gradient(scores.detach().numpy(), batch)
            squares = (scores * scores)[pdfs >= 0].sum()
            loss = (-(scores * torch.from_numpy(gradient)).sum()
                    + options.entropy_weight * entropy + 0.5 * options.output_decay * squares)
        else:
            loss = self._entropy(scores, pdfs) + entropy
        for group in self._optimiser.param_groups:
            group["lr"] = options.learning_rate * _rate(self._step / self._n_steps)
        self._optimiser.zero_grad()
        (loss / n_frames).backward()
        torch.nn.utils.clip_grad_norm_(tdnn.weights.values(), LONGEST_GRADIENT)
        self._optimiser.step()
        self._step += 1
        if self._step % ORTHOGONAL_EVERY == 0:
            tdnn.orthogonalise()
        if self._step >= (1 - options.averaged) * self._n_steps:
            self._add_to_average()
        return objective, float(entropy.detach()), n_frames, n_left_out

    def _entropy(self, scores: Any, pdfs: Any) -> Any:
        flat = scores.reshape(-1, scores.shape[-1])
        return self._torch.nn.functional.cross_entropy(
            flat, pdfs.reshape(-1), ignore_index=-1, reduction="sum")

    def _gradient(
        self, scores: np.ndarray, batch: list[Example]
    ) -> tuple[np.ndarray, float, int]:
        """Return the gradient of lattice-free MMI, its objective, and utterances left out."""
        gradient, objective, n_left_out = np.zeros_like(scores), 0.0, 0
        all_phones = self._examples.all_phones
        assert all_phones is not None
        for i, each in enumerate(batch):
            n = len(each.pdfs)
            assert each.said is not None
            found = mmi(scores[i, :n], each.said, all_phones, self._options.leak)
            if np.isfinite(found.objective):
                gradient[i, :n] = found.gradient
                objective += found.objective
            else:
                n_left_out += 1
        return gradient, objective, n_left_out

    def _add_to_average(self) -> None:
        self._n_averaged += 1
        for name, weight in self._tdnn.weights.items():
            now = weight.detach()
            old = self._average.get(name)
            self._average[name] = now.clone() if old is None else old + (
                now - old) / self._n_averaged

    def state(self) -> dict[str, np.ndarray]:
        """Return all that training needs to resume, by name."""
        found = {f"weight:{name}": each for name, each in self._tdnn.arrays().items()}
        found |= {f"average:{name}": each.numpy().copy() for name, each in self._average.items()}
        for name, weight in self._tdnn.weights.items():
            for key, value in self._optimiser.state[weight].items():
                found[f"{key}:{name}"] = value.numpy().copy()
        return found | {"counts": np.array([self._step, self._n_averaged])}

    def resume(self, state: Mapping[str, np.ndarray], number: int) -> None:
        """Take the state after a pass; nothing where there is none."""
        if not state:
            return
        torch, tdnn = self._torch, self._tdnn
        self.number = number
        self._step, self._n_averaged = (int(each) for each in state["counts"])
        tdnn.load({name.removeprefix("weight:"): each for name, each in state.items()
                   if name.startswith("weight:")})
        for name, weight in tdnn.weights.items():
            for key in ("step", "exp_avg", "exp_avg_sq"):
                value = torch.from_numpy(np.array(state[f"{key}:{name}"]))
                self._optimiser.state[weight][key] = value
            if f"average:{name}" in state:
                self._average[name] = torch.from_numpy(np.array(state[f"average:{name}"]))

    def final(self) -> dict[str, np.ndarray]:
        """Return the averaged weights, with the moments that they give.

        Of the stage tdnn, scores are likelihoods: the prior probabilities of pdfs are divided out.
        """
        tdnn, torch = self._tdnn, self._torch
        if self._average:
            with torch.no_grad():
                for name, weight in tdnn.weights.items():
                    weight.copy_(self._average[name])
        rng, n_frames = np.random.default_rng([self._options.seed, self._options.passes]), 0
        with torch.no_grad():
            for number, batch in enumerate(self._batches(rng), start=1):
                x = self._inputs(batch, rng)
                tdnn.rows(x, momentum=1 / number)
                n_frames += x.shape[0] * x.shape[1]
                if n_frames > MOMENT_FRAMES:
                    break
        arrays = tdnn.arrays()
        if self._options.step == 1:
            arrays["output.bias"] -= self._log_prior()
        return arrays

    def _log_prior(self) -> np.ndarray:
        """Return the log share of each pdf in the frames of all copies, (n_pdfs,) float32."""
        pdfs = np.concatenate([each.pdfs for copies in self._examples.utterances
                               for each in copies])
        counts = np.maximum(np.bincount(pdfs, minlength=self._examples.states.n_pdfs), 1)
        return np.log(counts / counts.sum()).astype(np.float32)


def _rate(done: float) -> float:
    """The learning rate relative to its highest, when this share of the steps is done."""
    return min(1.0, done / FADE + 0.05) * ((1 - FADE) * 0.5 * (1 + math.cos(math.pi * done)) + FADE)
