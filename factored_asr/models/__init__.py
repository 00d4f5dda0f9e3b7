"""Models on disk: named models, model folders, the recipe of a graph, importers."""

from factored_asr.models.bundle import Bundle
from factored_asr.models.recipe import Recipe
from factored_asr.models.settings import DecodeOptions

__all__ = ["Bundle", "DecodeOptions", "Recipe"]
