"""`gemstones paper`: what it prints, and what it refuses before it begins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gemstones.paper import reproduce as module
from gemstones.paper.claim import Chapter, exact, statement
from gemstones.paper.reproduce import Reproduction
from tests.cli.conftest import Cli


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Options of every call of `reproduce`, which here only says what a run would."""
    calls: list[dict[str, Any]] = []

    def reproduce(output: Path, **options: Any) -> Reproduction:
        calls.append({"output": output, **options})
        claims = (
            exact("§3", "shapes", 22, 22),
            exact("§3", "a shape", "1x1", "1x1", interval="none: constants"),
            statement(
                "§4.1",
                "a trend",
                "0.1",
                True,
                interval=(-0.2, 0.2),
                settled=False,
                why="wide",
                topic="aspect",
            ),
        )
        files = (output / "figures" / "figure-04.png", output / "paper.md")
        return Reproduction(output, (Chapter("The suite", "words", claims),), {4: "A caption."}, files)

    monkeypatch.setattr(module, "reproduce", reproduce)
    return calls


def test_json_has_verdicts_claims_figures_and_files(
    cli: Cli, tmp_path: Path, asked: list[dict[str, Any]]
) -> None:
    printed = cli("paper", "--output", tmp_path / "out", "--json").json
    assert printed.keys() == {"headlines", "verdicts", "checks", "claims", "figures", "files"}
    assert [(h["figure"], h["verdict"]) for h in printed["headlines"]] == [(5, "undecided")]
    assert printed["checks"] == {"reproduced": 1, "differs": 0}
    assert printed["verdicts"] == {
        "reproduced": 1, "differs": 0, "holds": 0, "undecided": 1, "does not hold": 0, "ours": 0,
    }  # fmt: skip
    assert printed["claims"][0].keys() >= {
        "chapter", "where", "says", "paper", "ours", "interval", "verdict", "why",
    }  # fmt: skip
    assert [claim["verdict"] for claim in printed["claims"]] == ["reproduced", "reproduced", "undecided"]
    assert [claim["check"] for claim in printed["claims"]] == [True, False, False]
    assert printed["claims"][2]["interval"] == "[-0.2, 0.2]"
    assert printed["figures"] == {"4": "A caption."}
    assert printed["files"] == ["figures/figure-04.png", "paper.md"]
    assert (asked[0]["bootstrap"], asked[0]["seed"]) == (100, 0)


def test_people_are_told_how_claims_came_out(cli: Cli, tmp_path: Path, asked: list[dict[str, Any]]) -> None:
    outcome = cli("paper", "--output", tmp_path / "out", "--bootstrap", "40", "--workers", "1")
    assert outcome.status == 0 and not outcome.err
    assert "    1 claim: reproduced\n" in outcome.out and "    0 claims: differs\n" in outcome.out
    assert "    undecided: The optimal width over depth rises with the budget\n" in outcome.out
    assert "    1 of 1 check of counts and closed forms agree\n" in outcome.out
    assert str(tmp_path / "out" / "paper.md") in outcome.out
    assert (asked[0]["bootstrap"], asked[0]["workers"]) == (40, 1)


def test_an_output_that_is_a_file_is_refused_before_anything_is_done(cli: Cli, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("mine")
    outcome = cli("paper", "--output", taken)
    assert outcome.status == 2 and outcome.out == ""
    assert outcome.err.count("\n") == 1 and "is a file" in outcome.err and str(taken) in outcome.err
    assert taken.read_text() == "mine"
