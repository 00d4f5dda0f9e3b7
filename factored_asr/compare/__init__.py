"""Recognisers side by side on the same sounds: accuracy, speed, latency, memory, size.

    material (a corpus, or labelled commands) × conditions (clean, noise at an SNR)
          → runners (each system in a process of its own, in turn) → journal (a line an answer)
          → Comparison (table, JSON) → a page of HTML

Nothing is imported here: a system's process must hold that system alone, for its memory is told.
"""
