"""Approach 1 against the published lines (paper.md §3), and the hull against scipy's."""

import dataclasses

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import ConvexHull

from gemstones.errors import InvalidRequest, InvalidTable
from gemstones.laws.envelope import bin_points, envelope, hull_points
from gemstones.runs import RunTable

HULL = {
    "le100B-2B": (21, (0.499380216, -2.845107696), (0.480988823, 1.896320827), (-0.018391393, 4.741428523)),
    "lr-ablation-2B": (
        17,
        (0.513127536, -3.568844081),
        (0.485794433, 1.794942270),
        (-0.027333103, 5.363786350),
    ),
    "cooldown": (12, (0.596981017, -7.522191520), (0.393260379, 6.103985245), (-0.203720638, 13.626176765)),
    "all-2B": (28, (0.457903080, -1.025860401), (0.524898684, -0.029520870), (0.066995605, 0.996339530)),
    "gt120B-2B": (14, (0.798672483, -18.042169765), (0.182842984, 17.065587607), None),
}
BINS = {"le100B-2B": (506, -0.213179264), "all-2B": (593, -0.106875586), "cooldown": (172, -0.520714679)}


@pytest.mark.parametrize("selection", HULL)
def test_published_lines(gemstones: RunTable, selection: str) -> None:
    points, *lines = HULL[selection]
    found = envelope(gemstones.select(selection))
    assert len(found.frontier) == points
    for name, line in zip(("params", "tokens", "tokens_per_param"), lines, strict=True):
        if line is not None:
            fitted = found.fits[name]
            np.testing.assert_allclose((fitted.slope, fitted.intercept), line, rtol=0, atol=1e-8)


@pytest.mark.parametrize("selection", BINS)
def test_published_bins(gemstones: RunTable, selection: str) -> None:
    count, slope = BINS[selection]
    found = envelope(gemstones.select(selection), method="bins")
    assert len(found.frontier) == count
    assert found.fits["tokens_per_param"].slope == pytest.approx(slope, abs=1e-8)


coordinates = st.integers(0, 12).map(float)


@given(st.lists(st.tuples(coordinates, coordinates), min_size=4, max_size=40))
def test_hull_is_scipys(points: list[tuple[float, float]]) -> None:
    xy = np.array(points)
    found = hull_points(xy[:, 0], xy[:, 1])
    assert (np.diff(xy[found, 0]) > 0).all() and (np.diff(xy[found, 1]) < 0).all()
    if np.linalg.matrix_rank(xy - xy[0]) < 2:
        return
    # A vantage point above and to the right of everything leaves the lower left of the hull.
    vantage = np.vstack([xy, xy.max(0) + 1])
    hull = ConvexHull(vantage)
    corners = np.unique(vantage[[v for v in hull.vertices if v < len(xy)]], axis=0)
    lower = [c for c in corners if not ((xy[:, 0] <= c[0]) & (xy[:, 1] <= c[1]) & (xy != c).any(1)).any()]
    np.testing.assert_array_equal(xy[found], np.array(lower))


def test_bins_hold_the_least_of_each() -> None:
    resource = np.array([1.0, 2.0, 3.0, 10.0, 50.0, 100.0])
    loss = np.array([9.0, 8.0, 7.0, 6.0, 7.0, 5.0])
    # Two bins closed on the right: (1, 10] and (10, 100]; the least resource is in neither.
    np.testing.assert_array_equal(bin_points(resource, loss, 2), [3, 5])


def test_intervals_hold_the_lines(gemstones: RunTable) -> None:
    found = envelope(gemstones.select("le100B-2B"), bootstrap=80, seed=1)
    again = envelope(gemstones.select("le100B-2B"), bootstrap=80, seed=1, workers=2)
    assert found.intervals == again.intervals and found.intervals is not None
    for name, line in found.fits.items():
        low, high = found.intervals[name]["slope"]
        assert low <= line.slope <= high and high > low
    rows = envelope(gemstones.select("le100B-2B"), bootstrap=80, unit="row").intervals
    assert rows is not None and rows != found.intervals


def test_device_hours_and_conventions(gemstones: RunTable) -> None:
    table = gemstones.select("le100B-2B")
    hours = envelope(table, resource="device_hours")
    assert {p["run"].removeprefix("main/") for p in hours.frontier} != {
        p["run"].removeprefix("main/") for p in envelope(table).frontier
    }
    bare = envelope(table, params="non_embedding")
    assert bare.params_convention == "non_embedding"
    assert bare.fits["params"].slope > envelope(table).fits["params"].slope
    assert bare.fits["tokens"] == envelope(table).fits["tokens"]


def test_what_is_not_known_is_named(chinchilla: RunTable) -> None:
    with pytest.raises(InvalidTable, match="device_hours"):
        envelope(chinchilla.select("epoch"), resource="device_hours")
    with pytest.raises(InvalidRequest, match="hull, bins"):
        envelope(chinchilla.select("epoch"), method="parabola")  # type: ignore[arg-type]


def test_runs_without_the_resource_are_no_clusters(gemstones: RunTable) -> None:
    table = gemstones.select("le100B-2B")
    hours = table.frame["device_hours"]
    without = table.run_codes < 4
    partly = dataclasses.replace(
        table,
        frame=table.frame.with_columns(device_hours=pl.Series(np.where(without, 0.0, hours.to_numpy()))),
    )
    only = dataclasses.replace(table, frame=table.frame.filter(pl.Series(~without)))
    found, expected = (envelope(t, resource="device_hours", bootstrap=40) for t in (partly, only))
    assert (found.runs, found.rows) == (18, 18 * 50)
    assert found.intervals == expected.intervals
    nothing = dataclasses.replace(table, frame=table.frame.with_columns(device_hours=pl.lit(0.0)))
    for method in ("hull", "bins"):
        with pytest.raises(InvalidRequest, match=r"no row of .* has positive device_hours"):
            envelope(nothing, resource="device_hours", method=method)  # type: ignore[arg-type]
