"""The commands: one for each file of sertk/bin. Everything else is in pyproject.toml."""

from pathlib import Path

from setuptools import setup

COMMANDS = sorted(path.stem for path in Path(__file__).parent.glob("sertk/bin/[a-z]*.py"))

setup(
    entry_points={"console_scripts": [f"sertk-{name.replace('_', '-')} = sertk.bin.{name}:main" for name in COMMANDS]}
)
