"""How PyTorch's threads wait for each other."""

import os
import re
import subprocess
import sys

import pytest

NAMES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


@pytest.mark.parametrize(
    "own, expected", [({}, "1000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "passive"}, "0")]
)
def test_they_sleep_soon_unless_the_user_says_else(own, expected):
    environment = {key: value for key, value in os.environ.items() if key not in NAMES}
    shown = subprocess.run(
        [sys.executable, "-c", "import sertk, torch"],
        env={**environment, **own, "OMP_DISPLAY_ENV": "verbose"},
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    assert re.search(r"GOMP_SPINCOUNT = '(\d+)'", shown)[1] == expected
