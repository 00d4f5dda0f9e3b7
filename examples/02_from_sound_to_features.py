"""From sound to features: what the recogniser sees of a sound, one step at a time.

    sound → frames → power spectrum → mel bands → logarithm → cosine transform → mean → deltas

Each step is a line or two of numpy and librosa here; at the end they are compared with the front
end of the library, which can also track the noise of each band and subtract it.
(Davis and Mermelstein 1980; the sizes are those of CMU Sphinx.)

    python examples/02_from_sound_to_features.py

draws 02_from_sound_to_features.png: six views of one sentence.
"""

import librosa
import numpy as np
from drawing import HERE, figure, save

from factored_asr.audio.reading import read_audio
from factored_asr.features import FeatureOptions, FrontEnd
from factored_asr.features.frontend import LOG_FLOOR
from factored_asr.features.mel import cepstral_transform, mel_filters

SOUND = HERE / "audio" / "kitchen_light_on.wav"


def main() -> None:
    """Walk the sound through every step, then check the walk against the front end."""
    options = FeatureOptions(remove_noise=False, normalisation="batch", streams="1s_c_d_dd")
    samples, rate = read_audio(SOUND, sample_rate=options.sample_rate)
    # A synthetic voice falls silent altogether; every room, and every microphone, hums a little.
    samples += np.random.default_rng(0).normal(0, 3e-4, len(samples)).astype(np.float32)

    # A frame is 25 ms of sound, and the next one begins 10 ms later: short enough that the mouth
    # stands still, long enough for several periods of the voice.
    shift, window = options.shift_samples, options.window_samples
    sharpened = np.append(samples[0], samples[1:] - options.preemphasis * samples[:-1]) * 32768
    # The samples left over at the end make one more frame, filled up with zeros. Without it the
    # mean below would differ from the library's, by up to 0.09.
    left_over = (len(sharpened) - window) % shift
    sharpened = np.append(sharpened, np.zeros(shift - left_over if left_over else 0))
    edge = (options.n_fft - window) // 2  # librosa puts the window in the middle of its points
    power = np.abs(librosa.stft(
        np.pad(sharpened, edge), n_fft=options.n_fft, hop_length=shift, win_length=window,
        window=np.hamming, center=False,
    ).T) ** 2  # fmt: skip

    # The ear perceives power in bands, narrow at low frequencies, and loudness in ratios.
    bands = power @ mel_filters(options)
    loudness = np.log(bands + LOG_FLOOR)

    # Neighbouring bands rise and fall together. A cosine transform unmixes them, so that Gaussians
    # with diagonal variances will do, and its first 13 values keep the shape of the vocal tract
    # and leave the pitch out.
    cepstra = loudness @ cepstral_transform(options)

    # A microphone multiplies the spectrum, so it adds to the logarithm: the mean is the microphone.
    static = cepstra - cepstra.mean(axis=0)

    # How it changes says as much as how it is: over 20 ms to each side, and once more.
    padded = np.pad(static, ((3, 3), (0, 0)), mode="edge")
    delta = padded[4:] - padded[:-4]  # two more rows than frames: the next line needs them
    features = np.hstack([static, delta[1:-1], delta[2:] - delta[:-2]])

    ours, theirs = features, FrontEnd(options).features(samples)
    # What is left is rounding: librosa's spectra have single precision.
    n = len(theirs)
    print(f"{len(samples) / rate:.2f} s of sound, {len(features)} frames of {features.shape[1]}")
    print(f"by hand and by the library: {np.abs(ours[3:n - 3] - theirs[3:n - 3]).max():.4f} apart "
          "at most")  # fmt: skip
    draw(samples, rate, shift, power, bands, loudness, static, features)


def draw(  # type: ignore[no-untyped-def]
    samples, rate, shift, power, bands, loudness, static, features
) -> None:
    """Draw six views of the sentence."""
    drawing, rows = figure(6, 1, width=5, height=11)
    librosa.display.waveshow(samples, sr=rate, ax=rows[0], linewidth=0.4)
    rows[0].set(title="sound", xlim=(0, len(static) * shift / rate), xlabel="", ylabel="pressure")
    hertz = librosa.fft_frequencies(sr=rate, n_fft=2 * power.shape[1] - 2)
    pictures = (
        ("power spectrum (dB)", librosa.power_to_db(power, amin=1.0), hertz, "frequency (Hz)"),
        ("mel bands", bands, np.arange(bands.shape[1]), "band"),
        ("mel bands, logarithm", loudness, np.arange(loudness.shape[1]), "band"),
        ("cepstra, mean subtracted", static[:, 1:], np.arange(1, static.shape[1]), "cepstrum"),
        ("features: cepstra, deltas, deltas of deltas", features / features.std(axis=0),
         np.arange(features.shape[1]), "dimension"),
    )  # fmt: skip
    for row, (title, picture, rungs, label) in zip(rows[1:], pictures, strict=True):
        floor, ceiling = np.percentile(picture, (5, 99.5))
        librosa.display.specshow(
            picture.T, sr=rate, hop_length=shift, x_axis="time", y_coords=rungs, ax=row,
            cmap="magma", vmin=floor, vmax=ceiling,
        )  # fmt: skip
        row.set(title=title, xlabel="", ylabel=label, yticks=rungs[:: len(rungs) // 4])
    rows[-1].set_xlabel("time (s)")
    save(drawing, __file__)


if __name__ == "__main__":
    main()
