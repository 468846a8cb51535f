"""Downloads that survive a cut connection, with checksums, and safe unpacking."""

import contextlib
import html
import http.client
import logging
import lzma
import os
import re
import shutil
import stat
import sys
import tarfile
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from tqdm import tqdm

from sertk.core.command import progress
from sertk.core.errors import SertkError
from sertk.core.files import PathLike, file_digest, folder_aside, remove_leftovers
from sertk.core.locks import try_lock

log = logging.getLogger(__name__)

BLOCK = 1 << 18
DIGESTS = {32: "md5", 64: "sha256"}  # by their hexadecimal digits
TIMEOUT = 60.0  # seconds without an answer
PASSING = {408, 429, 500, 502, 503, 504}  # HTTP statuses that may be gone at the next try


class Interrupted(Exception):
    """The server stopped early or did not answer; another attempt may go on from there."""


class Complete(Exception):
    """Nothing is missing of what was asked for."""


def fetch(
    url: str, destination: PathLike, digest: str | None, attempts: int = 5, pause: float = 2.0, timeout: float = TIMEOUT
) -> None:
    """Downloads `url` to `destination` and verifies its md5 or sha256 (hexadecimal; None: none is known).

    What has arrived stays in `destination`.part, and a later attempt or call goes on from there;
    `attempts` in a row that bring nothing end it, with a growing pause (seconds) between them.
    Raises SertkError if the file cannot be had, or is not the one that `digest` promises (it is then
    renamed to `destination`.wrong-md5 or .wrong-sha256).
    """
    destination = Path(destination)
    verdict = f"its {DIGESTS[len(digest)]} is right" if digest else "no checksum of it is known"
    if destination.exists():
        verify(destination, digest, destination)
        log.info("%s is there already, %s", destination, verdict)
        return
    unfinished = destination.with_name(destination.name + ".part")
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with open(unfinished, "ab", buffering=0) as handle:
            if not try_lock(handle, unfinished):
                raise SertkError(f"{unfinished}: another process is downloading this file, wait for it")
            receive(url, handle, unfinished, attempts, pause, timeout)
            os.fsync(handle.fileno())
            verify(unfinished, digest, destination)
            os.replace(unfinished, destination)
    except OSError as error:
        raise SertkError(f"{error.filename or unfinished}: {error.strerror or error}") from error
    log.info("%s: downloaded, %s", destination, verdict)


def receive(url: str, handle: BinaryIO, unfinished: Path, attempts: int, pause: float, timeout: float) -> None:
    """Appends what is missing of `url` to the open file, attempt after attempt."""
    log.info("downloading %s", url)
    failures = 0
    while True:
        before = handle.seek(0, os.SEEK_END)
        try:
            return append_rest(url, handle, before, timeout)
        except Complete:
            return  # the checksum judges what is there
        except Interrupted as error:
            done = handle.seek(0, os.SEEK_END)
            failures = 1 if done > before else failures + 1
            message = f"{url}: {error}, {done} bytes are in {unfinished}"
            if failures >= attempts:
                raise SertkError(f"{message}; run the command again to go on from there") from error
            log.info("%s; trying again", message)
            time.sleep(pause * failures)


def append_rest(url: str, handle: BinaryIO, done: int, timeout: float) -> None:
    """Asks for the bytes from `done` on and appends them; raises Interrupted if some are missing."""
    with open_url(url, done, timeout) as response:
        if response.status == 206:
            start, total = content_range(url, response)
            if start != done:
                raise SertkError(f"{url}: asked for the bytes from {done} on, got them from {start} on")
        else:
            handle.truncate(0)  # a server that cannot resume sends everything again
            done, total = 0, int(response.headers.get("Content-Length") or 0)
        with tqdm(
            desc=Path(handle.name).stem,
            total=total or None,
            initial=done,
            unit="B",
            unit_scale=True,
            disable=not sys.stderr.isatty(),
            leave=False,
        ) as bar:
            while block := read_block(response):
                handle.write(block)
                bar.update(len(block))
    if handle.seek(0, os.SEEK_END) < total:
        raise Interrupted("the connection was cut")


@contextlib.contextmanager
def open_url(url: str, done: int, timeout: float) -> Iterator[http.client.HTTPResponse]:
    """The response to a request for the bytes from `done` on; raises Complete if there are none (status 416)."""
    headers = {"User-Agent": "sertk", **({"Range": f"bytes={done}-"} if done else {})}
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in PASSING:
            raise Interrupted(f"the server answered {error.code} {error.reason}") from error
        if error.code == 416 and done:
            raise Complete from error
        raise SertkError(f"{url}: the server answered {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        raise Interrupted(f"no answer ({getattr(error, 'reason', error)})") from error
    except ValueError as error:
        raise SertkError(f"{url}: {error}") from error
    with response:
        yield response


def content_range(url: str, response: http.client.HTTPResponse) -> tuple[int, int]:
    """The first byte and the size of the whole file (0: unknown) of a partial answer."""
    header = response.headers.get("Content-Range", "")
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", header.strip())
    if not match:
        raise SertkError(f"{url}: the server sent a part with the unreadable Content-Range '{header}'")
    return int(match[1]), 0 if match[2] == "*" else int(match[2])


def read_block(response: http.client.HTTPResponse) -> bytes:
    """At most BLOCK bytes, none at the end; raises Interrupted where the connection is lost."""
    try:
        return response.read(BLOCK)
    except http.client.IncompleteRead as error:
        return error.partial
    except (OSError, http.client.HTTPException) as error:
        raise Interrupted(f"the connection was lost ({error})") from error


def verify(path: Path, digest: str | None, destination: Path) -> None:
    """Raises SertkError if `path` has another digest, after renaming it to `destination`.wrong-md5 (or -sha256)."""
    if digest is None:
        return
    name = DIGESTS[len(digest)]
    found = file_digest(path, name)
    if found != digest.lower():
        aside = destination.with_name(f"{destination.name}.wrong-{name}")
        os.replace(path, aside)
        raise SertkError(
            f"{destination}: not the expected file: its {name} is {found}, should be {digest}; "
            f"it is now {aside}, run the command again to get it anew"
        )


def list_links(url: str, suffix: str) -> list[str]:
    """The sorted names of the files ending in `suffix` that the web page `url` links to, all beside itself.

    Raises SertkError if the page cannot be had, or links to none.
    """
    try:
        with open_url(url, 0, TIMEOUT) as response:
            page = response.read().decode("utf-8", "replace")
    except (Interrupted, OSError, http.client.HTTPException) as error:
        raise SertkError(f"{url}: {error}") from error
    links = re.findall(r'href="([^"]*)"', page, re.IGNORECASE)
    links = {urllib.parse.unquote(html.unescape(link)) for link in links}
    names = sorted(link for link in links if link.endswith(suffix) and re.fullmatch(r"\w[\w.+~-]*", link))
    if not names:
        raise SertkError(f"{url}: the page links to no {suffix} file")
    return names


def fetch_listed(url: str, suffix: str, folder: PathLike, **settings: Any) -> None:
    """Downloads what `list_links` finds to `folder`; files that are there already are kept.

    `settings` are those of `fetch`. Raises SertkError naming the files that could not be had, after the others.
    """
    url = url.rstrip("/") + "/"
    names, failed = list_links(url, suffix), []
    for name in progress(names, "downloading"):
        if not (Path(folder) / name).exists():
            try:
                fetch(url + urllib.parse.quote(name), Path(folder) / name, None, **settings)
            except SertkError as error:
                failed.append(error)
    if failed:
        raise SertkError(f"{len(failed)} of {len(names)} files could not be had, run the command again: {failed[0]}")
    log.info("%s: all %d files that %s lists", folder, len(names), url)


def extract(archive: PathLike, folder: PathLike) -> None:
    """Unpacks a zip or tar file to `folder`, which appears only when everything is unpacked.

    A folder that is there already is left as it is. No two processes may unpack to one folder at once: a lock would
    leave a file for each of the thousands of archives of some corpora. Raises SertkError for a damaged archive and for
    members that would lie outside the folder, or are links.
    """
    archive, folder = Path(archive), Path(folder)
    if folder.is_dir() and any(folder.iterdir()):
        log.info("%s is there already, not unpacked again", folder)
        return
    kind, unpack = ("zip", unpack_zip) if archive.suffix == ".zip" else ("tar", unpack_tar)
    try:
        remove_leftovers(folder)
        with folder_aside(folder) as aside:
            unpack(archive, aside)
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        lzma.LZMAError,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
    ) as error:
        raise SertkError(f"{archive}: not a {kind} file that can be unpacked: {error}") from error
    except OSError as error:
        raise SertkError(f"{error.filename or archive}: {error.strerror or error}") from error
    log.info("%s: unpacked", folder)


def unpack_zip(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as members:
        for member in members.infolist():
            refuse_unsafe(member.filename, stat.S_ISLNK(member.external_attr >> 16), archive)
        for member in progress(members.infolist(), f"unpacking {archive.name}"):
            members.extract(member, folder)


def unpack_tar(archive: Path, folder: Path) -> None:
    """Member by member in the order of the file, as reading a large tar.gz twice takes minutes."""
    with tarfile.open(archive) as members:
        for member in progress(members, f"unpacking {archive.name}"):
            refuse_unsafe(member.name, not (member.isfile() or member.isdir()), archive)
            path = folder / member.name
            (path if member.isdir() else path.parent).mkdir(parents=True, exist_ok=True)
            if source := members.extractfile(member):
                with source, open(path, "wb") as target:
                    shutil.copyfileobj(source, target)
        while members.fileobj.read(BLOCK):  # to the end, where gzip has its checksum
            pass


def refuse_unsafe(name: str, is_link: bool, archive: Path) -> None:
    """Raises SertkError for a member that could write outside the folder it is unpacked to."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts:
        raise SertkError(f"{archive}: the member '{name}' would lie outside the folder")
    if is_link:
        raise SertkError(f"{archive}: the member '{name}' is a link, or no file at all")
