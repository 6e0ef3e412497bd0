"""Figure 2 of the paper: widths and depths of earlier suites, of industry models, and of the Gemstones.

Shapes of earlier suites are facts as published, each list with its source. That they give the published numbers of
parameters is held by tests. Suites whose shapes could not be verified so are left out, Kaplan et al. 2020 among them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gemstones.figures import style
from gemstones.paper.figure import PaperFigure
from gemstones.paper.shapes import HEIGHT, STAR, WIDTH, trained_shapes
from gemstones.runs.industry import load_industry
from gemstones.runs.table import RunTable

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Suite:
    """Models that were trained as a series of sizes."""

    name: str
    source: str
    shapes: tuple[tuple[int, int], ...]
    """Width and depth of each, in the source's order."""


PRIOR_SUITES = (
    Suite(
        "GPT-3 (Brown et al. 2020)",
        "Language Models are Few-Shot Learners, arXiv 2005.14165, Table 2.1",
        # 5140 as printed; 40 heads of 128 make 5120.
        (
            (768, 12), (1024, 24), (1536, 24), (2048, 24), (2560, 32), (4096, 32), (5140, 40), (12288, 96),
        ),
    ),
    Suite(
        "Chinchilla (Hoffmann et al. 2022)",
        "Training Compute-Optimal Large Language Models, arXiv 2203.15556, Table A9",
        (
            (512, 8), (576, 9), (640, 10), (640, 13), (640, 16), (768, 12), (768, 15), (768, 18), (896, 14),
            (896, 16), (896, 18), (1024, 16), (1024, 18), (1024, 20), (1280, 18), (1280, 21), (1408, 18),
            (1280, 24), (1408, 21), (1536, 19), (1408, 24), (1536, 22), (1536, 25), (1792, 20), (1792, 23),
            (1792, 26), (2048, 22), (2176, 22), (2048, 25), (2048, 28), (2176, 25), (2304, 24), (2176, 28),
            (2304, 28), (2304, 32), (2560, 26), (2560, 30), (2560, 34), (2688, 36), (2816, 36), (2944, 36),
            (3072, 36), (3584, 40), (4096, 42), (4352, 47), (4608, 44), (4608, 47), (4864, 47), (4992, 49),
            (5120, 47),
        ),
    ),
    Suite(
        "Pythia (Biderman et al. 2023)",
        "Pythia: A Suite for Analyzing Large Language Models, arXiv 2304.01373, Table 1; model cards",
        (
            (512, 6), (768, 12), (1024, 24), (2048, 16), (2048, 24), (2560, 32), (4096, 32), (5120, 36),
        ),
    ),
    Suite(
        "Cerebras-GPT (Dey et al. 2023)",
        "Model cards of Cerebras-GPT on the Hugging Face hub; arXiv 2304.03208",
        (
            (768, 10), (1088, 14), (1536, 18), (2048, 24), (2560, 32), (4096, 32), (5120, 40),
        ),
    ),
)  # fmt: skip

INDUSTRY, OURS = "Industry models", "Gemstones"
_LOOKS: dict[str, tuple[str, str, int]] = {
    PRIOR_SUITES[0].name: ("#AA3377", "square", 150),
    PRIOR_SUITES[1].name: (style.TEAL, "circle", 48),
    PRIOR_SUITES[2].name: ("#7A4FB5", "triangle-up", 75),
    PRIOR_SUITES[3].name: ("#66A61E", "cross", 40),
    INDUSTRY: (style.ORANGE, "diamond", 75),
    OURS: (style.BLACK, STAR, 95),
}
"""Colour, mark and size by series, in the order of the legend; of those that coincide the first is the largest."""
RATIOS = (10, 100, 1000)
"""Width over depth along the guides."""


def prior_suites_figure(runs: RunTable) -> PaperFigure:
    """Figure 2: depth over width of `PRIOR_SUITES`, the published industry models and the main runs."""
    style.need_altair()
    import altair as alt
    import polars as pl

    frame = _frame(runs)
    widths, depths = frame["width"].to_list(), frame["depth"].to_list()
    x_domain, y_domain = (style.padded(min(v), max(v), 0.05) for v in (widths, depths))
    x = style.log_x("width", "Width (channels)", x_domain, "plain", 10)
    y = style.log_y("depth", "Depth (blocks)", y_domain, "plain")
    names = list(_LOOKS)
    colors, marks, _ = (list(look) for look in zip(*_LOOKS.values(), strict=True))
    fills = [style.BLACK if name == OURS else "transparent" for name in names]
    key = alt.Legend(title="Models", symbolSize=90)
    points = alt.Chart(alt.NamedData(name="models")).encode(
        x,
        y,
        color=alt.Color("series:N", scale=alt.Scale(domain=names, range=colors), legend=key),
        fill=alt.Fill("series:N", scale=alt.Scale(domain=names, range=fills), legend=key),
        shape=alt.Shape("series:N", scale=alt.Scale(domain=names, range=marks), legend=key),
        tooltip=style.tooltips("series:N", "model:N", "width:Q", "depth:Q", "aspect_ratio:Q"),
    )
    series = [
        points.transform_filter(f"datum.series == '{name}'").mark_point(
            size=size, strokeWidth=1.6, opacity=0.9
        )
        for name, (_, _, size) in _LOOKS.items()
    ]
    guides = _guides(x_domain, y_domain)
    lines = (
        alt.Chart(alt.NamedData(name="guides"))
        .mark_line(color="#BBBBBB", strokeWidth=1, strokeDash=[3, 3])
        .encode(x, y, detail="ratio:Q")
    )
    words = [
        alt.Chart(alt.NamedData(name="guides"))
        .transform_filter(f"datum.ends == '{ends}'")
        .mark_text(align="right", baseline="middle", dx=dx, dy=dy, fontSize=12, color=style.SOFT_INK)
        .encode(x, y, text="label:N")
        for ends, dx, dy in (("top", -24, 10), ("right", -6, -14))
    ]
    spans = aspect_ratios(frame)
    *rest, own = spans.values()
    others, ours = max(high for _, high in rest) / min(low for low, _ in rest), own[1] / own[0]
    count = frame.filter(pl.col("series") == OURS).height
    title = alt.TitleParams(
        f"Width/depth spans a factor of {ours:.3g} among the {count} Gemstones, of {others:.2g} among the "
        f"{frame.height - count} others shown",
        subtitle=f"Width/depth: {'; '.join(f'{what} {low:.3g} to {high:.3g}' for what, (low, high) in spans.items())}",
        offset=14,
    )
    chart = alt.layer(lines, *words, *series).properties(width=WIDTH, height=HEIGHT, title=title)
    themed = style.themed(chart, {"models": frame.to_dicts(), "guides": guides})
    sources = "; ".join(f"{suite.name}: {suite.source}" for suite in PRIOR_SUITES)
    caption = (
        f"Width and depth of {frame.height - count} models of earlier suites and of industry, and of the {count} "
        f"Gemstones (black). Dashed: equal width/depth. Sources: {sources}; industry: the published "
        "`our_val_loss_data.json`. Suites whose shapes could not be verified are left out, Kaplan et al. 2020 among "
        "them."
    )
    return PaperFigure(2, themed, frame, caption)


def aspect_ratios(frame: pl.DataFrame) -> dict[str, tuple[float, float]]:
    """Least and largest width over depth of the figure's `frame`: of earlier suites, industry models, Gemstones."""
    import polars as pl

    group = pl.col("series").replace_strict(
        {INDUSTRY: INDUSTRY.lower(), OURS: OURS}, default="earlier suites"
    )
    found = frame.group_by(group, maintain_order=True).agg(
        low=pl.col("aspect_ratio").min(), high=pl.col("aspect_ratio").max()
    )
    return {series: (low, high) for series, low, high in found.iter_rows()}


def _frame(runs: RunTable) -> pl.DataFrame:
    """One row per model."""
    import polars as pl

    def rows(series: str, source: str, models: Iterable[tuple[str, int, int]]) -> list[dict[str, Any]]:
        return [
            {
                "series": series,
                "model": model,
                "width": width,
                "depth": depth,
                "aspect_ratio": width / depth,
                "source": source,
            }
            for model, width, depth in models
        ]

    every = [
        row
        for suite in PRIOR_SUITES
        for row in rows(suite.name, suite.source, ((f"{w}x{d}", w, d) for w, d in suite.shapes))
    ]
    industry = ((model.short_name, model.width, model.depth) for model in load_industry())
    every += rows(INDUSTRY, "our_val_loss_data.json of the Gemstones", industry)
    trained = ((str(shape), shape.width, shape.depth) for shape in trained_shapes(runs))
    return pl.DataFrame(every + rows(OURS, "McLeish et al. 2025", trained))


def _guides(x: tuple[float, float], y: tuple[float, float]) -> list[dict[str, Any]]:
    """Both ends, within the axes, of a line for each of `RATIOS`; the upper one says where it ends."""
    rows = []
    for ratio in RATIOS:
        low, high = max(x[0], ratio * y[0]), min(x[1], ratio * y[1])
        ends = "top" if high < x[1] else "right"
        rows += [
            {
                "ratio": ratio,
                "width": width,
                "depth": width / ratio,
                "ends": where,
                "label": f"width/depth {ratio}",
            }
            for width, where in ((low, ""), (high, ends))
        ]
    return rows
