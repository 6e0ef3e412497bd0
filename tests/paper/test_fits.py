"""What the paper's figures need is fitted, once each, from the right rows, and is as good as is known."""

from __future__ import annotations

import pytest

from gemstones.paper.alike import EXTENDED
from gemstones.paper.approach1_figures import SELECTIONS
from gemstones.paper.fits import (
    ENVELOPES,
    FITS,
    EnvelopeKey,
    FitKey,
    paper_envelopes,
    paper_fits,
)
from gemstones.report.steps import METHODS, RESOURCES
from gemstones.runs import RunTable

BEST = {
    FitKey("all", "N,T"): 6.923289079e-4,
    FitKey("le100B", "N,T"): 2.075051556e-4,
    FitKey("hoffmann-reduced", "N,T"): 1.303638028e-5,
    FitKey("epoch", "N,T", 1e-3): 1.018274e-3,
}
"""Best known objectives (shared/design/paper.md, section 4)."""


@pytest.fixture(scope="module")
def runs(gemstones: RunTable, chinchilla: RunTable) -> dict[str, RunTable]:
    return {"gemstones": gemstones, "chinchilla": chinchilla}


def test_every_figure_finds_its_fits_and_frontiers() -> None:
    needed = {key for shown in EXTENDED.values() for key in (shown.shapes, shown.params) if key is not None}
    assert needed <= set(FITS) and len(set(FITS)) == len(FITS)
    frontiers = {EnvelopeKey(s, r, m) for s in SELECTIONS.values() for r in RESOURCES for m in METHODS}
    assert frontiers <= set(ENVELOPES) and len(set(ENVELOPES)) == len(ENVELOPES)


def test_fits_are_the_best_that_are_known(runs: dict[str, RunTable]) -> None:
    told: list[int] = []
    made = paper_fits(runs, bootstrap=0, progress=told.append, keys=list(BEST))
    assert list(made) == list(BEST) and told == [1, 2, 3, 4]
    for key, best in BEST.items():
        assert made[key].objective <= best * (1 + 1e-6)
        assert (made[key].selection, made[key].law.form, made[key].delta) == key[:3]
    assert made["epoch", "N,T", 1e-3, "total"].dataset == "chinchilla"  # type: ignore[index]
    assert [fit.law.name for fit in made.values()] == [
        "N,T fitted to all",
        "N,T fitted to le100B",
        "N,T fitted to hoffmann-reduced",
        "N,T fitted to epoch, δ 1e-3",
    ]


@pytest.mark.long
def test_workers_do_not_matter(runs: dict[str, RunTable]) -> None:
    keys = [FitKey("cooldown", "N,T"), FitKey("lr-ablation", "N,T", params="no_embedding")]
    one, two = (paper_fits(runs, bootstrap=40, seed=3, workers=n, keys=keys) for n in (1, 2))
    assert one == two and all(len(fit.drawn) == 40 for fit in one.values())
    assert one[keys[1]].law.params_convention == "no_embedding"
    assert one[keys[1]].law.name == "N,T fitted to lr-ablation, N without the input embedding"


def test_frontiers_are_those_of_their_keys(runs: dict[str, RunTable]) -> None:
    keys = [EnvelopeKey("cooldown", "device_hours", "bins"), EnvelopeKey("cooldown", params="non_embedding")]
    made = paper_envelopes(runs, bootstrap=0, keys=keys)
    for key, envelope in made.items():
        assert key == (envelope.selection, envelope.resource, envelope.method, envelope.params_convention)
