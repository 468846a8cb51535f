"""make_layers.sh over a small data folder with a tiny encoder, with real jobs."""

import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiny_encoders import add_encoder

from sertk.bin import extract
from sertk.features.audio import audio_hash, read_specified, read_utterances
from sertk.kaldi.archives import open_matrices

# In the place of sertk-extract, which takes long to start: a row of each layer's number, samples and loudness
STAND_IN = """#!{python}
import sys
from sertk.features.audio import read_prepared
from sertk.kaldi.archives import MatrixWriter
import numpy as np
options = dict(zip(sys.argv, sys.argv[1:]))
rspecifier, wspecifier = (each for each in sys.argv if ":" in each)
if options["--encoder"] != "tiny":
    sys.exit("no such encoder")
found = list(read_prepared(rspecifier, options.get("--segments"), None, options.get("--utt2hash")))
for layer in map(int, options["--layer"].split(",")):
    with MatrixWriter(wspecifier.replace("{{layer}}", str(layer))) as writer:
        for name, samples, rate in found:
            writer.write(name, np.array([[layer, len(samples), samples.std()]], np.float32))
"""
OPTIONS = ["--encoder", "tiny", "--layers", "0,3", "--type", "tiny_{layer}_x"]


@pytest.fixture
def data(tmp_path):
    """Five recordings of two speakers."""
    folder, random = tmp_path / "data", np.random.default_rng(0)
    folder.mkdir()
    names = [f"s{1 + number // 3}-u{number}" for number in range(5)]
    for number, name in enumerate(names):
        soundfile.write(tmp_path / f"{name}.wav", 0.1 * random.standard_normal(4000 + 1000 * number), 16000)
    (folder / "wav.scp").write_text("".join(f"{name} {tmp_path}/{name}.wav\n" for name in names))
    (folder / "utt2spk").write_text("".join(f"{name} {name[:2]}\n" for name in names))
    (folder / "spk2utt").write_text("s1 s1-u0 s1-u1 s1-u2\ns2 s2-u3 s2-u4\n")
    return folder


def write_hashes(data):
    hashes = {utt: audio_hash(samples, rate) for utt, samples, rate in read_utterances(data / "wav.scp")}
    (data / "utt2hash").write_text("".join(f"{utt} {digest}\n" for utt, digest in hashes.items()))


@pytest.fixture
def make(data, run_script, monkeypatch):
    """make_layers.sh with its options, of the folder `data`, and a stand-in for sertk-extract."""
    monkeypatch.chdir(data.parent)  # where the tables' paths begin
    command = data.parent / "bin/sertk-extract"
    command.parent.mkdir()
    command.write_text(STAND_IN.format(python=sys.executable))
    command.chmod(0o755)
    path = f"{command.parent}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    def run(*options, folder="data"):
        return run_script("make_layers.sh", *OPTIONS, *options, folder, env={"PATH": path})

    return run


def layers(data, numbers=(0, 3)):
    return {layer: dict(open_matrices(f"scp:{data}/feats/tiny_{layer}_x.scp")) for layer in numbers}


def expected(data, segments=None):
    """What the stand-in makes."""
    found = list(read_specified(f"scp:{data}/wav.scp", segments))
    return {layer: {name: [[layer, len(own), own.std()]] for name, own, _ in found} for layer in (0, 3)}


def assert_same(found, wanted):
    for layer, matrices in wanted.items():
        assert list(found[layer]) == list(matrices)
        for name, matrix in matrices.items():
            np.testing.assert_allclose(found[layer][name], matrix, rtol=1e-6)


def inside(data):
    return sorted(path.name for path in (data / "feats").iterdir() if not path.name.endswith((".ark", ".lock")))


def test_all_layers_are_made_in_one_pass_and_once(data, make):
    done = make("--nj", "2", "--piece", "2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("make_layers.sh: layers 0,3 of tiny, 5 utterances, in data/feats\n")
    assert_same(layers(data), expected(data))
    assert len(list(data.glob("log/make_tiny_layers_x.*.log"))) == 4  # jobs, alike for two at a time
    assert inside(data) == [".tiny_0_x.source", ".tiny_3_x.source", "tiny_0_x.scp", "tiny_3_x.scp"]
    before = {path: path.stat().st_mtime_ns for path in (data / "feats").iterdir()}
    again = make()
    assert again.returncode == 0
    assert again.stdout.endswith("make_layers.sh: layers 0,3 of tiny are up to date in data/feats\n")
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize("name", ["JOB_interviews", "JOBX's $HOME;&"])
def test_names_that_the_runner_or_the_shell_would_read_otherwise(data, make, name):
    wanted = expected(data)
    data = data.rename(data.parent / name.replace(" ", "_"))
    done = make("--nj", "2", folder=data.name)
    assert done.returncode == 0, done.stderr
    assert_same(layers(data), wanted)


def test_layers_that_are_there_are_not_made_again(data, make):
    assert make().returncode == 0
    before = (data / "feats/tiny_3_x.scp").stat().st_mtime_ns
    more = make("--layers", "0,1,3,2")
    assert more.returncode == 0
    assert more.stdout.endswith("layers 1,2 of tiny, 5 utterances, in data/feats\n")
    assert (data / "feats/tiny_3_x.scp").stat().st_mtime_ns == before


def test_a_real_encoder_gives_the_layers_of_one_call(data, run_script, monkeypatch):
    monkeypatch.setenv("SERTK_ENCODERS", str(data.parent / "encoders"))
    monkeypatch.chdir(data.parent)
    add_encoder()
    done = run_script("make_layers.sh", *OPTIONS, "--pool", "meanstd", "data")
    assert done.returncode == 0, done.stderr
    options = ["--encoder", "tiny", "--layer", "0,3", "--pool", "meanstd", "--device", "cpu", "--num_threads", "1"]
    assert extract.main([*options, f"scp:{data}/wav.scp", "ark:all_{layer}.ark"]) == 0
    wanted = {layer: dict(open_matrices(f"ark:all_{layer}.ark")) for layer in (0, 3)}
    assert all(matrix.shape == (1, 16) for matrices in wanted.values() for matrix in matrices.values())
    for layer, matrices in layers(data).items():
        assert list(matrices) == list(wanted[layer])
        for name, matrix in matrices.items():
            np.testing.assert_allclose(matrix, wanted[layer][name], atol=1e-5)


def test_what_was_cut_off_goes_on_with_the_pieces_that_lack(data, make, tmp_path):
    write_hashes(data)
    broken = tmp_path / "s2-u3.wav"
    content = broken.read_bytes()
    broken.write_bytes(b"no wave")
    failed = make("--nj", "1", "--piece", "1")
    assert failed.returncode == 1
    assert re.search(r"some job failed: see data/log/make_tiny_layers_x\.\*\.log", failed.stderr)
    assert not (data / "feats/tiny_0_x.scp").exists()
    made = {path: path.stat().st_mtime_ns for path in (data / "feats").glob("tiny_*.ark")}
    assert {int(path.name.split(".")[1]) for path in made} >= {1, 2, 3}
    broken.write_bytes(content)
    done = make("--nj", "1", "--piece", "1")
    assert done.returncode == 0, done.stderr
    kept = [path for path in made if int(path.name.split(".")[1]) != 4]
    assert len(kept) >= 6 and all(path.stat().st_mtime_ns == made[path] for path in kept)
    assert_same(layers(data), expected(data))
    assert inside(data) == [".tiny_0_x.source", ".tiny_3_x.source", "tiny_0_x.scp", "tiny_3_x.scp"]


def test_pieces_of_other_recordings_do_not_count(data, make, tmp_path):
    broken = tmp_path / "s2-u4.wav"
    content = broken.read_bytes()
    broken.write_bytes(b"no wave")
    assert make("--nj", "1", "--piece", "1").returncode == 1
    broken.write_bytes(content)
    swapped = (data / "wav.scp").read_text().replace("s1-u0.wav", "x.wav").replace("s1-u1.wav", "s1-u0.wav")
    (data / "wav.scp").write_text(swapped.replace("x.wav", "s1-u1.wav"))
    assert make("--nj", "1", "--piece", "1").returncode == 0
    assert_same(layers(data), expected(data))


@pytest.mark.parametrize("table", ["wav.scp", "utt2hash", "segments"])
def test_changed_recordings_are_encoded_anew(data, make, table):
    assert make().returncode == 0
    before = layers(data)
    soundfile.write(data.parent / "s1-u1.wav", np.random.default_rng(5).uniform(-0.5, 0.5, 5000), 16000)
    if table == "segments":
        lines = [f"{name} {name} 0 -1\n" for name in before[0]]
        (data / "segments").write_text("".join(lines).replace("s1-u1 s1-u1 0", "s1-u1 s1-u1 0.1"))
    elif table == "utt2hash":
        write_hashes(data)
    else:
        (data / "wav.scp").write_text((data / "wav.scp").read_text().replace("/s1-u1.wav", "/./s1-u1.wav"))
    done = make()
    assert done.returncode == 0, done.stderr
    assert "up to date" not in done.stdout
    assert_same(layers(data), expected(data, f"{data}/segments" if table == "segments" else None))
    assert abs(layers(data)[3]["s1-u1"] - before[3]["s1-u1"]).max() > 0.01


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--type", "tiny"], 1, "--type tiny: letters, digits, _ . - and {layer} only"),
        (["--type", "../{layer}"], 1, "--type ../{layer}: letters"),
        (["--layers", "all"], 1, "--layers all: expected numbers with commas between them"),
        (["--nj", "0"], 1, "--nj 0 --piece 500: expected numbers from 1"),
        (["--piece", "x"], 1, "--piece x: expected numbers from 1"),
        (["--encoder", ""], 2, "usage: utils/make_layers.sh"),
        (["--encoder", "nobody"], 1, "some job failed: see data/log/make_tiny_layers_x.*.log"),
    ],
)
def test_wrong_calls(data, make, options, status, message):
    done = make(*options)
    assert (done.returncode, message in done.stderr) == (status, True), done.stderr
    assert not list(data.glob("feats/tiny*.scp"))


def test_a_folder_without_recordings(data, make):
    os.unlink(data / "wav.scp")
    done = make()
    assert done.returncode == 1 and "data/wav.scp is missing or empty: prepare the data folder first" in done.stderr


def test_recordings_that_have_changed_since_stage_1(data, make):
    write_hashes(data)
    soundfile.write(data.parent / "s1-u1.wav", np.random.default_rng(5).uniform(-0.5, 0.5, 5000), 16000)
    done = make("--nj", "1")
    assert done.returncode == 1
    assert "s1-u1: its recording has changed since stage 1; run stage 1 again" in done.stderr
    assert not (data / "feats/tiny_0_x.scp").exists()


def test_the_command_refuses_recordings_that_have_changed(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SERTK_ENCODERS", str(tmp_path / "encoders"))
    add_encoder()
    write_hashes(data)
    soundfile.write(data.parent / "s1-u1.wav", np.random.default_rng(5).uniform(-0.5, 0.5, 5000), 16000)
    options = ["--encoder", "tiny", "--layer", "0", "--device", "cpu", "--num_threads", "1"]
    assert extract.main([*options, "--utt2hash", f"{data}/utt2hash", f"scp:{data}/wav.scp", "ark:/dev/null"]) == 1
    assert "s1-u1: its recording has changed since stage 1; run stage 1 again" in capsys.readouterr().err
