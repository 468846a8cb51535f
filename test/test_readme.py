"""The READMEs name only what is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
READMES = sorted([ROOT / "README.md", *ROOT.glob("egs/*/README.md")])
GENERATED = {"RESULTS.md"}  # by stage 5
every_readme = pytest.mark.parametrize("readme", READMES, ids=lambda path: str(path.relative_to(ROOT)))


def recipe_of(readme):
    """The recipe that a README's command lines are of; the first one shows RAVDESS."""
    return ROOT / "egs" / "ravdess" if readme.parent == ROOT else readme.parent


def options_of(recipe):
    """The options of a recipe: the variables that it and what it sources set before the command line is parsed."""
    own = (recipe / "run.sh").read_text()
    sources = [own.partition("options.sh")[0], (ROOT / "egs/common/stages.sh").read_text()]
    if "common/options.sh" in own:
        sources.append((ROOT / "egs/common/options.sh").read_text().partition("help_message=")[0])
    return {"help", *re.findall(r"^(\w+)=", "\n".join(sources), re.MULTILINE)}


@every_readme
def test_links_lead_somewhere(readme):
    for link in re.findall(r"\]\(([^)#]+)", readme.read_text()):
        if "://" not in link and Path(link).name not in GENERATED:
            assert (readme.parent / link).exists(), link


@every_readme
def test_commands_are_entry_points(readme):
    named = set(re.findall(r"\bsertk-[a-z]+(?:-[a-z]+)*", readme.read_text()))
    there = {f"sertk-{path.stem.replace('_', '-')}" for path in ROOT.glob("sertk/bin/[a-z]*.py")}
    assert named and named <= there


@every_readme
def test_scripts_are_there(readme):
    named = set(re.findall(r"[\w./]*\w\.(?:sh|pl)\b", readme.read_text()))
    folders = [ROOT, ROOT / "utils", recipe_of(readme)]
    missing = {name for name in named if not any((folder / name).exists() for folder in folders)}
    assert named and not missing


@every_readme
def test_options_of_recipes_are_theirs(readme):
    lines = re.findall(r"^.*\./run\.sh.*$|^\| `--.*$", readme.read_text(), re.MULTILINE)
    named = set(re.findall(r"(?<![\w-])--([\w-]+)", "\n".join(lines)))
    assert lines and named <= options_of(recipe_of(readme))
