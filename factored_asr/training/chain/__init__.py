"""The stage tdnn: a time-delay network trained by lattice-free MMI, on the alignments of a GMM."""
