"""The paper again, from the raw published runs: every fit, every figure that its data allow, and every claim.

Nothing is read from published fits and nothing is kept from an earlier run; published numbers are only what ours are
compared with. The same runs and seed give the same `paper.md` for any number of workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gemstones.analyses.overspend.figure import overspend_figure
from gemstones.analyses.overtrain.figure import overtrain_figure
from gemstones.arguments import checked
from gemstones.display import few_lines
from gemstones.figures.save import write_frame
from gemstones.figures.style import need_altair, unchecked
from gemstones.files import make_folder, write_text
from gemstones.laws.parallel import Workers, run_beside
from gemstones.laws.solver.resample import check_resampling
from gemstones.output_folder import OutputFolder
from gemstones.page.page import Figure
from gemstones.paper.alike import EXTENDED, PAIRS
from gemstones.paper.analyses import Analyses, analyse
from gemstones.paper.approach1_claims import approach1_chapter
from gemstones.paper.approach1_figures import SELECTIONS, paper_approach1
from gemstones.paper.approach3_claims import approach3_chapter
from gemstones.paper.approach3_curves import Curves
from gemstones.paper.approach3_figures import figure_5, paper_extended
from gemstones.paper.claim import Chapter, check_counts, counts
from gemstones.paper.drawn import drawn
from gemstones.paper.figure import PaperFigure
from gemstones.paper.findings import finding, titled
from gemstones.paper.fits import DRAWS, PAPER_FORM, PREDICTS, FitKey
from gemstones.paper.flops_ratio import flops_ratio_figure
from gemstones.paper.forms import VARIANT, forms_rainbow
from gemstones.paper.forms_page import PAGE, forms_page
from gemstones.paper.headlines import headlines
from gemstones.paper.learning_rates import learning_rate_optima, learning_rates_figure
from gemstones.paper.loss_curves import loss_curves_figure
from gemstones.paper.page import paper_html
from gemstones.paper.plan_claims import plan_chapter
from gemstones.paper.price_claims import price_chapter
from gemstones.paper.prior_suites import prior_suites_figure
from gemstones.paper.rainbow import rainbow_figure
from gemstones.paper.shapes import shapes_figure
from gemstones.paper.starts import starts_figure
from gemstones.paper.suite_claims import suite_chapter
from gemstones.paper.text import paper_text
from gemstones.paper.upstream_claims import upstream_chapter
from gemstones.paper.upstream_figures import upstream_figures
from gemstones.report.steps import RESOURCES
from gemstones.runs.trained_models import trained_models
from gemstones.seeds import Seed, seed_number

if TYPE_CHECKING:
    import altair as alt

KINDS = ("png", "svg", "pdf", "parquet")
PAPER_FILES = (
    *(f"figures/figure-[0-9][0-9]{v}.{kind}" for v in ("", f"-{VARIANT}") for kind in KINDS),
    "claims.parquet",
    PAGE,
    "paper.html",
    "paper.md",
)
"""What `reproduce` may write."""
_TIMES = {"fits": 100.0, "other analyses": 40.0, "figures": 55.0}
"""How long the parts take, relatively."""
COMPARED = (1e21, 1e23)
"""Budgets, in FLOPs, at which both forms' costs of overtraining are drawn beside each other."""


@dataclass(frozen=True, eq=False, repr=False)
class Reproduction:
    """What `reproduce` found and wrote."""

    output: Path
    chapters: tuple[Chapter, ...]
    captions: Mapping[int, str]
    """Of the figures, by number."""
    files: tuple[Path, ...]

    def __repr__(self) -> str:
        verdicts = ", ".join(f"{count} {verdict}" for verdict, count in counts(self.chapters).items())
        return few_lines(
            f"Reproduction: {verdicts}; {len(self.captions)} figures",
            [f"to read: {self.output / 'paper.html'}, {self.output / 'paper.md'}"],
        )

    def summary(self) -> dict[str, Any]:
        """Plain values: what `gemstones paper --json` prints."""
        return {
            "headlines": [
                {
                    "claim": headline.said.says,
                    "paper": headline.said.paper,
                    "verdict": headline.outcome,
                    "figure": headline.said.figure,
                }
                for headline in headlines(self.chapters)
            ],
            "verdicts": counts(self.chapters),
            "checks": check_counts(self.chapters),
            "claims": _records(self.chapters),
            "figures": {str(number): caption for number, caption in self.captions.items()},
            "files": [path.relative_to(self.output).as_posix() for path in self.files],
        }


@checked
def reproduce(
    output: Path,
    *,
    bootstrap: int = DRAWS,
    seed: Seed = 0,
    workers: Workers = None,
    force: bool = False,
    progress: Callable[[str, float], None] | None = None,
) -> Reproduction:
    """Write `figures/figure-NN` (.png, .svg, .pdf, .parquet), `claims.parquet`, and three pages to `output`.

    `paper.md` has every claim and figure, `paper.html` the same in one file with the pictures in it; `forms.md` is what
    the paper's conclusions become under the form that predicts, with its own `figure-NN-predicts`. `bootstrap`
    resamples by run give every interval, the same for the same `seed` and any number of `workers` (processes).
    `progress` is told what is being done and which share of everything is done. An earlier result in `output` is
    replaced as a whole. Raises `InvalidPath` where somebody else's file is in the way, unless `force` is True, and
    `MissingExtra` without altair.

    >>> reproduce("out/paper")  # takes half an hour  # doctest: +SKIP
    """
    import polars as pl

    seed = seed_number(seed)
    check_resampling(bootstrap, "run", seed)
    need_altair()
    folder = OutputFolder(output, "gemstones paper", PAPER_FILES[-1:], PAPER_FILES, force=force)
    folder.check()
    tell = _Progress(progress)
    made = analyse(bootstrap=bootstrap, seed=seed, workers=workers, part=tell.part)
    with folder.replacing() as filled:
        figures = make_folder(filled / "figures")

        def draw(together: tuple[Wanted, ...]) -> list[tuple[Wanted, str, tuple[Path, ...], Figure]]:
            drawings, drawn_ones = _figures(made), []
            for wanted in together:
                with unchecked():
                    figure = drawings[wanted]()
                figure = titled(figure, finding(figure, made))
                drawn_ones.append((wanted, figure.caption, figure.save(figures), figure.on_page(figures)))
            return drawn_ones

        groups = _groups(_figures(made))
        told = tell.part("figures", len(groups))
        drawn_groups, chapters = run_beside(draw, groups, lambda: claims(made), workers, told)
        drawn_figures = [one for group in drawn_groups for one in group]
        saved = sorted(drawn_figures)
        captions, of_forms = (
            {number: caption for (number, variant), caption, *_ in saved if variant == wanted}
            for wanted in ("", VARIANT)
        )
        files = [path for _, _, paths, _ in saved for path in paths]
        files += [filled / name for name in ("claims.parquet", "paper.md", "paper.html", PAGE)]
        write_frame(pl.DataFrame(_records(chapters)), filled / "claims.parquet")
        draws = len(made.fits[FitKey("all", "N,T")].drawn)
        tables = (made.gemstones, made.chinchilla)
        findings = {
            number: figure.finding.partition(": ")[2]
            for (number, variant), *_, figure in saved
            if not variant
        }
        write_text(filled / "paper.md", paper_text(tables, chapters, captions, draws, findings))
        write_text(
            filled / "paper.html", paper_html(tables, chapters, [figure for *_, figure in saved], draws)
        )
        overtrained = {PAPER_FORM: made.overtrained, PREDICTS: made.overtrained_predicts}
        write_text(filled / PAGE, forms_page(made.fits, made.forms, overtrained, of_forms))
    tell.done()
    return Reproduction(
        output, chapters, captions, tuple(output / path.relative_to(filled) for path in files)
    )


def claims(made: Analyses) -> tuple[Chapter, ...]:
    """Every claim, checked."""
    trained = [(row["name"], row["params"], row["tokens"]) for row in trained_models(made.industry)]
    return (
        suite_chapter(made.gemstones, made.chinchilla, learning_rate_optima()),
        approach1_chapter(made.frontier),
        approach3_chapter(made.fit, made.epoch_by_row, made.starts),
        plan_chapter(made.fits[FitKey("all", "w,d,N,T")], made.fits[FitKey("all", "N,T")], trained),
        price_chapter(made.overspends, made.overtrained),
        upstream_chapter(made.upstream, made.fits, made.envelopes),
    )


Wanted = tuple[int, str]
"""A figure's number, and its variant."""


_TOGETHER: tuple[tuple[Wanted, ...], ...] = (
    ((5, ""), (5, VARIANT), (12, "")),
    *(((one, ""), (other, "")) for one, other in PAIRS.items()),
)
"""Figures that draw the same curves: one process makes those once."""
_LONG = (9, 10, 11, 15, 4)
"""Figures, of those that are drawn each for itself, that take long."""


def _groups(every: Iterable[Wanted]) -> list[tuple[Wanted, ...]]:
    """What is drawn by one process each, the longest first."""
    alone = [(wanted,) for wanted in every if not any(wanted in group for group in _TOGETHER)]
    return [*_TOGETHER, *sorted(alone, key=lambda one: one[0][0] not in _LONG)]


def _figures(made: Analyses) -> dict[Wanted, Callable[[], PaperFigure]]:
    runs, models, curves = made.gemstones, trained_models(made.industry), Curves()
    beside = [
        one
        for pair in zip(made.overtrained, made.overtrained_predicts, strict=True)
        if pair[0].budget in COMPARED
        for one in pair
    ]
    of_paper: dict[int, Callable[[], PaperFigure]] = {
        2: lambda: prior_suites_figure(runs),
        3: lambda: learning_rates_figure(runs),
        5: lambda: figure_5(made.fits, models, made=curves),
        6: lambda: _of_chart(6, rainbow_figure(*made.rainbow), _RAINBOW),
        7: lambda: _of_chart(
            7, overspend_figure([made.overspends[r, "interpolate"] for r in RESOURCES]), _OVERSPEND
        ),
        8: lambda: _of_chart(8, overtrain_figure(made.overtrained, made.industry), _OVERTRAIN),
        **{n: partial(paper_approach1, n, runs, made.envelopes) for n in SELECTIONS},
        **{n: partial(paper_extended, n, made.fits, models, made=curves) for n in EXTENDED},
        20: lambda: starts_figure(made.starts),
        22: lambda: shapes_figure(runs),
        23: lambda: loss_curves_figure(runs),
        24: lambda: flops_ratio_figure(runs),
        **upstream_figures(made.upstream, runs),
    }
    # Made once more with the form that predicts, for its page.
    of_forms: dict[int, Callable[[], PaperFigure]] = {
        5: lambda: replace(
            figure_5(made.fits, models, laws=(PAPER_FORM, PREDICTS), made=curves), variant=VARIANT
        ),
        6: lambda: forms_rainbow(made.forms),
        8: lambda: replace(
            _of_chart(8, overtrain_figure(beside, made.industry), _OVERTRAIN_FORMS), variant=VARIANT
        ),
    }
    return {(n, ""): draw for n, draw in of_paper.items()} | {
        (n, VARIANT): draw for n, draw in of_forms.items()
    }


_RAINBOW = (
    "Prescribed parameters over a budget of FLOPs, from every selection of the Gemstones and of the Chinchilla data, "
    "by Approach 1 (hull, FLOPs by Appendix G) and Approach 3 (N,T, 6·N·T), with and without embeddings; "
    "below, those of all parameters at 1e22 FLOPs with their 95% intervals by run."
)
_OVERSPEND = (
    "What each shape overspent at the checkpoint nearest to 300B tokens, against the frontier of all 22 interpolated "
    "in log-log, in FLOPs (Appendix G) and device hours; each shape was trained once: no interval."
)
_OVERTRAIN = (
    "Predicted loss of the best shape at a factor of the optimal tokens, by our fit of w,d,N,T to `all`, with 95% "
    "intervals by run, at four budgets of FLOPs (Appendix G); losses of industry models on the same validation set."
)

_OVERTRAIN_FORMS = (
    "Predicted loss of the best shape at a factor of the optimal tokens, by our fits of w,d,N,T and (w,d,N,T)^p to "
    "`all`, with 95% intervals by run, at two budgets of FLOPs (Appendix G)."
)


def _of_chart(number: int, chart: alt.TopLevelMixin, caption: str) -> PaperFigure:
    datasets: Any = chart.datasets  # type: ignore[attr-defined]
    return PaperFigure(number, chart, drawn(datasets), caption)


def _records(chapters: tuple[Chapter, ...]) -> list[dict[str, Any]]:
    """Every claim as plain values."""
    return [{"chapter": chapter.title, **asdict(claim)} for chapter in chapters for claim in chapter.claims]


class _Progress:
    """Which share of everything is done."""

    def __init__(self, tell: Callable[[str, float], None] | None) -> None:
        self._tell, self._done = tell, 0.0

    def part(self, name: str, steps: int) -> Callable[[int], None]:
        """Begin a part; what is given back is told how many of its steps are done."""
        begun, time = self._done, _TIMES[name]
        self._done += time
        self._say(name, begun)
        return lambda done: self._say(name, begun + time * done / steps)

    def done(self) -> None:
        """Everything is done."""
        if self._tell is not None:
            self._tell("done", 1.0)

    def _say(self, what: str, done: float) -> None:
        if self._tell is not None:
            self._tell(what, min(done / sum(_TIMES.values()), 0.999))
