"""Compare recognisers on the same sounds: accuracy, speed, latency, memory, size.

    material (a corpus, or labelled commands) × conditions (clean, noise at an SNR)
          → runners (each system in a process of its own, in turn) → journal (a line per answer)
          → Comparison (table, JSON) → a page of HTML

Nothing is imported here, so that the process of a system holds nothing else and its memory can be
measured.
"""
