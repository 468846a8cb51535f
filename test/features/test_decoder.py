"""Recordings whose header does not know, or only guesses, how long they are."""

import numpy as np
import pytest
from open_lengths import RATE, encoded, noisy_tone, open_flac, open_lengths

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


@pytest.mark.parametrize("subtype", ["GSM610", "MS_ADPCM", "ALAW"])
def test_segments_of_what_cannot_be_sought_in(write, subtype):
    path = write(bytes(encoded(WAVE, "WAV", subtype=subtype)))
    samples, _ = load_audio(path)
    np.testing.assert_array_equal(load_segment(path, 0.5, 0.75)[0], samples[8000:12000])


@pytest.mark.parametrize("kind", ["IRCAM", "MAT5", "PAF", "PVF", "AVR", "SVX", "HTK"])
def test_formats_whose_end_cannot_be_checked(write, kind):
    path = write(bytes(encoded(WAVE, kind, subtype="PCM_16")))
    for entry in (path, f"cat {path} |"):
        with pytest.raises(SertkError, match=r"whose end cannot be checked: convert it \(`sox FILE OUT\.wav`\)"):
            load_audio(entry)


@pytest.mark.parametrize("name", ["a.gsm", "a.vox", "a.mp3", "a.wav"])
def test_a_file_is_what_its_bytes_are_whatever_its_name(write, name):
    path = write(bytes(range(256)) * 8, name)
    for entry in (path, f"cat {path} |"):
        with pytest.raises(SertkError, match="not readable as audio"):
            load_audio(entry)


@pytest.mark.parametrize("name", ["a.wav", "a.m4a", "a.wma", "a.mp3"])
def test_an_empty_file(write, name):
    with pytest.raises(SertkError, match="an empty file"):
        load_audio(write(b"", name))
