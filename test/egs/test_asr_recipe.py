"""The ASR recipe on small releases in the exact form of the corpora, from disk and from a server."""

import functools
import hashlib
import http.server
import shutil
import threading
from pathlib import Path

import pytest
from asr_releases import pack, write_librispeech, write_submission, write_tedlium
from recipes import ONE_CPU, ROOT, copy_recipes, run_recipe

from sertk.kaldi.datadir import DataDir
from sertk.text.tokens import Tokens

STM = ["Talk_2010 1 Talk_2010 1 3.5 <o,f0,male> it 's late", "Talk_2010 1 Talk_2010 3.5 6 <o,f0,male> good night"]
TRAIN_SETS = "librispeech/train-clean-100 tedlium/train voxforge"
SETS = ["--train_sets", TRAIN_SETS, "--dev_sets", "librispeech/dev-clean", "--test_sets", ""]
MINE = "librispeech/mine"

FAST = "model.gru_units=4 model.gru_layers=1 model.channels=2 training.max_epochs=1"


@pytest.fixture
def tree(tmp_path):
    """A copy of egs/asr that can be written to, and releases of three corpora in `releases`."""
    copy_recipes(tmp_path)
    releases = tmp_path / "releases"
    write_librispeech(releases / "LibriSpeech", "train-clean-100", {"7-1-0000": "ONE", "8-1-0000": "TWO"}, seed=1)
    write_librispeech(releases / "LibriSpeech", "dev-clean", {"9-1-0000": "THREE"}, seed=2)
    write_librispeech(releases / "LibriSpeech", "none", {"7-1-0000": "A", "8-1-0000": "B", "9-1-0000": "C"})
    shutil.rmtree(releases / "LibriSpeech/none")  # SPEAKERS.TXT of all is what it was for
    write_tedlium(releases / "TEDLIUM_release2", "train", {"Talk_2010": STM}, seed=3)
    write_submission(releases / "VoxForge", "7-20080318-kdl", {"a1": "Don't, please."}, "prompts-original", seed=4)
    return tmp_path


def run(tree, *options):
    return run_recipe(tree, "asr", *ONE_CPU, "--partial", "true", "--stop_stage", "1", *options)


def check_data(data):
    assert DataDir(data / "train").table("text") == {
        "librispeech-7-1-0000": "one",
        "librispeech-8-1-0000": "two",
        "tedlium-Talk_2010-Talk_2010-0000100-0000350": "it's late",
        "tedlium-Talk_2010-Talk_2010-0000350-0000600": "good night",
        "voxforge-7-20080318-kdl-a1": "don't please",
    }
    assert DataDir(data / "train").table("spk2gender") == {
        "librispeech-7": "f",
        "librispeech-8": "m",
        "tedlium-Talk_2010": "m",
        "voxforge-7": "m",
    }
    assert DataDir(data / "train").table("segments")["librispeech-8-1-0000"] == "librispeech-8-1-0000 0 1.5000"
    assert DataDir(data / "dev").utterances == ["librispeech-9-1-0000"]


def test_three_corpora_from_disk(tree):
    releases = tree / "releases"
    roots = {"librispeech": "LibriSpeech", "tedlium": "TEDLIUM_release2", "voxforge": "VoxForge"}
    options = [word for corpus, name in roots.items() for word in (f"--{corpus}_root", releases / name)] + SETS
    for model, stage in (("deepspeech", "0"), ("small", "2")):
        done = run(
            tree, *options, "--stage", stage, "--stop_stage", "4", "--model", model, "--set", FAST, "--tag", "fast"
        )
        assert done.returncode == 0, done.stdout + done.stderr
        check_data(tree / "egs/asr/data")
        assert (tree / "egs/asr/data/train/feats").exists() == (model == "small")  # the other needs no archives
        exp = tree / f"egs/asr/exp/{model}_char_fast"
        assert len(Tokens(exp / "tokens.model")) == 28
        assert "| dev | 1 | 0.00 |" in (exp / "RESULTS.md").read_text()
        assert (exp / "decode_dev/text").read_text().startswith("librispeech-9-1-0000")
    made = (tree / "egs/asr/data/sets/voxforge/text").stat().st_mtime_ns

    again = run(tree, *options, "--stage", "1")
    assert again.returncode == 0, again.stdout + again.stderr
    assert (tree / "egs/asr/data/sets/voxforge/text").stat().st_mtime_ns == made
    longer = run(tree, *options, "--stage", "1", "--min_seconds", "2", "--data", "data/long")
    assert longer.returncode == 1 and "no utterance is left" in longer.stderr
    whole = run(tree, *options, "--stage", "1", "--partial", "false", "--data", "data/whole")
    assert whole.returncode == 1 and "train-clean-100     28539      2" in whole.stderr


@pytest.fixture
def server(tree):
    """Serves archives of the releases as the publishers have them; yields its address and their sha256 sums."""
    site, releases = tree / "site", tree / "releases"
    site.mkdir()
    for part in ("train-clean-100", "dev-clean"):
        (tree / part).mkdir()
        shutil.copytree(releases / "LibriSpeech" / part, tree / part / "LibriSpeech" / part)
        shutil.copy(releases / "LibriSpeech/SPEAKERS.TXT", tree / part / "LibriSpeech")
        pack(tree / part / "LibriSpeech", site / f"{part}.tar.gz")
    pack(releases / "TEDLIUM_release2", site / "TEDLIUM_release2.tar.gz")
    pack(releases / "VoxForge/7-20080318-kdl", site / "7-20080318-kdl.tgz")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=site)) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in site.glob("*.tar.gz")}
        yield f"http://127.0.0.1:{running.server_address[1]}", sums
        running.shutdown()
        thread.join()


def test_three_corpora_from_a_server(tree, server, monkeypatch):
    address, sums = server
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("LIBRISPEECH_URL", address)
    monkeypatch.setenv("TEDLIUM_URL", f"{address}/TEDLIUM_release2.tar.gz")
    monkeypatch.setenv("VOXFORGE_URL", address)
    done = run(tree, *SETS, "--download", "true")
    assert done.returncode == 1 and "dev-clean.tar.gz: not the expected file: its sha256 is" in done.stderr, done.stderr

    replace_sums(tree / "egs/asr/local", sums)
    for _ in range(2):
        done = run(tree, *SETS, "--download", "true")
        assert done.returncode == 0, done.stdout + done.stderr
    assert "librispeech/dev-clean is there" in done.stdout and "TED-LIUM is in downloads/tedlium" in done.stdout
    check_data(tree / "egs/asr/data")
    downloads = tree / "egs/asr/downloads"
    assert sorted(path.name for path in (downloads / "librispeech").iterdir() if path.is_dir()) == [
        "dev-clean",
        "train-clean-100",
    ]
    assert sorted(path.name for path in downloads.iterdir()) == [
        "TEDLIUM_release2.tar.gz",
        "librispeech",
        "tedlium",
        "voxforge",
    ]


def replace_sums(scripts, sums):
    """Writes the sums of the small archives into the scripts, where those of the real ones are."""
    lines = (scripts / "get_librispeech.sh").read_text().splitlines(keepends=True)
    for name, digest in sums.items():
        part = f"  [{name.removesuffix('.tar.gz')}]="
        lines = [f"{part}{digest}\n" if line.startswith(part) else line for line in lines]
    (scripts / "get_librispeech.sh").write_text("".join(lines))
    lines = (scripts / "get_tedlium.sh").read_text().splitlines(keepends=True)
    lines = [f"sha256={sums['TEDLIUM_release2.tar.gz']}\n" if line.startswith("sha256=") else line for line in lines]
    (scripts / "get_tedlium.sh").write_text("".join(lines))


def test_the_checksums_are_torchaudios():
    from torchaudio.datasets import librispeech, tedlium

    script = (ROOT / "egs/asr/local/get_librispeech.sh").read_text()
    assert len(librispeech._CHECKSUMS) == 7
    for url, digest in librispeech._CHECKSUMS.items():
        assert f"  [{Path(url).name.removesuffix('.tar.gz')}]={digest}\n" in script
    assert tedlium._RELEASE_CONFIGS["release2"]["checksum"] in (ROOT / "egs/asr/local/get_tedlium.sh").read_text()


@pytest.mark.parametrize(
    "options, message",
    [
        ([], "librispeech is not there; pass --librispeech_root DIR, or --download true, or leave it out of the sets"),
        (["--librispeech_root", "nowhere"], "--librispeech_root nowhere: no such folder"),
        (["--stage", "1"], "downloads/librispeech is missing; stage 0 makes it"),
        (
            ["--download", "true", "--train_sets", MINE, "--dev_sets", MINE, "--test_sets", ""],
            "mine is not a subset of LibriSpeech: ",
        ),
    ],
)
def test_wrong_calls_say_what_is_wrong(tree, options, message):
    done = run(tree, *options)
    assert done.returncode == 1
    assert message in done.stderr and "Traceback" not in done.stderr
    assert not (tree / "egs/asr/data").exists()


def test_the_same_recordings_in_training_and_test_are_refused(tree):
    sets = "librispeech/dev-clean"
    options = ["--train_sets", "librispeech/train-clean-100", "--dev_sets", sets, "--test_sets", sets]
    done = run(tree, "--librispeech_root", tree / "releases/LibriSpeech", *options)
    assert done.returncode == 1
    assert "1 recordings are in more than one of data/{train,dev,test}; choose other sets" in done.stderr
    assert not (tree / "egs/asr/exp").exists()
