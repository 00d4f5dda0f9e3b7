"""The stages tdnn and chain: time-delay networks trained on the alignments of a GMM, by
cross-entropy or by lattice-free MMI."""
