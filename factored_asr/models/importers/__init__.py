"""Readers of other systems' models."""
