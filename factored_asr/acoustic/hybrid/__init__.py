"""Hybrid models: a network over the front end and the speakers' maps of Gaussian mixtures."""

from factored_asr.acoustic.hybrid.model import HybridModel

__all__ = ["HybridModel"]
