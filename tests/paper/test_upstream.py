"""What the published repository shows since: three validation sets, nine tasks, and shape at equal loss."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest

from gemstones.paper.upstream import SETS, Upstream, upstream
from gemstones.paper.upstream_claims import SAME, upstream_chapter
from gemstones.paper.upstream_figures import upstream_figures
from gemstones.runs import RunTable, load
from tests.conftest import Files

pytestmark = [pytest.mark.long, pytest.mark.published_data]


@pytest.fixture(scope="module")
def found(published_files: Files) -> Upstream:
    with published_files():
        return upstream(load("gemstones-benchmarks").select(), bootstrap=40, seed=0)


def test_claims_have_the_numbers(found: Upstream) -> None:
    claims = {claim.says: claim for claim in upstream_chapter(found, {}, {}).claims}
    assert len(claims) == 3 + 1 + 3 + 1 + 9
    for claim in claims.values():
        assert claim.interval.startswith("[") or " of " in claim.interval
    own = claims["law of the mean error of nine tasks by losses on the runs' own set"]
    assert own.ours == "k 14.92679, gamma 1.816317, epsilon 0.6756832, sum of squares 0.008832349"
    assert [one.name for one in found.sets] == list(SETS) and found.sets[0].ratio == 1
    assert found.sets[0].n_opt == pytest.approx(7.39e9, rel=0.01)  # that of gemstones-refit


def test_verdicts_are_of_the_intervals(found: Upstream) -> None:
    def verdict(chapter_of: Upstream, says: str) -> str:
        (claim,) = [c for c in upstream_chapter(chapter_of, {}, {}).claims if says in c.says]
        return claim.verdict

    def with_ratio(ratio: float, ends: tuple[float, float]) -> Upstream:
        own, *others = found.sets
        return replace(found, sets=(own, *(replace(o, ratio=ratio, ratio_interval=ends) for o in others)))

    moved = "the validation set does not move"
    assert verdict(with_ratio(1.1, (0.9, SAME)), moved) == "holds"
    assert verdict(with_ratio(1.1, (0.9, 1.01 * SAME)), moved) == "undecided"
    assert verdict(with_ratio(2.0, (1.5, 3.0)), moved) == "does not hold"
    deeper = "at equal loss, deeper models make fewer errors"
    for slope, ends, expected in (
        (0.01, (0.005, 0.02), "holds"),
        (0.01, (-0.005, 0.02), "undecided"),
        (-0.01, (-0.02, -0.005), "does not hold"),
    ):
        mean, *each = found.at_equal_loss
        changed = replace(found, at_equal_loss=(replace(mean, slope=slope, interval=ends), *each))
        assert verdict(changed, deeper) == expected


def test_figures_draw_the_checkpoints(found: Upstream, gemstones: RunTable) -> None:
    figures = {number: make() for number, make in upstream_figures(found, gemstones).items()}
    assert [*figures] == [25, 26, 27, 28]
    for number, figure in figures.items():
        assert figure.number == number and figure.caption.startswith("Not in the paper. ")
        assert figure.data["y"].null_count() == 0 and figure.data["x"].is_finite().all()
    assert figures[25].data.group_by("layer").len()["len"].to_list() == [770, 770, 770]
    assert figures[28].data.filter(layer="flops").height == 3850
    left = figures[27].data.filter(layer="equal loss")
    assert left["y"].pow(2).mean() ** 0.5 == pytest.approx(100 * math.sqrt(0.008832349 / 770), rel=1e-5)  # type: ignore[operator]
    assert re.search(r"-?[0-9.]+ \[[+-][0-9.]+, [+-][0-9.]+\] points", figures[27].caption)
