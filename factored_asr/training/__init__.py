"""How models come to be: corpora, and the stages that turn them into a model."""
