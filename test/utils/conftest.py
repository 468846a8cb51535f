import os
import subprocess
import sys
from pathlib import Path

import pytest
from patience import HOUR

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def run_script(tmp_path):
    """Runs utils/NAME with arguments in an empty folder, as a recipe's environment would."""

    def run(name, *arguments, stdin="", env=(), stdout=subprocess.PIPE):
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            [str(ROOT / "utils" / name), *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "LC_ALL": "C", **dict(env)},
            input=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            timeout=HOUR,
            check=False,
        )

    return run
