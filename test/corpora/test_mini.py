import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from patience import HOUR

from sertk.core.errors import SertkError
from sertk.corpora import CORPORA, mini, mini_asr
from sertk.kaldi.datadir import DataDir
from sertk.text.espeak import load_espeak

pytest.importorskip("espeakng_loader", reason="espeak-ng's voices are not installed (espeakng-loader)")


def speak(root, *options):
    command = [sys.executable, "-m", "sertk.bin.synthesise_mini", str(root), *options]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=HOUR)


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    root = tmp_path_factory.mktemp("mini") / "release"
    done = speak(root)
    assert done.returncode == 0, done.stderr
    return root


def test_sizes_and_format(release):
    paths = sorted(release.glob("spk*/*.wav"))
    assert len(paths) == 8 * 4 * 8
    for path in paths:
        info = soundfile.info(path)
        assert (info.samplerate, info.channels, info.subtype) == (16000, 1, "PCM_16")
        assert 1.0 < info.duration < 4.0
    samples = [soundfile.read(path)[0] for path in paths]
    assert all((np.abs(one) > 0.999).mean() < 0.001 for one in samples)
    assert all(np.abs(one).max() > 0.05 for one in samples)


def test_emotions_differ_as_intended(release):
    def mean(emotion, value):
        return np.mean([value(soundfile.read(path)[0]) for path in release.glob(f"spk*/*-{emotion}-*.wav")])

    seconds = {emotion: mean(emotion, len) / 16000 for emotion in mini.EMOTIONS}
    loudness = {emotion: mean(emotion, np.std) for emotion in mini.EMOTIONS}
    assert seconds["sad"] > seconds["neutral"] > seconds["happy"] > seconds["angry"]
    assert loudness["angry"] > loudness["happy"] > loudness["neutral"] > loudness["sad"]


def test_same_arguments_same_audio(release, tmp_path):
    roots = [tmp_path / name for name in ("one", "two")]
    for root in roots:
        assert speak(root, "--sentences", "1", "--seed", "1").returncode == 0
    names = sorted(path.relative_to(roots[0]) for path in roots[0].glob("**/*") if path.is_file())
    assert len(names) == 8 * 4 + 2
    contents = [[(root / name).read_bytes() for name in names] for root in roots]
    assert contents[0] == contents[1]
    first = "spk01/spk01-angry-1.wav"
    assert (roots[0] / first).read_bytes() != (release / first).read_bytes()


def test_long_path_of_the_wheel(tmp_path):
    """espeak-ng itself cannot take paths of 160 bytes and more."""
    code = (
        "import pathlib, sys, espeakng_loader\n"
        "link = pathlib.Path(sys.argv[1], 'x' * 160)\n"
        "link.symlink_to(espeakng_loader.get_data_path())\n"
        "espeakng_loader.get_data_path = lambda: str(link)\n"
        "from sertk.text.espeak import load_espeak\n"
        "speaker = load_espeak()\n"
        "print(len(speaker.say('Guten Tag', 'de+f2', rate=160)) / speaker.rate, speaker.folder.name)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], check=True, capture_output=True, text=True, timeout=HOUR
    )
    seconds, folder = done.stdout.split()
    assert 0.3 < float(seconds) < 2
    assert not Path(folder).exists()


def test_unknown_voice():
    with pytest.raises(SertkError, match="no voice 'martian'"):
        load_espeak().say("Hello", "martian")


def test_data_folder(release, tmp_path):
    CORPORA["mini"](release, tmp_path / "data")
    data = DataDir(tmp_path / "data")
    assert len(data.utterances) == 256
    assert Counter(data.labels("4").values()) == dict.fromkeys(("neutral", "happy", "sad", "angry"), 64)
    assert Counter(data.table("spk2gender").values()) == {"f": 4, "m": 4}
    assert len(set(data.table("utt2hash").values())) == 256
    assert len(set(data.table("text").values())) == 16
    assert data.table("text")["spk02-sad-1"] == "Die Kinder spielen draußen im Garten"
    assert all(utt.startswith(f"{speaker}-") for utt, speaker in data.table("utt2spk").items())


def test_digits_for_asr(tmp_path):
    assert speak(tmp_path / "asr", "--asr", "2").returncode == 0
    assert speak(tmp_path / "again", "--asr", "2").returncode == 0
    names = sorted(path.relative_to(tmp_path / "asr") for path in (tmp_path / "asr").rglob("*") if path.is_file())
    assert all((tmp_path / "asr" / name).read_bytes() == (tmp_path / "again" / name).read_bytes() for name in names)
    used = {}
    for part, voices in (("train-mini", 8), ("dev-mini", 2), ("test-mini", 2)):
        CORPORA["librispeech"](tmp_path / "asr", tmp_path / part, subset=part)
        data = DataDir(tmp_path / part)
        used[part] = set(data.table("spk2utt"))
        assert (len(data.utterances), len(used[part])) == (2 * voices, voices)
        assert Counter(data.table("spk2gender").values()) == {"f": voices / 2, "m": voices / 2}
        words = [word.upper() for text in data.table("text").values() for word in text.split()]
        assert set(words) <= set(mini_asr.DIGITS)
    assert not used["train-mini"] & (used["dev-mini"] | used["test-mini"]) and not used["dev-mini"] & used["test-mini"]
    voices = [voice for *_, voice in (*mini.SPEAKERS, *mini_asr.SPEAKERS)]
    assert len(set(voices)) == len(voices)
    for utterances, message in ((3, "something else"), (0, "0 utterances of each voice")):
        with pytest.raises(SertkError, match=message):
            mini_asr.synthesise(tmp_path / "asr", utterances)


def test_a_folder_with_something_else_is_refused(release, tmp_path):
    assert "is there already" in speak(release).stderr
    other = speak(release, "--sentences", "3")
    assert other.returncode == 1 and "something else" in other.stderr
    (tmp_path / "thesis.txt").touch()
    assert speak(tmp_path).returncode == 1
    assert speak(tmp_path / "new", "--sentences", "9").returncode == 1
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_release_errors(tmp_path):
    with pytest.raises(SertkError, match="stage 0 makes the mini corpus"):
        mini.read_release(tmp_path)
    (tmp_path / "metadata.tsv").write_text("spk01-sad-1\tspk01\tf\tsad\tHello\n")
    with pytest.raises(SertkError, match=r"1 recordings[^$]*spk01/spk01-sad-1.wav"):
        mini.read_release(tmp_path)
    assert mini.read_release(tmp_path, partial=True) == []
    (tmp_path / "metadata.tsv").write_text("spk01-sad-1\tspk01\tf\tsad\tHello\nspk01 sad\n")
    with pytest.raises(SertkError, match="metadata.tsv:2"):
        mini.read_release(tmp_path)


def test_missing_wheel_is_one_line(tmp_path):
    code = (
        "import sys; sys.modules['espeakng_loader'] = None\n"
        "from sertk.bin.synthesise_mini import main; sys.exit(main([sys.argv[1]]))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "release")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=HOUR)
    assert done.returncode == 1
    assert done.stderr.strip().endswith("pip install 'sertk[phones]'")
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
