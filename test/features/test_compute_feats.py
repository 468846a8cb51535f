"""The command over a folder of odd recordings."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sertk.bin.compute_feats import main
from sertk.features import audio
from sertk.features.registry import load_extractor
from sertk.kaldi.archives import open_matrices


@pytest.fixture
def folder(tmp_path):
    """Good recordings of several kinds in `good.scp`, and with broken ones among them in `wav.scp`."""
    random = np.random.default_rng(0)

    def noise(rate, *channels):
        return 0.1 * random.standard_normal((rate, *channels))

    good = {
        "a-16k": ("a.wav", noise(16000), 16000, "PCM_16"),
        "b-8k": ("b.wav", noise(8000), 8000, "PCM_U8"),
        "c-44k": ("c c.wav", noise(44100), 44100, "PCM_24"),
        "d-six": ("d.wav", noise(16000, 6), 16000, "FLOAT"),
    }
    lines = []
    for utterance, (name, samples, rate, subtype) in good.items():
        soundfile.write(tmp_path / name, samples, rate, subtype=subtype)
        lines.append(f"{utterance} {tmp_path}/{name}\n")
    lines.append(f"e-pipe cat '{tmp_path}/c c.wav' |\n")
    (tmp_path / "good.scp").write_text("".join(lines))

    soundfile.write(tmp_path / "short.wav", noise(160), 16000)
    soundfile.write(tmp_path / "empty.wav", noise(0), 16000)
    broken = noise(16000)
    broken[5] = np.nan
    soundfile.write(tmp_path / "nan.wav", broken, 16000, subtype="FLOAT")
    (tmp_path / "cut.wav").write_bytes((tmp_path / "a.wav").read_bytes()[:9000])
    (tmp_path / "text.wav").write_text("no sound")
    bad = ["cut", "empty", "gone", "nan", "short", "text"]
    lines += [f"x-{name} {tmp_path}/{name}.wav\n" for name in bad] + ["x-zfail exit 3 |\n"]
    (tmp_path / "wav.scp").write_text("".join(lines))
    return tmp_path


def test_good_recordings(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert main(["--type", "fbank40", "scp:good.scp", "ark,scp:f.ark,f.scp"]) == 0
    read = dict(open_matrices("scp:f.scp"))
    assert [len(matrix) for matrix in read.values()] == [98, 98, 98, 98, 98]
    samples = soundfile.read("a.wav", dtype="float32")[0]
    np.testing.assert_allclose(read["a-16k"], load_extractor("fbank40")(samples), atol=1e-4)
    mean = soundfile.read("d.wav", dtype="float32")[0].mean(axis=1)
    np.testing.assert_allclose(read["d-six"], load_extractor("fbank40")(mean), atol=1e-4)
    np.testing.assert_array_equal(read["c-44k"], read["e-pipe"])


def test_broken_recordings_are_all_named(folder, capsys, caplog):
    assert main(["--type", "fbank40", f"scp:{folder}/wav.scp", f"ark:{folder}/f.ark"]) == 1
    assert not (folder / "f.ark").exists()
    message = capsys.readouterr().err
    names = "x-cut, x-empty, x-gone, x-nan, x-short ..."
    assert f"7 of 12 utterances cannot be used: {names}; more than --max_bad 0; the first is x-cut: " in message
    assert re.search(r"the first is x-cut: .*cut\.wav: cut off", message)
    for reason in [
        "x-cut: .*cut off",
        "x-empty: .*no samples",
        "x-gone: .*no such file",
        "x-nan: .*NaN",
        "x-short: too short: 0.0100 s, a frame of its features needs 0.0250 s",
        "x-text: .*not readable as audio",
        "x-zfail: .*failed with status 3",
    ]:
        assert re.search(reason, caplog.text)


def test_warnings_are_counted(folder, caplog):
    caplog.set_level("INFO")
    noise = 0.1 * np.random.default_rng(2).standard_normal(16000)
    soundfile.write(folder / "silent.wav", 0 * noise, 16000)
    soundfile.write(folder / "cancel.wav", np.stack([noise, -noise], 1), 16000)
    names = {"a-16k": "a", "y-cancel": "cancel", "z-silent": "silent"}
    (folder / "wav.scp").write_text("".join(f"{key} {folder}/{name}.wav\n" for key, name in names.items()))
    assert main(["--type", "fbank40", f"scp:{folder}/wav.scp", f"ark:{folder}/f.ark"]) == 0
    assert f"warning: y-cancel: {folder}/cancel.wav: its channels cancel each other in their mean" in caplog.text
    assert f"warning: z-silent: {folder}/silent.wav: silence, its samples are all 0" in caplog.text
    assert "features of 3 utterances, 0 left out, 2 warnings" in caplog.text


def test_max_bad(folder):
    command = ["--type", "fbank40", f"scp:{folder}/wav.scp", f"ark:{folder}/f.ark"]
    assert main(["--max_bad", "6", *command]) == 1
    assert main(["--max_bad", "7", *command]) == 0
    assert len(dict(open_matrices(f"ark:{folder}/f.ark"))) == 5


def test_what_cannot_be_read_is_left_out_where_p_asks_for_it(folder, caplog):
    command = ["--type", "fbank40", "--max_bad", "1", f"scp,p:{folder}/wav.scp", f"ark:{folder}/f.ark"]
    assert main(command) == 0  # the one is too short for a frame, which p does not speak of
    assert len(dict(open_matrices(f"ark:{folder}/f.ark"))) == 5
    assert f"{folder}/wav.scp: 6 of 12 entries cannot be read and are left out, the first is x-cut: " in caplog.text
    wave = b"u1 " + (folder / "a.wav").read_bytes()
    (folder / "waves.ark").write_bytes(wave + wave[:999].replace(b"u1", b"u2"))
    assert main(["--type", "fbank40", f"ark,p:{folder}/waves.ark", f"ark:{folder}/f.ark"]) == 0
    assert list(dict(open_matrices(f"ark:{folder}/f.ark"))) == ["u1"]
    assert f"u2 in {folder}/waves.ark: the archive is cut off here; this and what follows is left out" in caplog.text


def test_all_may_be_bad_within_max_bad(folder):
    (folder / "wav.scp").write_text(f"x {folder}/gone.wav\n")
    outputs = f"ark,scp:{folder}/f.ark,{folder}/f.scp"
    assert main(["--type", "fbank40", "--max_bad", "1", f"scp:{folder}/wav.scp", outputs]) == 0
    assert (folder / "f.ark").read_bytes() == (folder / "f.scp").read_bytes() == b""
    assert main(["--type", "fbank40", "--max_bad", "0", f"scp:{folder}/wav.scp", f"ark:{folder}/g"]) == 1
    assert not (folder / "g").exists()


def test_an_empty_table_is_an_error(folder, capsys):
    (folder / "wav.scp").write_text("")
    assert main(["--type", "fbank40", "--max_bad", "1", f"scp:{folder}/wav.scp", f"ark:{folder}/f"]) == 1
    assert f"{folder}/wav.scp: empty" in capsys.readouterr().err
    assert not (folder / "f").exists()


def test_segments_channel_config_and_compression(folder):
    (folder / "segments").write_text("u1 d-six 0.1 0.5\nu2 d-six 0.5 -1\n")
    (folder / "mine.yaml").write_text("extractor: fbank\nnum_mel_bins: 24\n")
    options = ["--segments", f"{folder}/segments", "--channel", "5", "--config", f"{folder}/mine.yaml", "--compress"]
    assert main([*options, f"scp:{folder}/good.scp", f"ark:{folder}/f.ark"]) == 0
    read = dict(open_matrices(f"ark:{folder}/f.ark"))
    samples = soundfile.read(folder / "d.wav", dtype="float32")[0][1600:8000, 5].copy()
    expected = load_extractor(config=folder / "mine.yaml")(samples)
    assert read["u1"].shape == expected.shape == (38, 24)
    assert 0 < np.abs(read["u1"] - expected).max() < 0.1
    assert (folder / "f.ark").stat().st_size < 38 * 24 * 4


def test_streams_of_waves_and_features(folder):
    waves = b"".join(f"u{number} ".encode() + (folder / "a.wav").read_bytes() for number in range(3))
    command = [sys.executable, "-m", "sertk.bin.compute_feats", "--type", "fbank40", "ark:-", "ark:-"]
    done = subprocess.run(command, input=waves, capture_output=True, check=True)
    (folder / "f.ark").write_bytes(done.stdout)
    assert [matrix.shape for matrix in dict(open_matrices(f"ark:{folder}/f.ark")).values()] == [(98, 40)] * 3
    assert b"features of 3 utterances, 0 left out" in done.stderr
    done = subprocess.run(command, input=waves[:-7], capture_output=True, check=False)
    assert done.returncode == 1
    assert b"u2 in standard input: the archive is cut off" in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["scp:x", "ark:y"], "give a feature type"),
        (["--type", "fbank40", "x", "ark:y"], "'x' cannot be read"),
        (["--type", "fbank40", "scp:x", "y"], "'y' cannot be written"),
        (["--type", "fbank40", "--segments", "s", "ark:x", "ark:/dev/null"], "--segments needs recordings by name"),
        (["--type", "fbank40", "--max_bad", "-1", "scp:x", "ark:y"], "--max_bad takes 0 or more"),
    ],
)
def test_wrong_usage(options, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(options) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("channel", [None, "1"])
@pytest.mark.parametrize("segments", [False, True])
def test_recordings_that_have_changed_since_a_table_of_their_hashes(tmp_path, capsys, monkeypatch, channel, segments):
    monkeypatch.chdir(tmp_path)
    noise = 0.1 * np.random.default_rng(0).standard_normal((3, 16000, 2))
    for name, samples in zip("ab", noise):
        soundfile.write(f"{name}.wav", samples, 16000)
    Path("wav.scp").write_text("a a.wav\nb b.wav\n")
    Path("segments").write_text("u1 a 0.1 0.5\nu2 b 0.5 -1\n")
    cut = ["--segments", "segments"] if segments else []
    read = audio.read_specified("scp:wav.scp", *cut[1:])
    Path("utt2hash").write_text("".join(f"{utt} {audio.audio_hash(*rest)}\n" for utt, *rest in read))
    options = ["--type", "fbank40", "--utt2hash", "utt2hash", "--max_bad", "2", *cut]
    options += ["--channel", channel] if channel else []
    assert main([*options, "scp:wav.scp", "ark,scp:f.ark,f.scp"]) == 0
    for name in ("f.ark", "f.scp"):
        Path(name).unlink()
    soundfile.write("b.wav", noise[2], 16000)
    assert main([*options, "scp:wav.scp", "ark,scp:f.ark,f.scp"]) == 1
    assert (
        f"{'u2' if segments else 'b'}: its recording has changed since stage 1; run stage 1 again"
        in capsys.readouterr().err
    )
    assert not Path("f.scp").exists()
