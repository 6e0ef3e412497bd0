"""One figure of the paper on disk: the picture in three formats, the numbers that are drawn, and as part of a page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gemstones.figures.save import render, write_frame
from gemstones.files import write_bytes
from gemstones.page.page import Figure
from gemstones.page.svg import compact

if TYPE_CHECKING:
    import altair as alt
    import polars as pl


@dataclass(frozen=True, eq=False)
class PaperFigure:
    """A figure by its number in the paper."""

    number: int
    chart: alt.TopLevelMixin
    data: pl.DataFrame
    """What is drawn, one row per mark or point of a line."""
    caption: str
    """What it shows, with its conventions, in one or two sentences."""
    variant: str = ""
    """Of a figure that is made once more otherwise."""
    finding: str = ""
    """What it shows, in a sentence with a number: its title."""

    @property
    def name(self) -> str:
        """`figure-04`, `figure-05-predicts`."""
        return f"figure-{self.number:02d}" + (f"-{self.variant}" if self.variant else "")

    def save(self, folder: Path) -> tuple[Path, ...]:
        """Write its `name` .png, .svg, .pdf and .parquet to `folder`, each whole or not at all."""
        paths = []
        for suffix, content in render(self.chart, ("png", "svg", "pdf")).items():
            paths.append(folder / f"{self.name}.{suffix}")
            write_bytes(paths[-1], content)
        return (*paths, write_frame(self.data, folder / f"{self.name}.parquet"))

    def on_page(self, folder: Path) -> Figure:
        """As part of a page, from the SVG that `save` wrote to `folder`: its finding is the title."""
        finding = f"Figure {self.number}: {self.finding or self.caption.partition('. ')[0]}"
        svg = (folder / f"{self.name}.svg").read_text(encoding="utf-8")
        return Figure(
            self.name, finding, self.caption.replace("`", ""), compact(svg, self.name, finding), finding
        )
