"""Which device a command computes on."""

import ctypes
from typing import TYPE_CHECKING

from threadpoolctl import threadpool_limits

from sertk.core.errors import SertkError

if TYPE_CHECKING:
    import torch

# Numbers of glibc's malloc.h
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
EXPECTED = "expected auto, cpu, cuda or cuda:N"


def find_device(name: "str | torch.device") -> "torch.device":
    """The torch device `auto`, `cpu`, `cuda` or `cuda:N`, or a torch device; SertkError for one that is not there."""
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise SertkError(f"--device {name}: {EXPECTED}") from error
    if device.type not in ("cpu", "cuda"):
        raise SertkError(f"--device {name}: {EXPECTED}")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise SertkError(f"--device {name}: this machine has {torch.cuda.device_count()} GPUs that torch can use")
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
    return device


def keep_freed_memory() -> None:
    """Lets the process keep large freed buffers for the next update, where the C library is glibc.

    Otherwise they go back to the system and are mapped anew, page by page, in every update of a training and for every
    recording: a tenth of a large update's time, half of a small one's, a third of an F0 track's.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def torch_threads() -> threadpool_limits:
    """A block in which the libraries that were loaded before it take as many threads as torch."""
    import torch

    return threadpool_limits(torch.get_num_threads())
