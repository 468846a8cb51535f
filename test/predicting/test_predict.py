"""sertk-predict on what people have on their disks: each is recognised, or named in one line."""

import json
import os
import struct

import numpy as np
import pytest
import soundfile
from open_lengths import mp3, noisy_tone, open_flac, open_lengths
from tone_systems import CPU, RATE, tone

from sertk.bin import predict
from sertk.kaldi.archives import open_matrices
from sertk.predicting.overview import overview_of
from sertk.reports.plots.pictures import save_figure
from sertk.reports.plots.prediction import prediction_figure

TONE = tone(1, 0.6)


def write(path, samples=TONE, rate=RATE, **options):
    soundfile.write(path, samples, rate, **options)
    return path


def damage(path, change):
    path.write_bytes(change(path.read_bytes()))
    return path


def many(channels):
    return np.tile(TONE[:, None], (1, channels))


def with_value(value):
    samples = TONE.copy()
    samples[100] = value
    return samples


def linked(folder, target):
    os.symlink(target, folder / "link.wav")
    return folder / "link.wav"


def pipe(folder):
    os.mkfifo(folder / "pipe.wav")
    return folder / "pipe.wav"


def folder_with(folder, name, content):
    (folder / name).write_bytes(content)
    return folder


def loop(folder):
    os.symlink(folder, folder / "again")
    write(folder / "a.wav")
    return folder


GOOD = {  # how it is made in a folder of its own
    "8 bit": lambda folder: write(folder / "a.wav", subtype="PCM_U8"),
    "16 bit": lambda folder: write(folder / "a.wav"),
    "24 bit": lambda folder: write(folder / "a.wav", subtype="PCM_24"),
    "32 bit": lambda folder: write(folder / "a.wav", subtype="PCM_32"),
    "float": lambda folder: write(folder / "a.wav", subtype="FLOAT"),
    "double": lambda folder: write(folder / "a.wav", subtype="DOUBLE"),
    "mu-law": lambda folder: write(folder / "a.wav", subtype="ULAW"),
    "ADPCM": lambda folder: write(folder / "a.wav", subtype="IMA_ADPCM"),
    "8 kHz": lambda folder: write(folder / "a.wav", tone(1, 0.6, 8000), 8000),
    "11025 Hz": lambda folder: write(folder / "a.wav", tone(1, 0.6, 11025), 11025),
    "44.1 kHz": lambda folder: write(folder / "a.wav", tone(1, 0.6, 44100), 44100),
    "96 kHz": lambda folder: write(folder / "a.wav", tone(1, 0.6, 96000), 96000),
    "stereo": lambda folder: write(folder / "a.wav", many(2)),
    "six channels": lambda folder: write(folder / "a.wav", many(6)),
    "flac": lambda folder: write(folder / "a.flac"),
    "ogg": lambda folder: write(folder / "a.ogg"),
    "mp3": lambda folder: write(folder / "a.mp3"),
    "aiff": lambda folder: write(folder / "a.aiff"),
    "au": lambda folder: write(folder / "a.au"),
    "w64": lambda folder: write(folder / "a.w64"),
    "caf": lambda folder: write(folder / "a.caf"),
    "sphere": lambda folder: write(folder / "a.sph", format="NIST"),
    "suffix of another format": lambda folder: write(folder / "a.wav", format="FLAC"),
    "no suffix": lambda folder: write(folder / "recording", format="WAV"),
    "a frame alone": lambda folder: write(folder / "a.wav", TONE[:400]),
    "silence": lambda folder: write(folder / "a.wav", 0 * TONE),
    "a constant": lambda folder: write(folder / "a.wav", 0 * TONE + 0.5),
    "clipped": lambda folder: write(folder / "a.wav", np.sign(TONE)),
    "louder than full scale": lambda folder: write(folder / "a.wav", 30 * TONE, subtype="FLOAT"),
    "spaces and umlauts": lambda folder: write(folder / "ein schöner Tag.wav"),
    "a name that is no UTF-8": lambda folder: write(folder / "a.wav").rename(folder / os.fsdecode(b"\xff\xfe.wav")),
    "a newline and a tab": lambda folder: write(folder / "a.wav").rename(folder / "a\n\tb.wav"),
    "a command as a name": lambda folder: write(folder / "a.wav").rename(folder / "touch executed |"),
    "an offset as a name": lambda folder: write(folder / "a.wav").rename(folder / "a.ark:42"),
    "a link": lambda folder: linked(folder, write(folder / "a.wav")),
    "a folder with a link to itself": loop,
    "size of the data not known": lambda folder: damage(
        write(folder / "a.wav"), lambda data: data[:40] + struct.pack("<I", 0xFFFFFFFF) + data[44:]
    ),
}
BAD = {  # and a part of what is said
    "10 ms": (lambda folder: write(folder / "a.wav", TONE[:160]), "too short: 0.0100 s"),
    "no samples": (lambda folder: write(folder / "a.wav", TONE[:0]), "no samples"),
    "no bytes": (lambda folder: damage(write(folder / "a.wav"), lambda data: b""), "an empty file"),
    "NaN": (lambda folder: write(folder / "a.wav", with_value(np.nan), subtype="FLOAT"), "NaN or infinite"),
    "infinite": (lambda folder: write(folder / "a.wav", with_value(np.inf), subtype="FLOAT"), "NaN or infinite"),
    "cut off": (lambda folder: damage(write(folder / "a.wav"), lambda data: data[:9000]), "cut off"),
    "cut off flac": (lambda folder: damage(write(folder / "a.flac"), lambda data: data[:4000]), "cut off"),
    "cut off in the header": (lambda folder: damage(write(folder / "a.wav"), lambda data: data[:20]), "a.wav"),
    "text": (
        lambda folder: damage(folder_with(folder, "a.wav", b"x") / "a.wav", lambda data: b"Hello, world\n" * 99),
        "not readable as audio",
    ),
    "random bytes": (
        lambda folder: folder_with(folder, "a.wav", np.random.default_rng(0).bytes(5000)),
        "not readable as audio",
    ),
    "a zip": (lambda folder: folder_with(folder, "a.mp3", b"PK\x03\x04" + bytes(999)), "a.mp3"),
    "no such file": (lambda folder: folder / "nowhere.wav", "no such file"),
    "a broken link": (lambda folder: linked(folder, "nowhere"), "no such file"),
    "a link to itself": (lambda folder: linked(folder, "link.wav"), "link.wav"),
    "a folder without audio": (
        lambda folder: folder_with(folder, "README.txt", b"hello"),
        "no recording in this folder",
    ),
    "hidden files alone": (lambda folder: folder_with(folder, "._a.wav", b"x"), "no recording in this folder"),
    "a pipe": (pipe, "not a file with a beginning and an end"),
    "a device": (lambda folder: "/dev/zero", "not a file with a beginning and an end"),
}


@pytest.fixture
def run_predict(systems, capsys):
    def run(*arguments, kind="windows"):
        capsys.readouterr()
        status = predict.main([*CPU, str(systems.run(kind)), *map(str, arguments)])
        return status, *capsys.readouterr()

    return run


def test_odd_recordings_are_recognised_or_named(run_predict, tmp_path, monkeypatch):
    made = {}
    for number, (what, make) in enumerate({**GOOD, **BAD}.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        made[what] = str((make[0] if what in BAD else make)(folder))
    monkeypatch.chdir(tmp_path)
    status, out, err = run_predict("--format", "json", *made.values())
    lines = [json.loads(line) for line in out.splitlines()]
    assert status == 1
    assert len(lines) == len(GOOD)
    assert not (tmp_path / "executed").exists()
    for (what, _), line in zip(GOOD.items(), lines):
        assert f"/{list(made).index(what)}/" in line["file"], what
        assert sum(line["posteriors"].values()) == pytest.approx(1, abs=1e-6), what
        assert line["label"] == max(line["posteriors"], key=line["posteriors"].get), what
    expected = lines[list(GOOD).index("float")]["posteriors"]
    alike = "16 bit, 24 bit, 32 bit, double, flac, aiff, au, w64, caf, sphere, stereo, six channels"
    for what in alike.split(", "):
        own = lines[list(GOOD).index(what)]["posteriors"]
        assert own == pytest.approx(expected, abs=2e-3), what
    messages = err.splitlines()
    messages.remove("sertk-predict: 1 other files are passed over (.txt)")
    odd = [line for line in messages if "warning" in line]
    for what in ("silence", "a constant"):
        assert sum(f"warning: {made[what]}: silence, its samples are all" in line for line in odd) == 1
    assert len(odd) == 3 and odd[-1].endswith(f"2 of {len(made)} have a warning")
    messages = [line for line in messages if line not in odd]
    assert len(messages) == len(BAD) + 1
    for what, (_, message) in BAD.items():
        assert sum(made[what] in line and message in line for line in messages) == 1, (what, err)
    assert messages[-1].endswith(f"{len(BAD)} of {len(made)} could not be used")


def test_lengths_that_headers_do_not_know(run_predict, tmp_path):
    seconds = {}
    for long in (False, True):
        wave = noisy_tone(31.0 if long else 1.0)
        files = open_lengths(wave) if not long else {"flac": open_flac(wave)}
        files = {what: files[what] for what in files if what in ("flac", "wav 0", "caf -1")} | {"mp3": mp3(wave, False)}
        for what, content in files.items():
            path = tmp_path / f"{what} {long}"
            path.write_bytes(content)
            seconds[str(path)] = len(wave) / RATE
    status, out, err = run_predict("--format", "json", "--segments", *seconds)
    assert (status, err) == (0, "")
    for line in map(json.loads, out.splitlines()):
        least = seconds[line["file"]]
        assert least <= line["seconds"] < least + (0.1 if "mp3" in line["file"] else 1e-3)
        assert line["windows"][-1]["end"] == pytest.approx(line["seconds"], abs=0.5)


def test_recordings_of_telephones_and_video(run_predict, tmp_path, monkeypatch):
    folder = tmp_path / "recordings"
    folder.mkdir()
    write(folder / "a.wav")
    suffixes = "m4a mp4 webm wma amr aac 3gp mov mkv M4A opus".split()
    for suffix in suffixes:
        (folder / f"b.{suffix}").write_bytes(b"\x00\x00\x00\x20ftypM4A ")
    (folder / "notes.txt").write_text("no recording")
    monkeypatch.setenv("PATH", str(tmp_path))
    status, out, err = run_predict("--format", "tsv", folder)
    assert status == 1 and [line.split("\t")[0] for line in out.splitlines()] == ["file", str(folder / "a.wav")]
    lines = err.splitlines()
    assert lines[0] == "sertk-predict: 1 other files are passed over (.txt)"
    for suffix in suffixes:
        what = "not readable as audio" if suffix == "opus" else f".{suffix} files need ffmpeg: install it"
        assert sum(f"{folder}/b.{suffix}: {what}" in line for line in lines) == 1
    assert lines[-1] == f"sertk-predict: {len(suffixes)} of {len(suffixes) + 1} could not be used"


def test_channels_that_cancel_each_other(run_predict, tmp_path):
    path = write(tmp_path / "a.wav", np.stack([TONE, -TONE], 1))
    for kind in ("windows", "speaker"):
        status, _, err = run_predict("--spk", "all", path, kind=kind)
        assert status == 0 and f"warning: {path}: its channels cancel each other in their mean" in err
        assert err.splitlines()[-1] == "sertk-predict: 1 of 1 have a warning"
        assert run_predict("--spk", "all", "--channel", "1", path, kind=kind)[2] == ""


def test_formats_say_the_same(run_predict, systems, tmp_path):
    paths = [str(path) for path in list(systems.wavs.values())[:2]]
    status, out, _ = run_predict("--format", "json", "--segments", *paths)
    objects = [json.loads(line) for line in out.splitlines()]
    assert status == 0
    _, out, _ = run_predict("--format", "tsv", *paths)
    header, *rows = (line.split("\t") for line in out.splitlines())
    assert header == ["file", "label", "angry", "calm", "sad"]
    _, out, _ = run_predict(*paths)
    assert [line.split() for line in out.splitlines()] == [header, *rows]
    archive = f"ark:{tmp_path}/p.ark"
    assert run_predict("--format", "ark", "--out", archive, *paths)[0] == 0
    archived = dict(open_matrices(archive))
    for path, row, line in zip(paths, rows, objects):
        assert row[:2] == [path, line["label"]] and line["file"] == path
        assert [float(value) for value in row[2:]] == pytest.approx(list(line["posteriors"].values()), abs=1e-4)
        assert archived[path] == pytest.approx(list(line["posteriors"].values()), abs=1e-6)
    _, out, _ = run_predict("--format", "tsv", "--segments", *paths)
    header, *rows = (line.split("\t") for line in out.splitlines())
    windows = [(line["file"], window) for line in objects for window in line["windows"]]
    assert header[:4] == ["file", "start", "end", "label"] and len(rows) == len(windows)
    for row, (path, window) in zip(rows, windows):
        assert row[0] == path
        assert [float(value) for value in row[1:3]] == pytest.approx([window["start"], window["end"]], abs=1e-3)
        assert [float(value) for value in row[4:]] == pytest.approx(list(window["posteriors"].values()), abs=1e-4)
    assert run_predict("--format", "ark", "--segments", "--out", archive, *paths)[0] == 0
    assert [len(matrix) for matrix in dict(open_matrices(archive)).values()] == [
        len(line["windows"]) for line in objects
    ]


def test_names_of_any_letters_are_drawn_and_written(run_predict, tmp_path):
    names = ["take_$1_$2.wav", "a\x1b[31m\n.wav", os.fsdecode(b"\xff.wav"), "\u58f0 <b>.wav"]
    paths = [str(tmp_path / name) for name in names]
    for path in paths:
        os.rename(write(tmp_path / "a.wav"), path)
    status, out, err = run_predict("--format", "json", "--plot", tmp_path / "plots", *paths)
    assert (status, err) == (0, "") and len(list((tmp_path / "plots").iterdir())) == len(names)
    assert [json.loads(line)["file"] for line in out.splitlines()] == paths  # as they are, and so can be opened
    lines = [str(tmp_path / name) for name in [names[0], r"a\x1b[31m\x0a.wav", r"\xff.wav", names[3]]]
    for form, end in (("tsv", "\t"), ("table", " ")):
        _, out, _ = run_predict("--format", form, *paths)
        rows = out.splitlines()[1:]
        assert len(rows) == len(names) and all(row.startswith(line + end) for row, line in zip(rows, lines))
    status, _, err = run_predict(*(path.replace(".wav", ".mp3") for path in paths[:2]))
    assert status == 1 and len(err.splitlines()) == 3 and r"a\x1b[31m\x0a.mp3: no such file" in err


def test_speakers(run_predict, systems, tmp_path):
    paths = list(systems.wavs.values())[:3]
    _, alone, err = run_predict("--format", "tsv", *paths, kind="speaker")
    assert "each file is taken for a speaker of its own, without --spk" in err
    _, pooled, err = run_predict("--format", "tsv", "--spk", "all", *paths, kind="speaker")
    assert err == "" and pooled != alone
    table = tmp_path / "utt2spk"
    table.write_text("".join(f"{path} one\n" for path in paths))
    for spk in ("folder", table):
        assert run_predict("--format", "tsv", "--spk", spk, *paths, kind="speaker")[1] == pooled
    table.write_text(f"{paths[0]} one\n")
    status, _, err = run_predict("--spk", table, *paths, kind="speaker")
    assert status == 1 and "utt2spk: lacks 2 of 3 recordings: " in err
    table.write_text("".join(f"{path} {name}\n" for path, name in zip(paths, ("anna", "Anna", "bob"))))
    status, _, err = run_predict("--spk", table, *paths, kind="speaker")
    assert status == 1 and "utt2spk: the speakers 'anna' and 'Anna' differ in capitals alone; change one" in err
    table.write_text("".join(f"{path} NA\n" for path in paths))
    status, _, err = run_predict("--spk", table, *paths, kind="speaker")
    assert status == 1 and "utt2spk: among the speakers is 'NA', a word for a missing name" in err


def test_pictures_and_wrong_calls(run_predict, systems, tmp_path):
    path = next(iter(systems.wavs.values()))
    assert run_predict("--plot", tmp_path / "plots", path)[0] == 0
    (picture,) = (tmp_path / "plots").iterdir()
    assert picture.read_bytes().startswith(b"\x89PNG") and picture.name.endswith(f"wav_{path.name}.png")
    empty = tmp_path / "empty"
    empty.mkdir()
    for arguments, status, message in (
        ([empty], 1, f"{empty}: no recording in this folder"),
        (["--plot", picture, path], 1, f"{picture}: File exists"),
        (["--format", "ark", path], 2, "--out WSPECIFIER go together"),
        ([], 2, "give files or folders"),
        (["--mic", path], 2, "give files or folders"),
        (["--channel", "-1", path], 2, "--channel counts from 0"),
        (["--window", "3", path], 2, "windows of its own"),
    ):
        ended, out, err = run_predict(*arguments)
        assert (ended, out) == (status, "") and message in err and err.count("\n") == 1
    assert run_predict("--channel", "1", path)[2].splitlines()[0].endswith("there is no channel 1, it has 1 (from 0)")


def test_two_recordings_of_one_name_are_refused_before_the_start(run_predict, systems, tmp_path):
    for name in ("x/q.wav", "x_q.wav", "a b.wav", "a_b.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(next(iter(systems.wavs.values())).read_bytes())
    one, other = tmp_path / "x/q.wav", tmp_path / "x_q.wav"
    status, out, err = run_predict("--plot", tmp_path / "plots", one, other)
    picture = f"{tmp_path}/plots/{'_'.join(other.parts[1:])}.png"
    what = f"{one} and {other} would both be written as {picture}; rename one of them"
    assert (status, out, err) == (1, "", f"sertk-predict: {what}\n") and not (tmp_path / "plots").exists()
    one, other = tmp_path / "a b.wav", tmp_path / "a_b.wav"
    status, out, err = run_predict("--format", "ark", "--out", f"ark:{tmp_path}/p.ark", one, other)
    what = f"{one} and {other} would both be written as {other}; rename one of them"
    assert (status, out, err) == (1, "", f"sertk-predict: {what}\n") and not (tmp_path / "p.ark").exists()
    assert run_predict("--format", "tsv", one, other)[0] == 0


def test_a_picture_of_less_than_one_of_its_frames(tmp_path):
    overview = overview_of(write(tmp_path / "short.wav", TONE[: RATE // 50]), 0.02)
    assert overview.log_mel.shape == (0, 40) and overview.seconds == pytest.approx(0.02)
    np.testing.assert_allclose(overview.envelope, np.repeat(TONE[: RATE // 50, None], 2, 1), atol=1e-4)
    figure = prediction_figure("short.wav", overview, ["a", "b"], np.array([[0, 0.02]]), np.array([[0.25, 0.75]]))
    save_figure(figure, [tmp_path / "short.png"])
    assert figure.get_suptitle() == "short.wav\nb 0.75" and (tmp_path / "short.png").stat().st_size


class Microphone:
    """As the package sounddevice, with one second of samples and then Ctrl-C."""

    class PortAudioError(Exception):
        pass

    def __init__(self, devices):
        self.devices = devices

    def query_devices(self, kind):
        if not self.devices:
            raise self.PortAudioError("Error querying device -1")
        return {"default_samplerate": 48000.0}

    def InputStream(self, samplerate, blocksize, callback, **_):
        for block in np.split(tone(2, 2.0, samplerate), 4):
            callback(block[:, None], blocksize, None, None)
        return self

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        return None


def test_microphone(run_predict, monkeypatch):
    import queue
    import sys

    monkeypatch.setitem(sys.modules, "sounddevice", None)
    status, _, err = run_predict("--mic")
    assert status == 1 and "pip install 'sertk[mic]'" in err and err.count("\n") == 1
    monkeypatch.setitem(sys.modules, "sounddevice", Microphone(devices=[]))
    status, _, err = run_predict("--mic")
    assert status == 1 and "no microphone that can be used" in err and err.count("\n") == 1
    monkeypatch.setitem(sys.modules, "sounddevice", Microphone(devices=["one"]))

    def get_or_end(self):
        if self.empty():
            raise KeyboardInterrupt
        return self.get_nowait()

    monkeypatch.setattr("sertk.predicting.mic.queue.Queue", type("Heard", (queue.SimpleQueue,), {"get": get_or_end}))
    status, out, err = run_predict("--mic")
    assert status == 0 and len(out.splitlines()) == 4
    assert all(line.count("#") and line.count(">") == 1 and " ms)" in line for line in out.splitlines())
