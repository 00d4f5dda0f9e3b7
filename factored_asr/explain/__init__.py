"""Why these words were recognised: costs by factor, competitors, results without a factor."""

from factored_asr._deprecated import old_names
from factored_asr.explain.ablation import FACTORS_TO_LEAVE_OUT, Ablation
from factored_asr.explain.animation import Animation, AnimationOptions, animate
from factored_asr.explain.animation_page import animation_page
from factored_asr.explain.background import BackgroundShare
from factored_asr.explain.competitors import Competitor
from factored_asr.explain.explain import ExplainOptions, explain
from factored_asr.explain.explanation import Explained, Explanation
from factored_asr.explain.factors import FACTORS, Costs
from factored_asr.explain.path_costs import Part

__getattr__ = old_names(__name__)
__all__ = [
    "FACTORS", "FACTORS_TO_LEAVE_OUT", "Ablation", "Animation", "AnimationOptions",
    "BackgroundShare", "Competitor", "Costs", "ExplainOptions", "Explained", "Explanation", "Part",
    "animate", "animation_page", "explain",
]  # fmt: skip
