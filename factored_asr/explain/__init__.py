"""Why something was heard: each factor's costs, the strongest rivals, decodes without a factor."""

from factored_asr.explain.ablation import MUTABLE, Muted
from factored_asr.explain.background import Beside
from factored_asr.explain.explain import ExplainOptions, explain
from factored_asr.explain.explanation import Explained, Explanation
from factored_asr.explain.factors import FACTORS, Costs
from factored_asr.explain.path_costs import Part
from factored_asr.explain.rivals import Rival

__all__ = [
    "FACTORS", "MUTABLE", "Beside", "Costs", "ExplainOptions", "Explained", "Explanation", "Muted",
    "Part", "Rival", "explain",
]  # fmt: skip
