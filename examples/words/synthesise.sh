#!/bin/sh
# Speaks twenty words in eight synthetic voices, one FLAC file each (16 kHz, mono, 16 bits), and
# lists them in utterances.tsv, a corpus that `factored-asr train` reads.
# Needs flite, espeak-ng and sox, each a Debian package of that name.
set -eu
cd "$(dirname "$0")"
words='zero one two three four five six seven eight nine yes no on off up down left right stop go'
voices='flite:kal16 flite:awb flite:rms flite:slt espeak-ng:en-us espeak-ng:en-us+f3
espeak-ng:en-gb+m3 espeak-ng:en-gb-scotland+f2'
printf 'id\tpath\tstart\tend\tspeaker\ttext\n' > utterances.tsv
raw=$(mktemp --suffix=.wav)
for voice in $voices; do
    engine=${voice%%:*} name=${voice#*:}
    speaker=$(echo "$name" | tr -d '+')
    mkdir -p "$speaker"
    for word in $words; do
        case $engine in
            flite) flite -voice "$name" --setf duration_stretch=1.2 -t "$word" -o "$raw" ;;
            espeak-ng) espeak-ng -v "$name" -s 150 -w "$raw" "$word" ;;
        esac
        # The engines' own pauses are cut; then every word gets a tenth of a second on both sides.
        sox -R "$raw" -r 16000 -c 1 -b 16 "$speaker/$word.flac" \
            silence 1 0.01 0.1% reverse silence 1 0.01 0.1% reverse pad 0.1 0.1 gain -n -6
        printf '%s-%s\t%s/%s.flac\t\t\t%s\t%s\n' \
            "$speaker" "$word" "$speaker" "$word" "$speaker" "$word" >> utterances.tsv
    done
done
rm "$raw"
