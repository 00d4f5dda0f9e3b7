"""Errors of a recogniser, with confidence intervals."""

from factored_asr.evaluation.evaluate import Evaluation, evaluate
from factored_asr.evaluation.scoring import Bootstrap, Errors, Scored, bootstrap, score

__all__ = ["Bootstrap", "Errors", "Evaluation", "Scored", "bootstrap", "evaluate", "score"]
