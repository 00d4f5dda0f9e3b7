#!/bin/sh
# Speaks the sentences of texts.tsv into wav files beside it: 16 kHz, mono, 16 bits.
# Needs flite, espeak-ng and sox (Debian: apt-get install flite espeak-ng sox).
set -eu
cd "$(dirname "$0")"
tail -n +2 texts.tsv | while IFS="$(printf '\t')" read -r file voice text; do
    engine=${voice%%:*} name=${voice#*:} raw=$(mktemp --suffix=.wav)
    case $engine in
        flite) flite -voice "$name" -t "$text" -o "$raw" ;;
        espeak-ng) espeak-ng -v "$name" -s 140 -w "$raw" "$text" ;;
        silence) sox -n -r 16000 -c 1 "$raw" trim 0 "$name" ;;
    esac
    # A little noise and a pause on both sides, as a microphone would give them.
    sox -R "$raw" -r 16000 -c 1 -b 16 "$file" gain -n -6 pad 0.3 0.3
    rm "$raw"
done
