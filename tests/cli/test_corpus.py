"""`gemstones corpus build | show`: what is printed, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.cli.test_errors import assert_refused

pytest.importorskip("tokenizers")


@pytest.fixture
def texts(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{i}.txt" for i in range(8)]
    for i, path in enumerate(paths):
        path.write_text(f"the {i}th text of eight, one as short as the other\n" * 20)
    return paths


def test_built_shown_and_found_finished(cli: Cli, tmp_path: Path, texts: list[Path]) -> None:
    command = (
        "corpus",
        "build",
        *texts,
        "--output",
        tmp_path / "corpus",
        "--vocabulary",
        270,
        "--workers",
        1,
    )
    built = cli(*command, "--json").json
    assert (built["documents"], built["vocabulary"], built["made"]) == (8, 270, True)
    assert len(built["sources"]) == 8
    again = cli(*command).out
    assert again.startswith("nothing to do: the corpus is finished")
    assert again.count("source: ") == 6
    size = sum(path.stat().st_size for path in texts[5:])
    assert f"source: 3 more, 3 files, {size / 1000:.3g}KB (--json lists them)" in again
    shown = cli("corpus", "show", tmp_path / "corpus", "--verify", "--json").json
    assert shown == {key: value for key, value in built.items() if key != "made"}


def test_mistakes(cli: Cli, tmp_path: Path, texts: list[Path]) -> None:
    build = ("corpus", "build", texts[0], "--output", tmp_path / "corpus")
    assert_refused(cli, *build, saying=("and neither is", "--vocabulary or --tokenizer"))
    both = ("--vocabulary", 300, "--tokenizer", texts[1])
    assert_refused(cli, *build, *both, saying=("given, not both",))
    assert_refused(cli, *build, "--vocabulary", 10, saying=("vocabulary 10 must be from 257",))
    nowhere = tmp_path / "nowhere"
    assert_refused(
        cli, "corpus", "build", nowhere, *build[3:], "--vocabulary", 300, saying=("does not exist",)
    )
    assert_refused(cli, "corpus", "show", nowhere, saying=("nowhere: does not exist: make one with",))
    assert not (tmp_path / "corpus").exists()
