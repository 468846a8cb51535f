"""Recordings whose header does not know, or only guesses, how long they are."""

import numpy as np
import pytest
import soundfile
from open_lengths import RATE, encoded, mp3, noisy_tone, open_flac, open_lengths
from scipy.signal import correlate

from sertk.bin import compute_feats
from sertk.core.errors import SertkError
from sertk.features.audio import load_audio, load_segment
from sertk.features.recording import open_recording
from sertk.kaldi.archives import open_matrices

WAVE = noisy_tone()
OPEN = open_lengths(WAVE)


@pytest.fixture
def write(tmp_path):
    def write(content, name="recording"):
        (tmp_path / name).write_bytes(content)
        return str(tmp_path / name)

    return write


@pytest.mark.parametrize("what", OPEN)
def test_all_samples_of_a_file_that_does_not_say_how_many_there_are(write, what):
    path = write(OPEN[what])
    for entry in (path, f"cat {path} |"):
        samples, rate = load_audio(entry)
        assert rate == RATE
        np.testing.assert_array_equal(samples, WAVE)
        for start, end in ((0.25, 0.75), (1.5, -1), (1.9, 2.4)):
            alone, _ = load_segment(entry, start, end)
            whole = samples[int(start * RATE) : None if end == -1 else int(end * RATE)]
            np.testing.assert_array_equal(alone, whole)
        with pytest.raises(SertkError, match=r"ends at 2\.6 s, the recording at 2\.00 s"):
            load_segment(entry, 1.9, 2.6)
    with open_recording(path) as recording:
        blocks = [*recording.blocks(0.3)]
    assert [len(block) for block in blocks] == 6 * [4800] + [3200]
    np.testing.assert_array_equal(np.concatenate(blocks), samples)


def test_features_of_a_flac_file_of_unknown_length(write, tmp_path):
    flac, wav = write(open_flac(WAVE), "a.flac"), write(encoded(WAVE, "WAV"), "a.wav")
    (tmp_path / "wav.scp").write_text(f"file {flac}\npipe cat {flac} |\nwav {wav}\n")
    assert compute_feats.main(["--type", "fbank40", f"scp:{tmp_path}/wav.scp", f"ark:{tmp_path}/f.ark"]) == 0
    feats = dict(open_matrices(f"ark:{tmp_path}/f.ark"))
    np.testing.assert_array_equal(feats["file"], feats["wav"])
    np.testing.assert_array_equal(feats["pipe"], feats["file"])


def test_a_flac_file_of_unknown_length_that_was_cut_off(write):
    path = write(open_flac(WAVE)[:-2000])
    with pytest.raises(SertkError, match="recording: cut off or damaged"):
        load_audio(path)


def heard_at(samples):
    """Where in decoded samples WAVE begins; how alike its noise and theirs are there."""
    noise = WAVE[len(WAVE) // 2 :]
    place = int(np.argmax(correlate(samples, noise, "valid")))
    return place - len(WAVE) // 2, np.corrcoef(noise, samples[place : place + len(noise)])[0, 1]


@pytest.mark.parametrize("bitrate_mode", ["VARIABLE", "CONSTANT"])
def test_an_mp3_file_from_a_pipe_is_decoded_to_its_end(write, bitrate_mode):
    path = write(mp3(WAVE, False, bitrate_mode), "a.mp3")
    if bitrate_mode == "VARIABLE":
        assert soundfile.info(path).frames < len(WAVE) / 2  # what libsndfile guesses from the first frame
    for entry in (path, f"cat {path} |"):
        samples, _ = load_audio(entry)
        start, alike = heard_at(samples)
        assert alike > 0.75 and len(samples) >= start + len(WAVE)
        np.testing.assert_array_equal(load_segment(entry, 1.5, 1.75)[0], samples[24000:28000])


def test_an_mp3_file_that_says_its_length_is_as_long_as_that(write):
    samples, _ = load_audio(write(mp3(WAVE), "a.mp3"))
    assert len(samples) == len(WAVE)
    assert heard_at(samples)[0] == 0


def test_mp3_files_one_after_the_other_and_tags_between_them(write):
    one = mp3(WAVE)
    tag = b"ID3\x04\x00\x00\x00\x00\x00\x7f" + bytes(127)
    for content in (one + one, tag + one + tag + one, one + one + b"TAG" + bytes(125)):
        samples, _ = load_audio(write(content, "a.mp3"))
        assert 2 * len(WAVE) <= len(samples) <= 2 * len(WAVE) + 4000
        start, alike = heard_at(samples[len(WAVE) :])
        assert alike > 0.75 and len(samples) >= start + 2 * len(WAVE)


@pytest.mark.parametrize("said", [True, False])
def test_an_mp3_file_that_was_cut_off(write, said):
    content = mp3(WAVE, said)
    path = write(content[: len(content) // 2 + 20], "a.mp3")
    with pytest.raises(SertkError, match=r"a\.mp3: cut off; `ffmpeg -i FILE OUT\.wav` keeps what is there"):
        load_audio(path)


def test_sphere_files(write):
    content = bytes(encoded(WAVE, "NIST", subtype="PCM_16"))
    assert len(load_audio(write(content))[0]) == len(WAVE)
    unknown = content.replace(b"sample_count -i 32000\n", b"made_in -s6 a_pipe\n   ")
    assert len(unknown) == len(content) and len(load_audio(write(unknown))[0]) == len(WAVE)
    shortened = content.replace(b"-s3 pcm", b"-s26 pcm,embedded-shorten-v2.00")
    with pytest.raises(
        SertkError, match=r"recording: compressed with Shorten, .*`sph2pipe -f wav FILE \|`.* in wav\.scp"
    ):
        load_audio(write(shortened))


def test_a_file_that_may_not_be_read(write, monkeypatch):
    def refuse(*arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("sertk.features.recording.open_decoder", refuse)
    with pytest.raises(SertkError, match="recording: Permission denied"):
        load_audio(write(bytes(encoded(WAVE, "WAV"))))
