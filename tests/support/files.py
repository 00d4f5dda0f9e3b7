"""Small files of formats that others defined, as text."""

from __future__ import annotations

from pathlib import Path

ARPA = """\
A model of two answers.
\\data\\
ngram 1=5
ngram 2=4
ngram 3=1

\\1-grams:
-99\t<s>\t-0.30103
-0.69897\t</s>
-0.5229\tyes\t-0.2
-0.5229  no   -0.1
-1.0 maybe

\\2-grams:
-0.1549\t<s> yes\t-0.4
-0.69897\t<s> no
-0.2218\tyes </s>
-0.2\tyes yes\t0.05

\\3-grams:
-0.0969\t<s> yes </s>

\\end\\
"""


KALDI_LATTICE = """\
utt-1
0 1 hello 4.5,100.25,3_3_3_7
0 2 yellow 5.5,90,3_3_3_8_8
1 3 world 1.5,50,9_9_9
2 3 world 2.5,60,9_9
3 0.5,1,2_2

utt-2
0 1 3 1,2,1_1
1
"""


SLF_LATTICE = """\
VERSION=1.0
UTTERANCE=letters
lmscale=2.0 wdpenalty=-0.5 acscale=0.1
N=4 L=4
I=0 t=0.00
I=1 t=0.20
I=2 t=0.25
I=3 t=0.50
J=0 S=0 E=1 W=!NULL a=-20.0
J=1 S=1 E=2 W=a v=1 a=-50.0 l=-1.0
J=2 S=2 E=3 W=b a=-200.0 l=-2.0
J=3 S=1 E=3 W=c a=-240.0 l=-3.0 r=-0.7
"""


KALDI_MODEL = Path(__file__).parents[1] / "data" / "kaldi"
"""A folder of Kaldi's model files, text and binary, with what Kaldi computes from them."""

TEXTS = (".arpa", ".dict", ".txt", ".yaml", ".jsgf", ".tsv", ".csv", ".scp", ".fileids", ".json",
         ".transcription", ".slf", ".lat", ".lab", ".TextGrid", "text", "utt2spk", "segments",
         "mdef", "feat.params", "noisedict")  # fmt: skip
NOT_OURS = {"ARPA by KenLM", "model folder", "zipped model", "settings", "calibration"}
"""Read by others, or sealed by checksums."""
