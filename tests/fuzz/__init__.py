"""Broken input for every reader: seeds, what is done to them, and the readers they are given to."""
