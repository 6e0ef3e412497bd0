"""Laws of any form from the command line: what is written, what comes out, what is refused."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Cli
from tests.cli.test_errors import assert_refused


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Runs of two recipes at three rates, with weights."""
    rng = np.random.default_rng(0)
    path = tmp_path / "sweep.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["run", "params_total", "tokens", "loss", "recipe", "lr", "weight"])
        for recipe, e in (("old", 1.8), ("new", 1.7)):
            for n in np.geomspace(1e8, 5e9, 5):
                for t in np.geomspace(2e9, 1e11, 4):
                    best = 6e-4 * (n / 1e9) ** -0.5 * (t / 1e11) ** 0.2
                    for rate in (2e-4, 1e-3, 5e-3):
                        bowl = np.exp(0.04 * np.log(rate / best) ** 2)
                        loss = (e + (400 * n**-0.34 + 900 * t**-0.3) * bowl) * np.exp(1e-3 * rng.normal())
                        rows.writerow([f"{recipe}-{n:.3g}-{t:.3g}-{rate}", n, t, loss, recipe, rate, 1.0])
    return path


@pytest.mark.long
def test_formulas(cli: Cli, sweep: Path, tmp_path: Path) -> None:
    law = "E[recipe] + (A/N^a + B/T^b)*exp(k*log(lr/(L*(N/1e9)^n*(T/1e11)^t))^2)"
    output = tmp_path / "fit.json"
    fitted = cli(
        "fit", sweep, "--law", law, "--bound", "k=0..5", "--delta", "1e-3", "--bootstrap", "40", "--level", "0.9",
        "--output", output, "--json",
    ).json  # fmt: skip
    assert fitted["status"] == "converged" and fitted["exponents"] is None is fitted["outer_exponent"]
    constants = fitted["constants"]
    assert constants["E[old]"] - constants["E[new]"] == pytest.approx(0.1, abs=0.01)
    assert (constants["L"], constants["n"]) == (pytest.approx(6e-4, rel=0.1), pytest.approx(-0.5, abs=0.1))
    for name, (low, high) in fitted["intervals"]["constants"].items():
        assert low <= constants[name] <= high
    text = cli("fit", sweep, "--law", law).out
    assert "E[new]" in text and "recipe" in text


@pytest.mark.long
def test_the_optimum(cli: Cli, sweep: Path) -> None:
    asked = (
        "fit",
        sweep,
        "--law",
        "learning-rate",
        "--delta",
        "1e-2",
        "--optimum",
        "lr",
        "--at",
        "N=1B,T=50B",
    )
    found = cli(*asked, "--bootstrap", "40", "--level", "0.9", "--json").json["optimum"]
    assert found["values"]["lr"] == pytest.approx(6e-4 * 0.5**0.2, rel=0.15)
    assert found["intervals"]["lr"][0] < found["values"]["lr"] < found["intervals"]["lr"][1]
    assert found["at"] == {"N": 1e9, "T": 5e10} and found["without"] == 0
    text = cli(*asked).out
    assert "Li et al. 2025" in text and "least loss at lr" in text
    for at, saying in (
        ("N=1B", "T is not given"),
        ("N,T", "has no value"),
        ("N=1B,T=1B,z=3", "z is no column"),
    ):
        assert_refused(cli, *asked[:-1], at, saying=(saying,))
    assert_refused(cli, *asked[:-4], "--optimum", "batch", "--at", "N=1B", saying=("batch is no column",))
    assert_refused(cli, "fit", sweep, "--optimum", "N", "--at", "T=1B", saying=("no least loss over N",))


def test_lists_with_fixed_constants_and_an_outer_exponent(cli: Cli, sweep: Path) -> None:
    rows = ("fit", sweep, "--where", "recipe = 'old'", "--best-of", "lr", "--delta", "1e-3")
    plain = cli(*rows, "--json").json
    assert (plain["rows"], plain["best_of"], plain["outer_exponent"]) == (20, ["lr"], None)
    assert "constants" not in plain and any("40 left out" in a for a in plain["assumptions"])
    outer = cli(*rows, "--law", "(N,T)^p", "--json").json
    assert (
        outer["outer_exponent"] > 0 and outer["law"] == "(N,T)^p" and outer["exponents"].keys() == {"N", "T"}
    )
    fixed = cli(*rows, "--fix", "E=1.8", "--fix", "a_N=0.34", "--json").json
    assert fixed["irreducible_loss"] == pytest.approx(1.8) and fixed["exponents"]["N"] == 0.34
    assert fixed["law"] == "1.8 + A_N/N^0.34 + A_T/T^a_T" and fixed["constants"].keys() == {
        "A_N",
        "A_T",
        "a_T",
    }
    weighted = cli(*rows, "--weights", "weight", "--weight-above", "0.5", "--json").json
    assert (weighted["weights"], weighted["above"]) == ("weight", 0.5)


@pytest.mark.parametrize(
    ("options", "saying"),
    [
        (("--law", "E + A/N^"), ("character 9", "the end stands where")),
        (("--law", "E + A/N^a + B/T^b + C/(N^c*T^d"), ("character 31", "')' is needed")),
        (("--law", "E + A/N^a + __import__('os')"), ("character", "is no function")),
        (("--law", "E[colour] + A/N^a + B/T^b"), ("colour", "is no column of the runs")),
        (("--law", "E + A/N^a + B/{tokns}^b"), ("tokns", "is needed but not known")),
        (("--fix", "E"), ("fix 'E'", "E=1.69")),
        (("--fix", "Q=1"), ("law N,T has no Q",)),
        (("--bound", "a_N=0.6..0.1"), ("least value must be below the greatest",)),
        (("--bound", "a_N=x"), ("bound 'a_N=x'", "a=0.1..0.6")),
        (("--bound", "E=1..2", "--fix", "E=1.5"), ("E is fixed and bounded",)),
        (("--weights", "recipe"), ("recipe", "numbers are needed")),
        (("--best-of", "lr,"), ("--best-of 'lr,'", "lr,batch")),
        (("--weight-above", "0"), ("above 0",)),
        (("--law", "hofmann"), ("'hofmann' is no form by name", "did you mean hoffmann")),
        (("--law", "chinchilla-outer"), ("is no form by name", "kaplan, mcleish-2")),
    ],
)
def test_mistakes_are_one_line_with_the_remedy(
    cli: Cli, sweep: Path, options: tuple[str, ...], saying: tuple[str, ...]
) -> None:
    assert_refused(cli, "fit", sweep, *options, saying=saying)


def test_what_cannot_be_known_is_refused(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    for sizes, saying in (
        ([1e8, 1e9], "params_total has 2 different values|parameters has 2 different values"),
        ([1e9, 1.001e9, 1.002e9, 1.003e9], "narrow|has 1 different value"),
        ([1e9, 1.03e9, 1.06e9], "spans only 0.06 of its value"),
    ):
        lines = ["run,params_total,tokens,loss"]
        for n in sizes:
            lines += [
                f"{n:.5g}-{t:.3g},{n},{t},{1.7 + 400 * n**-0.34 + 900 * t**-0.3}"
                for t in np.geomspace(1e9, 1e11, 5)
            ]
        path.write_text("\n".join(lines))
        refused = cli("fit", path)
        assert refused.status == 2 and any(part in refused.err for part in saying.split("|")), refused.err
        forced = cli("fit", path, "--force", "--json").json
        assert {flag.partition(":")[0] for flag in forced["flags"]} & {"few_values", "narrow_range"}
