"""Gaussian mixtures over cepstra: the classic acoustic model and what adapts it."""

from factored_asr._deprecated import old_names

__getattr__ = old_names(__name__)
