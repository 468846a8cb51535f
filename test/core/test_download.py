import hashlib
import http.server
import io
import logging
import re
import stat
import tarfile
import threading
import zipfile

import pytest

from sertk.bin import download as command
from sertk.bin import download_listed
from sertk.core.download import extract, fetch, fetch_listed
from sertk.core.errors import SertkError

CONTENT = bytes(range(256)) * 4000
MD5 = hashlib.md5(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT, and a page of links as the root; the server's `behaviour` says how badly."""

    def do_GET(self):
        behaviour, requested = self.server.behaviour, self.headers.get("Range")
        if self.path == "/":
            self.send_response(200)
            self.end_headers()
            return self.wfile.write(behaviour["page"].encode())
        if self.path in behaviour.get("missing", ()):
            return self.send_error(404)
        self.server.ranges.append(requested)
        if behaviour.get("status"):
            return self.send_error(behaviour["status"])
        start = int(re.fullmatch(r"bytes=(\d+)-", requested)[1]) if requested else 0
        if start and behaviour.get("resumes", True):
            if start >= len(CONTENT):
                return self.send_error(416)
            self.send_response(206)
            shown = start + behaviour.get("shift", 0)
            self.send_header("Content-Range", f"bytes {shown}-{len(CONTENT) - 1}/{len(CONTENT)}")
        else:
            start = 0
            self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        end = len(CONTENT)
        if behaviour.get("cuts", 0) > 0:
            behaviour["cuts"] -= 1
            end = min(end, start + behaviour["cut_after"])
        self.wfile.write(CONTENT[start:end])

    def log_message(self, *args):
        pass


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.behaviour, running.ranges = {}, []
        running.url = f"http://127.0.0.1:{running.server_address[1]}/corpus.zip"
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def target(tmp_path):
    return tmp_path / "downloads/corpus.zip"


def names_beside(target):
    return sorted(path.name for path in target.parent.iterdir())


def test_whole_download(server, target):
    fetch(server.url, target, MD5.upper())
    assert target.read_bytes() == CONTENT
    assert names_beside(target) == ["corpus.zip"]
    fetch(server.url, target, MD5)
    assert server.ranges == [None]


def test_other_checksums(server, target, caplog):
    caplog.set_level(logging.INFO)
    fetch(server.url, target, hashlib.sha256(CONTENT).hexdigest())
    assert "its sha256 is right" in caplog.text
    with pytest.raises(SertkError, match=f"its sha256 is {hashlib.sha256(CONTENT).hexdigest()}, should be {'0' * 64}"):
        fetch(server.url, target, "0" * 64)
    assert names_beside(target) == ["corpus.zip.wrong-sha256"]
    fetch(server.url, target, None)
    assert target.read_bytes() == CONTENT
    assert "downloaded, no checksum of it is known" in caplog.text


PAGE = """<html><a href="?C=N;O=D">Name</a> <a HREF="/downloads/">Parent</a> <a href="../up.tgz">x</a>
<a href="ann-20080318-kdl.tgz">ann</a> <a href="b%2Bc-20090101-x.tgz">b</a> <a href="ann-20080318-kdl.tgz">again</a>
<a href="%2e%2e%2fevil.tgz">x</a> <a href="http://elsewhere/y.tgz">y</a> <a href="notes.txt">z</a></html>"""


def test_files_that_a_page_lists(server, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    server.behaviour.update(page=PAGE, missing=["/b%2Bc-20090101-x.tgz"])
    page = server.url.removesuffix("/corpus.zip")
    with pytest.raises(SertkError, match=r"1 of 2 files could not be had, run the command again: .*x.tgz: .* 404"):
        fetch_listed(page, ".tgz", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").glob("*.tgz")] == ["ann-20080318-kdl.tgz"]
    server.behaviour.update(missing=[], cuts=1, cut_after=300_000)
    fetch_listed(f"{page}/", ".tgz", tmp_path / "out", pause=0)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["ann-20080318-kdl.tgz", "b+c-20090101-x.tgz"]
    assert (tmp_path / "out/b+c-20090101-x.tgz").read_bytes() == CONTENT
    assert len(server.ranges) == 3  # what is there already is not asked for
    assert "all 2 files" in caplog.text
    assert download_listed.main([page, str(tmp_path / "out"), "--suffix", ".ogg"]) == 1


def test_cut_connection_is_resumed(server, target):
    server.behaviour.update(cuts=2, cut_after=300_000)
    fetch(server.url, target, MD5, pause=0)
    assert target.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=300000-", "bytes=600000-"]


def test_a_later_call_goes_on(server, target):
    server.behaviour.update(cuts=1, cut_after=300_000)
    with pytest.raises(SertkError, match=r"300000 bytes are in .*\.part; run the command again"):
        fetch(server.url, target, MD5, attempts=1, pause=0)
    assert names_beside(target) == ["corpus.zip.part"]
    fetch(server.url, target, MD5)
    assert target.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=300000-"]


def test_attempts_without_progress_end(server, target):
    server.behaviour.update(cuts=100, cut_after=0)
    with pytest.raises(SertkError, match="connection"):
        fetch(server.url, target, MD5, attempts=3, pause=0)
    assert len(server.ranges) == 3


def test_server_that_cannot_resume(server, target):
    target.parent.mkdir()
    target.with_name("corpus.zip.part").write_bytes(b"x" * 1000)
    server.behaviour["resumes"] = False
    fetch(server.url, target, MD5)
    assert target.read_bytes() == CONTENT
    assert server.ranges == ["bytes=1000-"]


def test_part_that_is_complete(server, target):
    target.parent.mkdir()
    target.with_name("corpus.zip.part").write_bytes(CONTENT)
    fetch(server.url, target, MD5)
    assert target.read_bytes() == CONTENT


def test_wrong_checksum_moves_the_file_aside(server, target):
    with pytest.raises(SertkError, match=f"its md5 is {MD5}, should be {'0' * 32}"):
        fetch(server.url, target, "0" * 32)
    assert names_beside(target) == ["corpus.zip.wrong-md5"]


def test_spoiled_part_is_noticed_and_the_next_call_starts_anew(server, target):
    target.parent.mkdir()
    target.with_name("corpus.zip.part").write_bytes(b"x" * 1000)
    with pytest.raises(SertkError, match="not the expected file"):
        fetch(server.url, target, MD5)
    fetch(server.url, target, MD5)
    assert target.read_bytes() == CONTENT


def test_spoiled_file_is_noticed(server, target):
    target.parent.mkdir()
    target.write_bytes(b"spoiled")
    with pytest.raises(SertkError, match="not the expected file"):
        fetch(server.url, target, MD5)
    assert server.ranges == []


@pytest.mark.parametrize("status, requests", [(404, 1), (403, 1), (503, 3)])
def test_refusals(server, target, status, requests):
    server.behaviour["status"] = status
    with pytest.raises(SertkError, match=f"the server answered {status}"):
        fetch(server.url, target, MD5, attempts=3, pause=0)
    assert len(server.ranges) == requests
    assert not target.exists()


def test_wrong_range_is_refused(server, target):
    target.parent.mkdir()
    target.with_name("corpus.zip.part").write_bytes(CONTENT[:1000])
    server.behaviour["shift"] = 5
    with pytest.raises(SertkError, match="asked for the bytes from 1000 on, got them from 1005 on"):
        fetch(server.url, target, MD5)
    assert target.with_name("corpus.zip.part").read_bytes() == CONTENT[:1000]


def test_nobody_answers(server, target):
    port = server.server_address[1]
    server.shutdown()
    server.server_close()
    with pytest.raises(SertkError, match="no answer"):
        fetch(f"http://127.0.0.1:{port}/x", target, MD5, attempts=2, pause=0)
    with pytest.raises(SertkError, match="unknown url type"):
        fetch("no-address", target, MD5)


def test_two_downloads_of_one_file(server, target):
    import fcntl

    target.parent.mkdir()
    with open(target.with_name("corpus.zip.part"), "ab") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(SertkError, match="another process"):
            fetch(server.url, target, MD5)


def write_zip(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def test_extract(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    archive = write_zip(tmp_path / "a.zip", [("Actor_01/one.wav", b"1"), ("Actor_02/two.wav", b"2")])
    (tmp_path / "deep/.out.tmp/left_by_a_killed_run").mkdir(parents=True)
    extract(archive, tmp_path / "deep/out")
    assert sorted(path.name for path in tmp_path.glob("deep/**/*")) == [
        "Actor_01",
        "Actor_02",
        "one.wav",
        "out",
        "two.wav",
    ]
    assert (tmp_path / "deep/out/Actor_02/two.wav").read_bytes() == b"2"
    (tmp_path / "deep/out/Actor_02/two.wav").write_bytes(b"mine")
    extract(archive, tmp_path / "deep/out")
    assert (tmp_path / "deep/out/Actor_02/two.wav").read_bytes() == b"mine"
    assert "not unpacked again" in caplog.text


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/tmp/evil", "..\\evil"])
def test_members_outside_are_refused(tmp_path, name):
    archive = write_zip(tmp_path / "a.zip", [("good", b""), (name, b"")])
    with pytest.raises(SertkError, match="would lie outside"):
        extract(archive, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_links_are_refused(tmp_path):
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive = write_zip(tmp_path / "a.zip", [(link, "/etc")])
    with pytest.raises(SertkError, match="'link' is a link"):
        extract(archive, tmp_path / "out")


def test_damaged_archives_leave_nothing(tmp_path):
    archive = write_zip(tmp_path / "a.zip", [("one", b"1" * 1000), ("two", b"2" * 1000)])
    damaged = bytearray(archive.read_bytes())
    damaged[damaged.index(b"222") + 5] ^= 1
    archive.write_bytes(damaged)
    with pytest.raises(SertkError, match="Bad CRC-32 for file 'two'"):
        extract(archive, tmp_path / "out")
    archive.write_bytes(b"no zip")
    with pytest.raises(SertkError, match="not a zip file"):
        extract(archive, tmp_path / "out")
    with pytest.raises(SertkError, match="No such file"):
        extract(tmp_path / "none.zip", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def write_tar(path, members, mode="w:gz"):
    """`members`: (name, content, type of the member)."""
    with tarfile.open(path, mode) as archive:
        for name, content, kind in members:
            member = tarfile.TarInfo(name)
            member.type, member.size, member.linkname = kind, len(content), "/etc"
            archive.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2"])
def test_tar(tmp_path, mode):
    members = [
        ("top", b"", tarfile.DIRTYPE),
        ("top/one", b"1" * 9999, tarfile.REGTYPE),
        ("else/where/two", b"", tarfile.REGTYPE),
    ]
    archive = write_tar(tmp_path / "a.tar.gz", members, mode)
    extract(archive, tmp_path / "out")
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()) == [
        "a.tar.gz",
        "out/else/where/two",
        "out/top/one",
    ]
    assert (tmp_path / "out/top/one").read_bytes() == b"1" * 9999


@pytest.mark.parametrize(
    "name, kind, message",
    [
        ("../evil", tarfile.REGTYPE, "would lie outside"),
        ("/tmp/evil", tarfile.REGTYPE, "would lie outside"),
        ("link", tarfile.SYMTYPE, "is a link, or no file at all"),
        ("link", tarfile.LNKTYPE, "is a link, or no file at all"),
        ("pipe", tarfile.FIFOTYPE, "is a link, or no file at all"),
    ],
)
def test_unsafe_tar_members_are_refused(tmp_path, name, kind, message):
    archive = write_tar(tmp_path / "a.tar.gz", [("good", b"1", tarfile.REGTYPE), (name, b"", kind)])
    with pytest.raises(SertkError, match=f"the member '{name}' {message}"):
        extract(archive, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar.gz"]


def test_damaged_tars_leave_nothing(tmp_path):
    archive = write_tar(tmp_path / "a.tar.gz", [("one", bytes(range(256)) * 99, tarfile.REGTYPE)])
    content = archive.read_bytes()
    for damaged in (content[:-300], content[:-8] + bytes(4) + content[-4:], b"no tar", b""):
        archive.write_bytes(damaged)
        with pytest.raises(SertkError, match="a.tar.gz: "):
            extract(archive, tmp_path / "out")
        assert [path.name for path in tmp_path.iterdir()] == ["a.tar.gz"]


def test_command(server, tmp_path, target, capsys):
    arguments = [server.url, MD5, str(target)]
    assert command.main(arguments) == 0
    assert command.main([*arguments, "--extract", str(tmp_path / "out")]) == 1
    assert "not a zip file" in capsys.readouterr().err
    assert command.main([server.url, "abc", str(target)]) == 2
