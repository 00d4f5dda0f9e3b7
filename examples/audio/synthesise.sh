#!/bin/sh
# Speaks the sentences of texts.tsv into wav files beside it: 16 kHz, mono, 16 bits.
# A voice is ENGINE:NAME:PACE; for flite the pace stretches time, for espeak-ng it is words a
# minute, for silence seconds. Needs flite, espeak-ng and sox, each a Debian package of that name.
set -eu
cd "$(dirname "$0")"
tail -n +2 texts.tsv | while IFS="$(printf '\t')" read -r file voice text; do
    engine=${voice%%:*} pace=${voice##*:} name=${voice#*:}
    name=${name%:*} raw=$(mktemp --suffix=.wav)
    case $engine in
        flite) flite -voice "$name" --setf duration_stretch="$pace" -t "$text" -o "$raw" ;;
        espeak-ng) espeak-ng -v "$name" -s "$pace" -w "$raw" "$text" ;;
        silence) sox -n -r 16000 -c 1 "$raw" trim 0 "$pace" ;;
    esac
    # Headroom, and a pause on both sides, as in a recording.
    sox -R "$raw" -r 16000 -c 1 -b 16 "$file" gain -n -6 pad 0.3 0.3
    rm "$raw"
done
