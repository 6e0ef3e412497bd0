"""The form that backtests choose: the planted one where the runs can tell, and never a more complicated one."""

from __future__ import annotations

import numpy as np
import pytest

from gemstones.errors import InvalidRequest
from gemstones.laws.choose import choose
from gemstones.laws.chosen import Choice
from gemstones.runs import RunTable, load


def planted(p: float, *, runs: int = 12, noise: float = 0.003, seed: int = 0) -> RunTable:
    """Runs of a law in N and T with an exponent around the sum, noise shared by a run and by row."""
    import polars as pl

    rng = np.random.default_rng(seed)
    rows = []
    for run, size in enumerate(np.geomspace(1e7, 3e9, runs)):
        shared = rng.normal(0, noise)
        for tokens in np.geomspace(1e9, 3e11, 8):
            inner = 400 / size**0.34 + 2000 / tokens**0.36
            loss = 1.7 + inner if p == 1 else 1.2 + (30 * inner) ** p
            rows.append((f"r{run}", size, tokens, loss * np.exp(shared + rng.normal(0, noise / 3))))
    frame = pl.DataFrame(rows, schema=["run", "params_total", "tokens", "loss"], orient="row")
    return load(frame).select()


def test_the_planted_form_is_found() -> None:
    assert choose(planted(1.0), ["N,T", "(N,T)^p"]).law == "N,T"
    found = choose(planted(0.35, noise=0.001), ["N,T", "(N,T)^p"])
    assert found.law == "(N,T)^p"
    assert "above the fitted compute" in found.reason and "the next best, N,T, to" in found.reason


def test_the_simplest_within_one_standard_error_is_taken() -> None:
    found = choose(planted(1.0, seed=1), ["N,T", "(N,T)^p", "E + A/N^a + B/T^b + C/(N^c*T^d)"])
    best = found.candidates[0]
    assert best.score is not None
    within = [
        c
        for c in found.candidates
        if c.score is not None and c.score <= best.score + (c.standard_error or 0.0)
    ]
    taken = next(c for c in found.candidates if c.law == found.law)
    assert taken in within and taken.constants == min(c.constants for c in within)
    assert set(found.near) == {c.law for c in within} - {found.law}


def test_errors_are_those_of_the_held_out_rows() -> None:
    """Against a fit by hand to the rows up to a cut."""
    from gemstones.laws.fitting import fit

    table = planted(1.0)
    found = choose(table, ["N,T"])
    (candidate,) = found.candidates
    flops, codes = table.numbers("flops"), table.run_codes
    logs, counted = 0.0, 0
    for cut in found.cuts:
        import polars as pl

        law = fit(load(table.frame.filter(pl.Series(flops <= cut))).select(), "N,T").law
        off = np.log(law.losses(table) / table.numbers("loss"))
        for run in np.unique(codes[flops > cut]):
            logs += float(np.log(np.mean(off[(flops > cut) & (codes == run)] ** 2))) / 2
            counted += 1
    assert candidate.error_beyond == pytest.approx(np.exp(logs / counted), rel=1e-6)
    assert found.groups == 10 and candidate.error_left_out is not None


def test_what_cannot_be_fitted_is_left_out_with_the_reason() -> None:
    found = choose(planted(1.0), ["N,T", "w,d,N,T"])
    assert found.law == "N,T"
    (left_out,) = [c for c in found.candidates if c.law == "w,d,N,T"]
    assert left_out.score is None and left_out.reason is not None and "width" in left_out.reason
    with pytest.raises(InvalidRequest, match="no candidate can be fitted"):
        choose(planted(1.0), ["w,d,T"])
    with pytest.raises(InvalidRequest, match="are needed to hold some back"):
        choose(planted(1.0, runs=3), ["N,T"])


def test_the_choice_does_not_depend_on_workers() -> None:
    table = planted(0.35)
    one, two = (choose(table, ["N,T", "(N,T)^p"], workers=workers) for workers in (1, 2))
    assert isinstance(one, Choice) and one == two
