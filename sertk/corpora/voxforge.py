"""VoxForge: sentences that volunteers recorded and uploaded, a folder or .tgz per submission (voxforge.org)."""

import logging
import re
from collections.abc import Sequence
from pathlib import Path

from sertk.core.command import progress
from sertk.core.download import extract
from sertk.core.errors import SertkError
from sertk.core.files import PathLike
from sertk.core.names import compared_form
from sertk.corpora.base import Utterance, refuse_gaps
from sertk.corpora.transcribed import LONGEST, SHORTEST, clean_name, write_transcribed
from sertk.kaldi.datadir import split_line

log = logging.getLogger(__name__)

SUBMISSION = re.compile(r"(.+)-(\d{8}-\w+)")  # user, date and a code
PROMPTS = ("PROMPTS", "prompts-original")
AUDIO = ("wav", "flac")  # folders, and the endings of the files in them
GENDER = re.compile(r"^\W*Gender\W+(male|female)\b", re.IGNORECASE | re.MULTILINE)


def prepare(
    root: PathLike,
    datadir: PathLike,
    partial: bool = False,
    threads: int | None = None,
    min_seconds: float = SHORTEST,
    max_seconds: float = LONGEST,
) -> None:
    """Writes the data folder of all submissions under `root`; archives are unpacked to DATADIR/unpacked.

    Users are speakers, named `voxforge-...`, but every submission of the user `anonymous` has its own.
    What is not usable, of a collection that nobody checked, is left out and counted: prompts without audio, audio
    without a prompt, unreadable recordings. Raises SertkError for damaged archives unless `partial`.
    """
    unpack_all(root, Path(datadir) / "unpacked", partial)
    utterances, dropped = read_submissions([Path(root), Path(datadir) / "unpacked"])
    lengths = min_seconds, max_seconds
    write_transcribed(utterances, datadir, dropped=dropped, lengths=lengths, threads=threads)


def unpack_all(root: PathLike, folder: Path, partial: bool) -> None:
    """Unpacks the archives of `root` whose submission is no folder there; raises SertkError for damaged ones."""
    archives = [path for path in sorted(Path(root).glob("*.tgz")) if not path.with_suffix("").is_dir()]
    errors = []
    for archive in progress(archives, "unpacking"):
        try:
            extract(archive, folder / archive.stem)
        except SertkError as error:
            errors.append(error)
    refuse_gaps(errors, "archives cannot be unpacked", root, partial, "remove them and get them again")


def read_submissions(roots: Sequence[Path]) -> tuple[list[Utterance], dict[str, str]]:
    """The Utterances of all submissions, folders with `etc` anywhere under `roots`, and {name: why it is left out}."""
    folders = sorted({path.parent for root in roots for path in root.glob("**/etc") if path.is_dir()})
    if not folders:
        raise SertkError(f"{roots[0]}: no submissions, which are folders that hold etc/PROMPTS, or .tgz of such")
    utterances, dropped, users = [], {}, {}
    for folder in folders:
        utterances += read_submission(folder, dropped, users)
    return utterances, dropped


def read_submission(folder: Path, dropped: dict[str, str], users: dict[str, str]) -> list[Utterance]:
    """The Utterances of a submission; what is not usable of it is entered in `dropped`, `users` as of `names_of`."""
    prefix, speaker = names_of(folder.name, users)
    paths = [path for kind in AUDIO for path in sorted((folder / kind).glob(f"*.{kind}"))]
    recordings = {clean_name(path.stem): path for path in paths}
    prompts = read_prompts(folder, prefix, dropped)
    readme = folder / "etc/README"
    gender = GENDER.search(readme.read_text(encoding="utf-8", errors="replace")) if readme.is_file() else None
    for name in recordings.keys() - prompts.keys():
        dropped.setdefault(f"{prefix}-{name}", f"audio without a prompt: {recordings[name]}")
    for name in prompts.keys() - recordings.keys():
        dropped[f"{prefix}-{name}"] = f"prompt without audio: {folder}"
    return [
        Utterance(
            utt=f"{prefix}-{name}",
            speaker=speaker,
            path=recordings[name],
            labels={},
            text=text,
            gender=gender and gender[1][0].lower(),
        )
        for name, text in prompts.items()
        if name in recordings
    ]


def names_of(submission: str, users: dict[str, str]) -> tuple[str, str]:
    """What the names of a submission's utterances begin with, and its speaker.

    Users whose names differ in capitals are one, called as the first of `users`, {compared form: name}.
    """
    fields = SUBMISSION.fullmatch(submission)
    if not fields or fields[1].lower() == "anonymous":
        speaker = f"voxforge-{clean_name(submission)}"
        return speaker, speaker
    user = users.setdefault(compared_form(fields[1]), fields[1])
    speaker = f"voxforge-{clean_name(user)}"
    return f"{speaker}-{fields[2]}", speaker


def read_prompts(folder: Path, prefix: str, dropped: dict[str, str]) -> dict[str, str]:
    """{name: text} from lines `DIR/mfc/NAME TEXT` or `NAME TEXT`; names with two texts are entered in `dropped`."""
    path = next((folder / "etc" / name for name in PROMPTS if (folder / "etc" / name).is_file()), None)
    texts, doubtful = {}, set()
    content = path.read_text(encoding="utf-8", errors="replace") if path else ""
    for line in content.splitlines():
        name, text = split_line(line.strip())
        name = clean_name(name.rpartition("/")[2])
        if name and texts.setdefault(name, text) != text:
            doubtful.add(name)
    dropped |= {f"{prefix}-{name}": f"two prompts: {path}" for name in doubtful}
    return {name: text for name, text in texts.items() if name not in doubtful}
