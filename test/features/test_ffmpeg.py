"""Recordings that ffmpeg decodes: a stand-in that notes how it is called, and ffmpeg itself where it is installed."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from open_lengths import RATE, encoded, noisy_tone

from sertk.core.errors import SertkError
from sertk.features.audio import load_audio, load_segment

WAVE = noisy_tone(0.5)
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Puts a program `ffmpeg` on the path that notes its arguments and input, and then does what a shell line says."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "decoded.w64").write_bytes(encoded(WAVE, "W64", subtype="FLOAT"))

    def install(line=f"cat '{folder}/decoded.w64'"):
        notes = f"printf '%s\\n' \"$@\" > '{folder}/arguments'; cat > '{folder}/input'"
        (folder / "ffmpeg").write_text(f"#!/bin/sh\n{notes}\n{line}\n")
        (folder / "ffmpeg").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        return folder

    return install


@pytest.mark.parametrize("name", ["a.m4a", "-i.MP4", "a b.webm", "a'b.wma", "concat:a|b.amr", "http://x/a.opus.aac"])
def test_how_ffmpeg_is_called(stand_in, tmp_path, monkeypatch, name):
    folder = stand_in()
    monkeypatch.chdir(tmp_path)
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_bytes(b"\x00\x00\x00\x20ftypM4A ")
    samples, rate = load_audio(name)
    np.testing.assert_array_equal(samples, WAVE)
    assert rate == RATE
    arguments = (folder / "arguments").read_text().splitlines()
    source = arguments[arguments.index("-i") + 1]
    assert source == f"file:{os.path.abspath(name)}" and arguments.count("-i") == 1
    assert arguments[arguments.index("-protocol_whitelist") + 1] == "file"
    assert arguments.index("-protocol_whitelist") < arguments.index("-i")
    assert arguments[-1] == "pipe:1" and (folder / "input").read_bytes() == b""
    np.testing.assert_array_equal(load_segment(name, 0.25, 0.5)[0], WAVE[4000:])


def test_what_ffmpeg_says(stand_in, tmp_path, caplog):
    path = tmp_path / "a.m4a"
    path.write_bytes(b"nothing")
    folder = stand_in("echo '[in#0 @ 0x55af7] moov atom not found' >&2; echo more >&2; exit 1")
    with pytest.raises(SertkError, match=r"a\.m4a: ffmpeg cannot decode it: moov atom not found$"):
        load_audio(str(path))
    stand_in("exit 3")
    with pytest.raises(SertkError, match=r"a\.m4a: ffmpeg cannot decode it: status 3$"):
        load_audio(str(path))
    stand_in(f"cat '{folder}/decoded.w64'; echo 'File ended prematurely' >&2")
    assert len(load_audio(str(path))[0]) == len(WAVE)
    assert f"{path}: ffmpeg finds fault with it: File ended prematurely" in caplog.text


def test_without_ffmpeg(tmp_path, monkeypatch):
    path = tmp_path / "a.m4a"
    path.write_bytes(b"nothing")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SertkError, match=r"a\.m4a: \.m4a files need ffmpeg: install it \(apt-get install ffmpeg\)"):
        load_audio(str(path))


def test_what_libsndfile_reads_is_not_given_to_ffmpeg(stand_in, tmp_path):
    folder = stand_in()
    soundfile.write(tmp_path / "a.m4a", WAVE, RATE, format="WAV")
    (tmp_path / "a.txt").write_text("no sound")
    assert len(load_audio(str(tmp_path / "a.m4a"))[0]) == len(WAVE)
    with pytest.raises(SertkError, match=r"a\.txt: not readable as audio"):
        load_audio(str(tmp_path / "a.txt"))
    assert not (folder / "arguments").exists()


@needs_ffmpeg
@pytest.mark.parametrize("suffix", ["m4a", "mp4", "webm", "wma", "aac", "mov", "mkv"])
def test_real_files(tmp_path, suffix):
    source, path = tmp_path / "a.wav", tmp_path / f"-a b.{suffix}"
    soundfile.write(source, noisy_tone(), RATE)
    subprocess.run(["ffmpeg", "-loglevel", "error", "-i", source, f"file:{path}"], check=True, stdin=subprocess.DEVNULL)
    samples, rate = load_audio(str(path))
    assert len(samples) / rate == pytest.approx(2.0, abs=0.15)
    assert np.std(samples[: len(samples) // 3]) < 0.02 < 0.1 < np.std(samples[2 * len(samples) // 3 :])


@needs_ffmpeg
def test_a_list_of_other_files_is_not_followed(tmp_path):
    soundfile.write(tmp_path / "a.wav", WAVE, RATE)
    (tmp_path / "list.m4a").write_text(f"ffconcat version 1.0\nfile '{tmp_path}/a.wav'\n")
    with pytest.raises(SertkError, match=r"list\.m4a: ffmpeg cannot decode it: Format not on"):
        load_audio(str(tmp_path / "list.m4a"))
