"""The pages of docs/ that show how sertk grows: what they say is done, in a copy of the project, and works."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```(?:python|yaml|bash)\n# (?P<head>[^\n]+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
LINES = re.compile(r"(?P<file>\S+), (?P<where>in|before) (?P<name>\w+)")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the project."""
    pytest.importorskip("espeakng_loader", reason="espeak-ng's voices are not installed (espeakng-loader)")
    tree = tmp_path_factory.mktemp("tree")
    ignored = shutil.ignore_patterns("data", "exp", "downloads", "log", "__pycache__")
    for name in ("sertk", "egs", "utils"):
        shutil.copytree(ROOT / name, tree / name, symlinks=True, ignore=ignored)
    shutil.copytree(ROOT / "test", tree / "test", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tree)
    return tree


def follow(page, tree, **environment):
    """Writes the page's files and lines into the tree, and runs its commands."""
    blocks = list(BLOCK.finditer((ROOT / "docs" / page).read_text(encoding="utf-8")))
    assert len(blocks) >= 4
    for block in blocks:
        head, body = block["head"], block["body"]
        if head == "run":
            run(body, tree, environment)
        elif lines := LINES.fullmatch(head):
            add_lines(tree / lines["file"], lines["where"], lines["name"], body)
        else:
            assert re.fullmatch(r"[\w./-]+\.(py|yaml|sh)", head), head
            assert not (tree / head).exists()
            (tree / head).parent.mkdir(parents=True, exist_ok=True)
            (tree / head).write_text(body, encoding="utf-8")


def add_lines(path, where, name, lines):
    """Puts lines before or into the mapping `name` of a module."""
    text = path.read_text(encoding="utf-8")
    (start,) = re.finditer(rf"^{name}\b.*= \{{\n", text, re.MULTILINE)
    place = start.end() if where == "in" else start.start()
    path.write_text(text[:place] + lines + text[place:], encoding="utf-8")


def run(commands, tree, environment):
    bin_dir = Path(sys.executable).parent
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=tree,
        env={
            **os.environ,
            "SERTK_PYTHON": sys.executable,
            "PATH": f"{bin_dir}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(tree),
            "OMP_NUM_THREADS": "1",
            "CMD_BACKEND": "local",
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 passed" not in done.stdout


def test_adding_a_model(tree):
    follow("adding_a_model.md", tree)
    (results,) = tree.glob("egs/mini/exp/mini_4_mini/blstm_statistics_*/RESULTS.md")
    assert "blstm_statistics" in results.read_text(encoding="utf-8")


def test_adding_a_feature_type(tree):
    pages = "egs/mini/exp/mini_4_mini/*/RESULTS.md"
    before = set(tree.glob(pages))
    follow("adding_a_feature_type.md", tree)
    made = "\n".join(path.read_text(encoding="utf-8") for path in set(tree.glob(pages)) - before)
    assert "features: fbank30_wide" in made and "features: level" in made


def test_adding_a_corpus(tree, tmp_path):
    pytest.importorskip("opensmile")
    random = np.random.default_rng(0)
    for speaker in ("03", "08", "09", "10"):
        for letter in "WLEAFTN":
            soundfile.write(tmp_path / f"{speaker}a01{letter}a.wav", 0.1 * random.standard_normal(16000), 16000)
    follow("adding_a_corpus.md", tree, EMODB=str(tmp_path))
    page = (tree / "egs/emodb/exp/emodb_7_loso/egemaps_svm/RESULTS.md").read_text(encoding="utf-8")
    assert "2 of 4 folds, 1 seed; 2 runs." in page and "boredom" in page
