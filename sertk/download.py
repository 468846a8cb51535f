"""Downloads that survive a cut connection, with checksums, and safe unpacking."""

import contextlib
import fcntl
import http.client
import logging
import os
import re
import shutil
import stat
import sys
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from sertk.command import progress
from sertk.errors import SertkError
from sertk.files import file_digest

logger = logging.getLogger(__name__)

BLOCK = 1 << 18
PASSING = {408, 429, 500, 502, 503, 504}  # HTTP statuses that may be gone at the next try


class Interrupted(Exception):
    """The server stopped early or did not answer; another attempt may go on from there."""


def fetch(url, destination, md5, attempts=5, pause=2.0, timeout=60.0):
    """Downloads `url` to `destination` and verifies its md5 (hexadecimal).

    What has arrived stays in `destination`.part, and a later attempt or call goes on from there;
    `attempts` in a row that bring nothing end it, with a growing pause (seconds) between them.
    Raises SertkError if the file cannot be had, or is not the one that `md5` promises (it is then
    renamed to `destination`.wrong-md5).
    """
    destination = Path(destination)
    if destination.exists():
        verify(destination, md5, destination)
        logger.info("%s is there already, its md5 is right", destination)
        return
    part = destination.with_name(destination.name + ".part")
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with open(part, "ab", buffering=0) as handle:
            lock(handle, part)
            receive(url, handle, part, attempts, pause, timeout)
            os.fsync(handle.fileno())
            verify(part, md5, destination)
            os.replace(part, destination)
    except OSError as error:
        raise SertkError(f"{error.filename or part}: {error.strerror or error}") from error
    logger.info("%s: downloaded, its md5 is right", destination)


def lock(handle, part):
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SertkError(f"{part}: another process is downloading this file, wait for it") from None


def receive(url, handle, part, attempts, pause, timeout):
    """Appends what is missing of `url` to the open file, attempt after attempt."""
    logger.info("downloading %s", url)
    failures = 0
    while True:
        before = handle.seek(0, os.SEEK_END)
        try:
            return append_rest(url, handle, before, timeout)
        except Interrupted as error:
            done = handle.seek(0, os.SEEK_END)
            failures = 1 if done > before else failures + 1
            message = f"{url}: {error}, {done} bytes are in {part}"
            if failures >= attempts:
                raise SertkError(f"{message}; run the command again to go on from there") from error
            logger.info("%s; trying again", message)
            time.sleep(pause * failures)


def append_rest(url, handle, done, timeout):
    """Asks for the bytes from `done` on and appends them; raises Interrupted if some are missing."""
    with open_url(url, done, timeout) as response:
        if response is None:
            return  # nothing is missing; the checksum judges what is there
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
def open_url(url, done, timeout):
    """The response to a request for the bytes from `done` on, or None if there are none (status 416)."""
    headers = {"User-Agent": "sertk", **({"Range": f"bytes={done}-"} if done else {})}
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in PASSING:
            raise Interrupted(f"the server answered {error.code} {error.reason}") from error
        if error.code != 416 or not done:
            raise SertkError(f"{url}: the server answered {error.code} {error.reason}") from error
        response = None
    except (OSError, http.client.HTTPException) as error:
        raise Interrupted(f"no answer ({getattr(error, 'reason', error)})") from error
    except ValueError as error:
        raise SertkError(f"{url}: {error}") from error
    with response or contextlib.nullcontext():
        yield response


def content_range(url, response):
    """The first byte and the size of the whole file (0: unknown) of a partial answer."""
    header = response.headers.get("Content-Range", "")
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", header.strip())
    if not match:
        raise SertkError(f"{url}: the server sent a part with the unreadable Content-Range '{header}'")
    return int(match[1]), 0 if match[2] == "*" else int(match[2])


def read_block(response):
    try:
        return response.read(BLOCK)
    except http.client.IncompleteRead as error:
        return error.partial
    except (OSError, http.client.HTTPException) as error:
        raise Interrupted(f"the connection was lost ({error})") from error


def verify(path, md5, destination):
    """Raises SertkError if the md5 of `path` is another, after renaming it to `destination`.wrong-md5."""
    found = file_digest(path, "md5")
    if found != md5.lower():
        aside = destination.with_name(destination.name + ".wrong-md5")
        os.replace(path, aside)
        raise SertkError(
            f"{destination}: not the expected file: its md5 is {found}, should be {md5}; "
            f"it is now {aside}, run the command again to get it anew"
        )


def extract_zip(archive, folder):
    """Unpacks a zip file to `folder`, which appears only when everything is unpacked.

    A folder that is there already is left as it is. Raises SertkError for a damaged archive and for
    members that would lie outside the folder, or are links.
    """
    archive, folder = Path(archive), Path(folder)
    if folder.is_dir() and any(folder.iterdir()):
        logger.info("%s is there already, not unpacked again", folder)
        return
    aside = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        with zipfile.ZipFile(archive) as members:
            refuse_unsafe(members.infolist(), archive)
            aside.mkdir(parents=True)
            for member in progress(members.infolist(), f"unpacking {archive.name}"):
                members.extract(member, aside)
        os.replace(aside, folder)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise SertkError(f"{archive}: not a zip file that can be unpacked: {error}") from error
    except OSError as error:
        raise SertkError(f"{error.filename or archive}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    logger.info("%s: unpacked", folder)


def refuse_unsafe(members, archive):
    """Raises SertkError for a member that could write outside the folder it is unpacked to."""
    for member in members:
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts:
            raise SertkError(f"{archive}: the member '{member.filename}' would lie outside the folder")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise SertkError(f"{archive}: the member '{member.filename}' is a link")
