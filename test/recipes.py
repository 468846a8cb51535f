"""Copies of the recipes in a folder of their own, run as users run them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from patience import HOUR

ROOT = Path(__file__).resolve().parents[1]
ONE_CPU = ["--nj", "1", "--ngpu", "0", "--num_threads", "1"]


def copy_recipes(tree):
    """Copies egs/ to `tree`, without what recipes have left there, and gives it utils/; returns `tree`."""
    ignored = shutil.ignore_patterns("data", "exp", "downloads", "log")
    shutil.copytree(ROOT / "egs", tree / "egs", symlinks=True, ignore=ignored)
    (tree / "utils").symlink_to(ROOT / "utils")
    return tree


def environment_of_recipes():
    return {**os.environ, "SERTK_PYTHON": sys.executable, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def run_recipe(tree, recipe, *options, **environment):
    """Runs egs/RECIPE/run.sh of a tree on this machine to its end."""
    return subprocess.run(
        ["./run.sh", *map(str, options)],
        cwd=tree / "egs" / recipe,
        env={**environment_of_recipes(), "CMD_BACKEND": "local", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=HOUR,
    )
