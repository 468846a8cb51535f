"""What a run notes of how it came about: the command line, versions, the machine."""

import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sertk.core.files import PathLike, write_text

if TYPE_CHECKING:
    import torch


def write_command(folder: PathLike) -> None:
    """Writes the command line under way to command.txt."""
    name = Path(sys.argv[0]).name
    write_text(Path(folder) / "command.txt", shlex.join([name, *sys.argv[1:]]) + "\n")


def environment(device: "torch.device") -> dict[str, Any]:
    """Versions, commit and machine, as stored with every run."""
    import torch
    import torchaudio

    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchaudio": torchaudio.__version__,
        "commit": git_commit(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "processors": os.cpu_count(),
        "system": platform.platform(),
    }


def git_commit() -> str | None:
    """The commit of the source this runs from, with `+changes` where files differ from it; None outside a checkout."""
    try:
        commit = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--dirty=+changes", "--exclude=*"],
            cwd=Path(__file__).parent,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit.stdout.strip()
