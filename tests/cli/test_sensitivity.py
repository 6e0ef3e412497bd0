"""`gemstones sensitivity` as users and scripts see it, and its page of the docs."""

from __future__ import annotations

import dataclasses
import itertools
import re
from pathlib import Path

import pytest

from gemstones.analyses.sensitivity.choices import CHOICES
from gemstones.analyses.sensitivity.sensitivity import Sensitivity, sensitivity
from gemstones.analyses.sensitivity.sweep import Sweep
from gemstones.runs import RunTable
from tests.cli.conftest import Cli

PAGE = (Path(__file__).parents[2] / "docs" / "sensitivity.md").read_text("utf-8")
FEW = (
    "--select",
    "le100B,width512",
    "--law",
    "N,T",
    "--law",
    "w,d,T",
    "--params",
    "total",
    "--delta",
    "1e-4",
)


@pytest.mark.published_data
def test_json(cli: Cli, tmp_path: Path) -> None:
    made = cli(
        "sensitivity", "gemstones", *FEW, "--flops", "6N,gemstones", "--approach", "approach3,hull", "--bootstrap", 40,
        "--budgets", "1e22,1e20", "--output", tmp_path, "--workers", 1, "--json",
    ).json  # fmt: skip
    assert made["budgets"] == [1e20, 1e22]
    assert made["base"] == {
        "selection": "le100B", "approach": "approach3", "law": "N,T", "params_convention": "total",
        "flops_convention": "6N", "delta": 1e-4, "loss": "loss",
    }  # fmt: skip
    # Two selections by two counts of FLOPs: the hull and N,T for both, w,d,T for one.
    assert made["combinations"] == len(made["studies"]) == 10 and made["combinations_asked"] == 12
    assert (made["distinct_fits"], made["laws_fitted"], made["frontiers_found"]) == (7, 3, 4)
    for study in made["studies"]:
        assert [*study["choices"]] == [*CHOICES]
        assert (study["choices"]["law"] == "-") == (study["choices"]["delta"] is None)
        for quantity in ("n_opt", "t_opt", "w_opt", "d_opt"):
            assert len(study[quantity]) == len(study["interval"][quantity]) == 2
        if study["choices"]["law"] == "w,d,T":
            assert study["w_opt"][0] % 256 == 0
        else:
            assert study["w_opt"] == study["interval"]["d_opt"] == [None, None]
        low, high = study["interval"]["t_opt"][1]
        assert low <= study["t_opt"][1] <= high
    assert made["decomposition"].keys() == {*CHOICES, "interactions"} - {"loss"}
    assert sum(made["decomposition"].values()) == pytest.approx(1)
    assert made["refused"][0].keys() == {"choices", "combinations", "reason"}
    assert {file.name for file in tmp_path.iterdir()} == {
        "fits", "sensitivity.json", "sensitivity.parquet",
        "shares.png", "shares.svg", "studies.png", "studies.svg",
    }  # fmt: skip
    assert len([*(tmp_path / "fits").iterdir()]) == 7
    fields = re.findall(r"^\| `(\w+)` \|", PAGE.partition("| JSON | is |")[2], re.MULTILINE)
    said = {*fields, "combinations_asked", "laws_fitted", "frontiers_found", "level", "dataset"}
    assert made.keys() == said


@pytest.mark.published_data
def test_people_are_told(cli: Cli) -> None:
    asked = ("gemstones", *FEW, "--flops", "6N", "--bootstrap", 0, "--budgets", "1e21", "--workers", 1)
    out = cli("sensitivity", *asked, "--verbose").out
    assert "7 studies from 7 distinct fits (3 of laws, 4 frontiers)" in out
    assert "Selection width512" not in out.partition("refused")[0].replace("Selection     width512", "")
    assert (
        "refused (1 combination; selection width512; law w,d,T): width is the same in every row (512)" in out
    )
    assert out.rstrip().splitlines()[-1].startswith("Prescriptions for 1e21 FLOPs run from ")
    assert "resampling the runs alone" not in out  # there was none
    short = cli("sensitivity", *asked).out
    assert "Prescriptions for 1e21 FLOPs run from " in short
    assert "; 1 combination refused; " in short and short.rstrip().endswith(": --verbose")


@pytest.mark.long
def test_three_columns(cli: Cli, tmp_path: Path) -> None:
    lines = ["params_total,tokens,loss"]
    for n, t in itertools.product((1e6, 3e6, 1e7, 3e7), (1e8, 3e8, 1e9)):
        lines.append(f"{n:.0f},{t:.0f},{1.7 + 400 / n**0.34 + 410 / t**0.28:.6f}")
    (tmp_path / "mine.csv").write_text("\n".join(lines))
    made = cli("sensitivity", tmp_path / "mine.csv", "--bootstrap", 40, "--workers", 1, "--json").json
    # N,T and (N,T)^p, each at two deltas, and both frontiers.
    assert made["combinations"] == 6 and made["budgets"] == [1e16, 1e17, 1e19]
    assert any("width and depth" in one["reason"] for one in made["refused"])
    assert made["base"]["law"] == "N,T" and made["base"]["flops_convention"] == "6N"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--approach", "three"), "approach 'three' is unknown: choose from approach3, hull, bins"),
        (("--flops", "appendix"), "FLOP convention 'appendix' is unknown"),
        (("--params", "all"), "parameter convention 'all' is unknown"),
        (("--delta", "tiny"), "delta 'tiny' is not a number"),
        (("--law", "N,batch,T"), "cannot prescribe: column batch"),
        (("--select", "everything"), "selection 'everything' is unknown"),
        (("--budgets", "1e20,much"), "budget 'much' is not a number"),
        (("--bootstrap", "-1"), "bootstrap -1 must be"),
        (("--loss", "edu"), "loss 'edu' is no loss of"),
        (("--workers", "0"), "workers '0' must be positive"),
        (("--output", "{file}"), "cannot be made a folder"),
    ],
)
def test_mistakes_are_one_line(cli: Cli, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    file = tmp_path / "file"
    file.touch()
    outcome = cli("sensitivity", "pebbles", *(word.replace("{file}", str(file)) for word in words))
    assert outcome.status == 2 and outcome.out == ""
    assert said in outcome.err and outcome.err.count("\n") == 1


# ---------------------------------------------------------------- the page


@pytest.fixture(scope="module")
def whole(gemstones: RunTable) -> Sensitivity:
    """All studies of the Gemstones at one budget, without resamples."""
    return sensitivity(Sweep.of(gemstones), [1e22], bootstrap=0)


@pytest.mark.long
def test_the_page_has_the_shares(whole: Sensitivity) -> None:
    rows = re.findall(
        r"^\| (\w+) \| ([\d.]+)% \| ([\d.]+)% \| ([\d.]+)% \| ([\d.]+)% \|$", PAGE, re.MULTILINE
    )
    assert [row[0] for row in rows] == [*CHOICES[:-1], "interactions"]
    shares = {(share.quantity, share.choice): share.share for share in whole.decompositions}
    for choice, *percents in rows:
        for quantity, percent in zip(("n_opt", "t_opt", "w_opt", "d_opt"), percents, strict=True):
            assert 100 * shares[quantity, choice] == pytest.approx(float(percent), abs=0.051), (
                choice,
                quantity,
            )  # type: ignore[index]


@pytest.mark.long
def test_the_page_has_the_sentence(whole: Sensitivity) -> None:
    assert whole.sentence.removesuffix(".") in PAGE
    assert f"{len(whole.studies)} studies from {whole.distinct_fits} distinct fits" in PAGE
    spread = {one.quantity: one for one in whole.spread}
    assert f"{spread['n_opt'].most / spread['n_opt'].least:,.0f}-fold" in PAGE
    assert f"from {spread['d_opt'].least:.0f} to {spread['d_opt'].most:.0f} blocks" in PAGE
    shifts = {shift.level: shift.ratio["n_opt"][0] for shift in whole.shifts}
    assert shifts["hull"] == pytest.approx(1 / 5, abs=0.02) and shifts["bins"] == pytest.approx(
        1 / 5, abs=0.02
    )
    assert shifts["w,d,T"] == pytest.approx(3, abs=0.2)
    five = {"all", "le100B", "gt120B", "lr-ablation", "cooldown"}
    kept = dataclasses.replace(
        whole, studies=tuple(one for one in whole.studies if one.choices.selection in five)
    )
    assert f"it is {kept.spread[0].most / kept.spread[0].least:.0f}-fold" in PAGE
    assert f"has {kept.decomposition['approach']:.0%} and the law {kept.decomposition['law']:.0%}" in PAGE
    for one in whole.without:
        if (one.choice, one.level) == ("selection", "width512"):
            assert f"69% with `width512`, {one.decomposition['selection']:.0%} without" in PAGE
