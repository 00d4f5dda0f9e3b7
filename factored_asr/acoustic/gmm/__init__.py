"""Gaussian mixtures over cepstra: the classic acoustic model and what adapts it."""
