#!/usr/bin/env python3
"""Kills the mini recipe again and again, and compares what it ends with to what it ends with undisturbed.

Stages 1 to 5 run once to their end, and in a second folder with SIGKILL to all their processes at random moments.
There they are started again until they end, from nothing once they have ended, and as often as it takes for all kills.
Each time the same bits have to be there: tables, features, weights, posteriors and results, all but times.

example: tools/kill_recipe.py --kills 100 --seed 0 /tmp/kills
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TABLES = ("data/mini/*", "data/mini/labels/*", "data/mini/feats/*.scp", "data/mini/splits/**/*")
FILES = (*TABLES, "data/mini/feats/*.ark", "**/best.pt", "**/feats/*.ark", "**/posteriors.ark", "**/predictions.tsv")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100, help="in all (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: %(default)s)")
    parser.add_argument("--model", default="blstm_capsule", help="default: %(default)s")
    parser.add_argument("--set", default="training.max_epochs=3", help="settings (default: %(default)s)")
    parser.add_argument("folder", type=Path, help="where the recipe runs; it must not be there yet")
    args = parser.parse_args()
    args.folder.mkdir(parents=True)
    plain, killed = (copy_recipe(args.folder.resolve() / name) for name in ("plain", "killed"))
    corpus = plain / "downloads/mini"
    run(plain, ["--stop_stage", "0"])
    options = ["--stage", "1", "--model", args.model, "--db_root", str(corpus), "--folds", "1 2", "--set", args.set]
    begun = time.monotonic()
    run(plain, options)
    seconds, wanted = time.monotonic() - begun, digests(plain)
    print(f"undisturbed: {seconds:.0f} s, {len(wanted)} files", flush=True)
    moments, kills, rounds = random.Random(args.seed), 0, 0
    while kills < args.kills:
        kills += kill_until_it_ends(killed, options, seconds, moments, args.kills - kills)
        compare(digests(killed), wanted)
        rounds += 1
        print(f"{kills} kills, {rounds} times to the end with the same bits", flush=True)
        for name in ("data", "exp"):
            shutil.rmtree(killed / name)


def copy_recipe(folder: Path) -> Path:
    """The mini recipe in a copy of what it needs."""
    for name in ("egs/common", "egs/mini", "egs/asr", "utils"):
        ignore = shutil.ignore_patterns("data", "exp", "downloads")
        shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=ignore)
    return folder / "egs/mini"


def start(recipe: Path, options: list[str], log: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "SERTK_PYTHON": sys.executable, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with open(log, "ab") as output:
        return subprocess.Popen(
            ["./run.sh", *options], cwd=recipe, env=environment, stdout=output, stderr=output, start_new_session=True
        )


def run(recipe: Path, options: list[str]) -> None:
    log = recipe / "log"
    if start(recipe, options, log).wait():
        sys.exit(f"kill_recipe.py: run.sh fails: see {log}")


def kill_until_it_ends(recipe: Path, options: list[str], seconds: float, moments: random.Random, kills: int) -> int:
    """Starts the recipe again until it ends; returns how often it was killed, up to `kills` times."""
    killed = 0
    while killed < kills:
        process = start(recipe, options, recipe / "log")
        try:
            status = process.wait(timeout=moments.uniform(0, seconds))
        except subprocess.TimeoutExpired:
            kill_session(process.pid)
            process.wait()
            killed += 1
        else:
            if status:
                sys.exit(f"kill_recipe.py: run.sh fails after {killed} kills: see {recipe}/log")
            return killed
    run(recipe, options)
    return killed


def kill_session(session: int) -> None:
    """SIGKILL to all processes of a session; jobs have process groups of their own, and new ones may appear."""
    while processes := [
        number for number in map(int, filter(str.isdecimal, os.listdir("/proc"))) if in_session(number, session)
    ]:
        for number in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        time.sleep(0.01)


def in_session(number: int, session: int) -> bool:
    with contextlib.suppress(OSError):
        state, _, _, found = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[:4]
        return int(found) == session and state != "Z"
    return False


def digests(recipe: Path) -> dict[str, str]:
    """{path: SHA-256} of all that has to be the same."""
    paths = {path for pattern in FILES for path in recipe.glob(pattern) if path.is_file()}
    found = {str(path.relative_to(recipe)): path.read_bytes() for path in paths if not path.name.startswith(".")}
    for path in recipe.glob("exp/*/*/results.json"):
        found[str(path.relative_to(recipe))] = json.dumps(without_times(json.loads(path.read_text()))).encode()
    return {name: hashlib.sha256(content).hexdigest() for name, content in found.items()}


def without_times(value):
    if isinstance(value, dict):
        return {key: without_times(item) for key, item in value.items() if "seconds" not in key}
    return [without_times(item) for item in value] if isinstance(value, list) else value


def compare(found: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    if different := sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name)):
        sys.exit(f"kill_recipe.py: {len(different)} files are not as undisturbed: {' '.join(different[:20])}")


if __name__ == "__main__":
    main()
