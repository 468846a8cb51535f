"""Which device is meant by a name."""

import pytest
import torch

from sertk.core.device import find_device
from sertk.core.errors import SertkError


def test_cpu_is_a_name_and_a_device():
    assert find_device("cpu") == find_device(torch.device("cpu")) == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "mps", "meta", "cuda:-1", "", None])
def test_what_nothing_can_be_trained_on_is_refused(name):
    with pytest.raises(SertkError, match=f"--device {name}: expected auto, cpu, cuda or cuda:N"):
        find_device(name)
