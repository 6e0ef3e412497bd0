"""What contributors and releases rely on: one version, hooks that are CI's checks, links that lead somewhere."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import gemstones

ROOT = Path(__file__).parents[1]


def text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def test_the_version_is_one() -> None:
    version = tomllib.loads(text("pyproject.toml"))["project"]["version"]
    assert gemstones.__version__ == version
    assert re.search(r"^version: (.*)$", text("CITATION.cff"), re.MULTILINE)[1] == version  # type: ignore[index]
    assert re.findall(r"^## (\S+)", text("CHANGELOG.md"), re.MULTILINE)[0] in ("Unreleased", version)


def test_hooks_are_what_ci_checks() -> None:
    (checks,) = re.findall(r"^check: (.*?) ##", text("Makefile"), re.MULTILINE)
    assert re.findall(r"entry: make (\w+)", text(".pre-commit-config.yaml")) == checks.split()
    assert re.search(r"^make (?:\S+ )*check\b", text(".ci/run"), re.MULTILINE)
    assert "rev:" not in text(".pre-commit-config.yaml"), "a hook that is downloaded"


def test_pages_lead_to_files_and_targets_that_are_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*##", text("Makefile"), re.MULTILINE))
    for page in (ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))):
        said = page.read_text("utf-8")
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", said):
            assert (page.parent / link).exists(), (page.name, link)
        assert {*re.findall(r"`make ([a-z-]+)`", said)} <= targets, page.name


def test_every_extra_that_an_error_names_is_there() -> None:
    extras = tomllib.loads(text("pyproject.toml"))["project"]["optional-dependencies"]
    named = {
        name
        for path in (ROOT / "src").rglob("*.py")
        for name in re.findall(r'\b(?:MissingExtra|extra)\(\s*"(\w+)"', path.read_text("utf-8"))
    }
    assert {"arviz", "pandas", "report"} <= named <= {*extras}
