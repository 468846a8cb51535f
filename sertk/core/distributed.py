"""Training by several processes, each on its share of every batch: one for each GPU or, on CPUs, node."""

import logging
import os
from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch.distributed.nn.functional import all_reduce


def start(device: torch.device) -> None:
    """Joins the processes that torchrun started, if it did, each on a GPU of its own; one of them logs."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        if device.type == "cuda":
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        if not is_first():
            logging.disable(logging.WARNING)  # the first one says it for all


def world() -> tuple[int, int]:
    """(rank of this process, number of processes)."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def is_first() -> bool:
    """Whether this process is the one that writes."""
    return world()[0] == 0


def wait_for_all() -> None:
    """Returns when all processes are here."""
    if dist.is_initialized():
        dist.barrier()


def leave() -> None:
    """Leaves the processes once all are done: PyTorch's threads may otherwise still run when Python ends, and abort."""
    if dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()


def any_is(flag: bool) -> bool:
    """Whether `flag` is true in any of the processes, so that all of them stop at the same update."""
    if not dist.is_initialized():
        return flag
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    count = torch.tensor(float(flag), device=device)
    dist.all_reduce(count)
    return bool(count)


def summed(tensor: torch.Tensor) -> torch.Tensor:
    """The sum of the processes' tensors, which gradients flow back through to all of them."""
    return all_reduce(tensor) if dist.is_initialized() else tensor


def sum_gradients(parameters: Iterable[torch.Tensor]) -> None:
    """Replaces the gradients of parameters by their sums over the processes."""
    if not dist.is_initialized():
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    for gradient, total in zip(gradients, flat.split([gradient.numel() for gradient in gradients])):
        gradient.copy_(total.view_as(gradient))
