"""Shares of variance: planted effects, nested choices, gaps, and every order by brute force."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gemstones.analyses.sensitivity.decomposition import INTERACTIONS, shares, spread_of_sampling


def crossed(**levels: str) -> dict[str, list[str]]:
    rows = [*itertools.product(*levels.values())]
    return {name: [row[i] for row in rows] for i, name in enumerate(levels)}


def effect(levels: list[str], **of: float) -> np.ndarray:
    return np.array([of[level] for level in levels], np.float64)


def test_additive_effects_of_a_balanced_design_are_their_variances() -> None:
    levels = crossed(selection="abc", law="xy", delta="pq")
    parts = {
        "selection": effect(levels["selection"], a=0, b=1, c=5),
        "law": effect(levels["law"], x=0, y=2),
        "delta": effect(levels["delta"], p=0, q=0),
    }
    y = sum(parts.values())
    found = shares(y[:, None], levels)
    for name, part in parts.items():
        assert found[name][0] == pytest.approx(part.var() / y.var(), abs=1e-12)
    assert found[INTERACTIONS][0] == pytest.approx(0, abs=1e-12)


def test_what_choices_do_together_is_interactions() -> None:
    levels = crossed(selection="ab", law="xy")
    y = effect(levels["selection"], a=-1, b=1) * effect(levels["law"], x=-1, y=1)
    found = shares(y[:, None], levels)
    assert found[INTERACTIONS][0] == pytest.approx(1)
    assert found["selection"][0] == found["law"][0] == pytest.approx(0, abs=1e-12)


def nested() -> dict[str, list[str]]:
    """Approach 1 has one study a selection, Approach 3 one for each law and δ."""
    rows = [
        (selection, approach, law, delta)
        for selection in "abc"
        for approach in ("hull", "fit")
        for law, delta in (itertools.product("xy", "pq") if approach == "fit" else [("-", "-")])
    ]
    return {
        name: [row[i] for row in rows] for i, name in enumerate(("selection", "approach", "law", "delta"))
    }


WITHIN = {"law": "approach", "delta": "approach"}


def test_a_nested_choice_has_no_share_in_what_it_is_nested_in() -> None:
    levels = nested()
    approach, law = (
        effect(levels["approach"], hull=0, fit=3),
        np.where(np.array(levels["law"]) == "y", 1.0, 0.0),
    )
    found = shares(approach[:, None], levels, WITHIN)
    assert found["approach"][0] == pytest.approx(1)
    assert found["delta"][0] == found["law"][0] == pytest.approx(0, abs=1e-12)
    free = shares(approach[:, None], levels)  # without the order, δ is paid for what only the approach does
    assert free["delta"][0] == pytest.approx(1 / 3)

    y = approach + law
    found = shares(y[:, None], levels, WITHIN)
    assert found["delta"][0] == pytest.approx(0, abs=1e-12)
    # What the law adds is its variance within Approach 3, which has 12 of 15 studies.
    assert found["law"][0] == pytest.approx(12 / 15 * 0.25 / y.var())
    assert sum(of[0] for of in found.values()) == pytest.approx(1)


def r_squared(y: np.ndarray, levels: dict[str, list[str]], chosen: tuple[str, ...]) -> float:
    """Written out: dummies, least squares."""
    dummies = [np.ones(len(y))]
    dummies += [
        np.array([at == one for at in levels[c]], float) for c in chosen for one in sorted({*levels[c]})
    ]
    design = np.column_stack(dummies)
    fitted = design @ np.linalg.lstsq(design, y, rcond=None)[0]
    return float(1 - ((y - fitted) ** 2).sum() / ((y - y.mean()) ** 2).sum())


@settings(max_examples=25)
@given(st.integers(0, 10**6))
def test_shares_are_averages_over_allowed_orders(seed: int) -> None:
    rng = np.random.default_rng(seed)
    levels = nested()
    kept = rng.random(len(levels["law"])) < 0.8  # unbalanced
    kept[:5] = True
    levels = {name: [of[i] for i in np.flatnonzero(kept)] for name, of in levels.items()}
    y = rng.normal(size=(int(kept.sum()), 2))
    found = shares(y, levels, WITHIN)
    orders = [
        order
        for order in itertools.permutations(levels)
        if order.index("approach") < min(order.index("law"), order.index("delta"))
    ]
    for name in levels:
        added = [
            r_squared(y[:, 1], levels, order[: order.index(name) + 1])
            - r_squared(y[:, 1], levels, order[: order.index(name)])
            for order in orders
        ]
        assert found[name][1] == pytest.approx(np.mean(added), abs=1e-9)
    assert sum(found.values()) == pytest.approx(np.ones(2))
    assert min(of.min() for of in found.values()) >= 0


def test_studies_without_a_value_are_left_out() -> None:
    levels = crossed(selection="abc", law="xy")
    y = effect(levels["selection"], a=0, b=1, c=50) + effect(levels["law"], x=0, y=1)
    gaps = np.where(np.array(levels["selection"]) == "c", np.nan, y)
    found = shares(np.column_stack([y, gaps, np.full_like(y, 2.0), np.full_like(y, np.nan)]), levels)
    assert found["selection"][:2] == pytest.approx([0.9995, 0.5], abs=1e-3)
    assert all(np.isnan(of[2:]).all() for of in found.values())


def test_sampling_is_held_against_choices() -> None:
    y = np.array([[0.0, -1, 1], [4.0, 4, np.nan], [np.nan, 9, 10], [2.0, 1.0, 5.0]])
    between, within = spread_of_sampling(y)
    assert between == pytest.approx(np.var([0, 4, 2]))
    assert within == pytest.approx(np.mean([1, 4]))  # one draw has no variance
