"""Figures 2, 22 and 24: shapes, how many there are, and what they cost."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from gemstones.figures.save import render
from gemstones.paper.flops_ratio import flops_ratio, flops_ratio_figure
from gemstones.paper.prior_suites import PRIOR_SUITES, aspect_ratios, prior_suites_figure
from gemstones.paper.shapes import shapes_figure, size_class, trained_shapes
from gemstones.runs import RunTable
from gemstones.shape import Shape

GPT3, CHINCHILLA, PYTHIA, CEREBRAS = PRIOR_SUITES
CHINCHILLA_MILLIONS = (
    44, 57, 74, 90, 106, 117, 140, 163, 175, 196, 217, 251, 278, 306, 425, 489, 509, 552, 587, 632, 664, 724, 816,
    893, 1018, 1143, 1266, 1424, 1429, 1593, 1609, 1731, 1794, 2007, 2283, 2298, 2639, 2980, 3530, 3802, 4084, 4516,
    6796, 9293, 11452, 12295, 12569, 13735, 14940, 16183,
)  # fmt: skip
CHINCHILLA_HEADS = {2688: 22, 2816: 22, 2944: 22, 4352: 32, 4864: 32, 4992: 32}
"""Heads of 128 where they do not make up the width; 4608x47 has 32, 4608x44 has 36."""
PYTHIA_NON_EMBEDDING = (
    18_915_328, 85_056_000, 302_311_424, 805_736_448, 1_208_602_624, 2_517_652_480, 6_444_163_072, 11_327_027_200,
)  # fmt: skip


@pytest.mark.parametrize(
    ("shape", "millions"), list(zip(CHINCHILLA.shapes, CHINCHILLA_MILLIONS, strict=True))
)
def test_shapes_of_chinchilla_have_their_published_parameters(
    shape: tuple[int, int], millions: float
) -> None:
    width, depth = shape
    heads = 32 if shape == (4608, 47) else CHINCHILLA_HEADS.get(width)
    attention = width if heads is None else heads * 128
    # Queries, keys, values, output and relative positions; an MLP of 4 widths; a tied vocabulary of 32,000.
    count = depth * (5 * width * attention + 8 * width**2) + 32_000 * width
    assert count == pytest.approx(millions * 1e6, rel=0.002, abs=0.5e6)


@pytest.mark.parametrize(("shape", "count"), list(zip(PYTHIA.shapes, PYTHIA_NON_EMBEDDING, strict=True)))
def test_shapes_of_pythia_have_their_published_parameters(shape: tuple[int, int], count: int) -> None:
    width, depth = shape
    assert depth * (12 * width**2 + 13 * width) + 2 * width == count  # weights, biases and norms


@pytest.mark.parametrize(
    ("suite", "sizes"),
    [
        (GPT3, (125e6, 350e6, 760e6, 1.3e9, 2.7e9, 6.7e9, 13e9, 175e9)),
        (CEREBRAS, (111e6, 256e6, 590e6, 1.3e9, 2.7e9, 6.7e9, 13e9)),
    ],
)
def test_shapes_of_gpt3_and_cerebras_have_their_published_sizes(
    suite: object, sizes: tuple[float, ...]
) -> None:
    assert suite in PRIOR_SUITES
    for (width, depth), size in zip(suite.shapes, sizes, strict=True):  # type: ignore[attr-defined]
        # A tied vocabulary of 50,257 and 2048 learned positions.
        assert 12 * depth * width**2 + (50_257 + 2048) * width == pytest.approx(size, rel=0.02)


def test_figure_2_has_every_model(gemstones: RunTable) -> None:
    figure = prior_suites_figure(gemstones)
    counts = dict(figure.data.group_by("series").len().iter_rows())
    assert counts == {
        GPT3.name: 8, CHINCHILLA.name: 50, PYTHIA.name: 8, CEREBRAS.name: 7, "Industry models": 21, "Gemstones": 22,
    }  # fmt: skip
    spans = aspect_ratios(figure.data)
    assert spans["Gemstones"] == (256 / 80, 2560 / 8)
    assert spans["earlier suites"] == (640 / 16, 5120 / 36)
    assert spans["industry models"] == pytest.approx((896 / 24, 4096 / 32))
    assert all(suite.source in figure.caption for suite in PRIOR_SUITES)
    svg = render(figure.chart, ("svg",))["svg"].decode()
    for words in ("Width (channels)", "Depth (blocks)", "width/depth 100<", *counts):
        assert words in svg


def test_figure_22_has_every_feasible_shape_and_the_trained_ones(gemstones: RunTable) -> None:
    figure = shapes_figure(gemstones)
    frame = figure.data
    feasible = frame.filter("feasible").group_by("size").len().sort("size")
    assert feasible["len"].to_list() == [5, 13, 28, 62, 74]
    within = frame.filter("feasible")
    assert ((within["params_total"] / within["size"] - 1).abs() <= 0.05).all()
    trained = frame.filter("trained")
    assert trained.height == len(trained_shapes(gemstones)) == 22
    outside = trained.filter(~pl.col("feasible"))["shape"].to_list()
    assert sorted(outside) == ["1024x28", "384x13", "384x36", "512x11", "512x14", "512x16"]
    assert frame["shape"].is_unique().all() and frame.height == 182 + len(outside)
    svg = render(figure.chart, ("svg",))["svg"].decode()
    for words in ("50M: 5 feasible", "2B: 74 feasible", "Width (channels)", "Trained"):
        assert words in svg


def test_size_classes() -> None:
    shapes = {"512x11": 1e8, "384x13": 5e7, "1024x28": 5e8, "1536x50": 2e9, "2560x8": 1e9}
    assert {name: size_class(Shape.parse(name)) for name in shapes} == shapes


def test_figure_24_counts_by_appendix_g(gemstones: RunTable) -> None:
    assert flops_ratio(Shape(1024, 28)) == pytest.approx(3_578_148_864 / (6 * 543_482_880))
    figure = flops_ratio_figure(gemstones)
    trained = figure.data.filter(pl.col("kind") == "trained").sort("ratio")
    assert trained.height == 22
    assert (trained["shape"][0], trained["shape"][-1]) == ("768x3", "256x80")
    assert (trained["ratio"][0], trained["ratio"][-1]) == pytest.approx((0.7087, 1.5906), abs=1e-4)
    np.testing.assert_allclose(
        trained["ratio"], [flops_ratio(Shape.parse(shape)) for shape in trained["shape"]]
    )
    assert "0.71 (768x3) to 1.59 (256x80)" in figure.caption and "total parameters" in figure.caption


def test_the_grid_of_figure_24_has_no_gaps(gemstones: RunTable) -> None:
    figure = flops_ratio_figure(gemstones)
    cells = figure.data.filter(pl.col("kind") == "grid")
    for side, other in (("width", "depth"), ("depth", "width")):
        inside = cells[side].is_between(cells[f"{side}_low"], cells[f"{side}_high"])
        assert inside.all()
        for line in cells.sort(side).partition_by(other):
            assert line[f"{side}_high"][:-1].to_list() == line[f"{side}_low"][1:].to_list()
    assert (cells["width"].min(), cells["width"].max()) == (256, 8192)
    assert (cells["depth"].min(), cells["depth"].max()) == (2, 255)
    svg = render(figure.chart, ("svg",))["svg"].decode()
    assert "N in total parameters" in svg and "over 6·N (total)" in svg
