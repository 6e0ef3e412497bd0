"""Where the best learning rate of each shape lies: table, figure and words from the runs of a sweep.

    gemstones suite run studies/learning-rate.toml --corpus CORPUS --output RUNS --slots 2 --threads 1
    python studies/learning_rate.py RUNS [--output studies/learning-rate]

The recipe's rule, lr_eff = lr_base / (width · √depth) (Gemstones, §3.1), holds where shapes of every size have their
least loss at one lr_base. Needs the extra `report`.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gemstones.design.spec import RunSpec
from gemstones.errors import InvalidRequest
from gemstones.files import write_text
from gemstones.numbers import counted
from gemstones.runs.folders import ledger_of, read_run, read_suite
from gemstones.runs.ledger import Rollback, Start

if TYPE_CHECKING:
    import altair as alt

HERE = Path(__file__).resolve().parent / "learning-rate"
FIGURE = "learning-rate"
EFFECTIVE, SCALED = "lr_eff", "lr_eff·width·√depth"
STEP = 2.0
"""Between neighbouring rates of the grid."""


@dataclass(frozen=True)
class Trial:
    """One rate of one shape."""

    rate: float
    """lr_eff."""
    loss: float | None
    """Held-out, after all tokens, nats/token; None where the run diverged and was given up."""
    rollbacks: int = 0


@dataclass(frozen=True)
class Best:
    """The rate of least loss."""

    rate: float
    """lr_eff: the vertex of the parabola in log rate through the best trial and its neighbours."""
    loss: float
    """There."""
    inside: bool
    """Whether the grid has rates on both sides of the best one; at its end the best may lie beyond."""


@dataclass(frozen=True)
class Swept:
    """All finished or diverged trials of a shape, by rate."""

    width: int
    depth: int
    trials: tuple[Trial, ...]

    @property
    def name(self) -> str:
        """As everywhere: 64x8."""
        return f"{self.width}x{self.depth}"

    @property
    def size(self) -> int:
        """Width²·depth, to which the blocks' parameters are proportional."""
        return self.width**2 * self.depth

    @property
    def scale(self) -> float:
        """What the rule divides by."""
        return self.width * math.sqrt(self.depth)

    @property
    def best(self) -> Best:
        """Of the trials that did not diverge."""
        losses = [math.inf if trial.loss is None else trial.loss for trial in self.trials]
        at = int(np.argmin(losses))
        inside = 0 < at < len(losses) - 1
        around = slice(at - 1, at + 2)
        if not inside or math.inf in losses[around]:
            return Best(self.trials[at].rate, losses[at], inside)
        logs = [math.log(trial.rate / self.trials[at].rate) for trial in self.trials[around]]
        a, b, c = np.polyfit(logs, losses[around], 2)
        if a <= 0:  # three equal losses
            return Best(self.trials[at].rate, losses[at], inside)
        return Best(self.trials[at].rate * math.exp(-b / (2 * a)), float(c - b**2 / (4 * a)), inside)


@dataclass(frozen=True)
class Sweep:
    """What is in the folder of a sweep."""

    shapes: tuple[Swept, ...]
    """Small to large, of one size the deep one first."""
    unfinished: int
    """Runs that are still to finish: they are left out."""
    spec: RunSpec
    """Of one of the runs; all have its tokens, corpus and seed."""
    start: Start
    """Of its first session."""


def read(folder: Path) -> Sweep:
    """The finished and the diverged runs of the suite in `folder`."""
    names = read_suite(folder).runs
    runs = [
        (read_run(folder / name).spec, ledger_of(folder / name)) for name in names if (folder / name).exists()
    ]
    done = [(spec, ledger) for spec, ledger in runs if ledger.state in ("finished", "diverged")]
    if not any(ledger.state == "finished" for _, ledger in done):
        raise InvalidRequest(f"{folder} has no finished run: let `gemstones suite run` go on")
    if len({(spec.width, spec.depth, spec.learning_rate) for spec, _ in done}) < len(done):
        raise InvalidRequest(
            f"{folder} has two runs of a shape at one learning rate: sweep one family and one seed"
        )
    if len({(spec.steps, spec.corpus_fingerprint, spec.seed) for spec, _ in done}) > 1:
        raise InvalidRequest(
            f"{folder} has runs that differ in tokens, corpus or seed: their losses do not compare"
        )
    trials: dict[tuple[int, int], list[Trial]] = {}
    for spec, ledger in sorted(done, key=lambda run: run[0].learning_rate):
        loss = None if ledger.state == "diverged" else ledger.evaluations[-1].loss
        rollbacks = sum(isinstance(event, Rollback) for event in ledger.events)
        trials.setdefault((spec.width, spec.depth), []).append(Trial(spec.learning_rate, loss, rollbacks))
    shapes = [Swept(width, depth, tuple(of_shape)) for (width, depth), of_shape in trials.items()]
    shapes.sort(key=lambda shape: (shape.size, shape.width))
    return Sweep(tuple(shapes), len(names) - len(done), done[0][0], done[0][1].starts[0])


def spread(values: Sequence[float]) -> float:
    """The largest over the smallest."""
    return max(values) / min(values)


def one_rate_for_all(
    shapes: Sequence[Swept], axis: Callable[[Swept, float], float]
) -> tuple[float, float] | None:
    """The value on `axis` that all shapes tried and that is least bad for the worst, and how bad (nats).

    Bad is the loss above the least that the shape had on its grid.
    """
    tried: dict[float, list[float]] = {}
    for shape in shapes:
        finished = [(trial.rate, trial.loss) for trial in shape.trials if trial.loss is not None]
        least = min((loss for _, loss in finished), default=math.inf)
        for rate, loss in finished:
            tried.setdefault(float(f"{axis(shape, rate):.6g}"), []).append(loss - least)
    worst = {value: max(above) for value, above in tried.items() if len(above) == len(shapes)}
    return min(worst.items(), key=lambda pair: pair[1], default=None)


def farthest(shapes: Sequence[Swept]) -> Swept:
    """The shape whose best lr_eff·width·√depth is farthest from the median of all, in the logarithm."""
    logs = np.log([shape.best.rate * shape.scale for shape in shapes])
    return shapes[int(np.abs(logs - np.median(logs)).argmax())]


def verdict(apart: float, together: float) -> str:
    """Whether best rates that span `apart` collapse under the rule, where they span `together`.

    They do where the rule removes half of the spread, in the logarithm, and leaves no more than a `STEP`.
    """
    left = math.log(together) / math.log(apart) if apart > 1 else math.inf
    share = f"the rule leaves {left:.0%} of the spread (in the logarithm)"
    if left >= 1:
        return "they do not collapse, the rule brings them no closer together"
    if left > 0.5 or together > STEP:
        return f"they do not collapse, {share}"
    return f"they collapse, {share}"


def findings(shapes: Sequence[Swept]) -> list[str]:
    """What the sweep says of the rule, a sentence or two each."""
    known = [shape for shape in shapes if shape.best.inside]
    said = []
    if ends := [shape.name for shape in shapes if not shape.best.inside]:
        said.append(
            f"The best rate of {', '.join(ends)} is at the end of its grid, so its optimum is not known and not used "
            "below."
        )
    else:
        said.append(f"The optimum of each of the {len(shapes)} shapes lies inside its grid.")
    if len({shape.scale for shape in known}) > 1:
        rates = [shape.best.rate for shape in known]
        apart, together = spread(rates), spread([shape.best.rate * shape.scale for shape in known])
        slope = float(np.polyfit(np.log([shape.scale for shape in known]), np.log(rates), 1)[0])
        said.append(
            f"Over {len(known)} shapes whose width²·depth spans a factor {spread([s.size for s in known]):.3g}, best "
            f"{EFFECTIVE} spans a factor {apart:.2f} and best {SCALED} a factor {together:.2f}: "
            f"{verdict(apart, together)}."
        )
        odd = farthest(known)
        if rest := [shape.best.rate for shape in known if shape is not odd]:
            scaled = [shape.best.rate * shape.scale for shape in known if shape is not odd]
            said[-1] += (
                f" Without {odd.name}, the farthest, the factors are {spread(rest):.2f} and {spread(scaled):.2f}."
            )
        said.append(
            f"Best {EFFECTIVE} goes as width·√depth to the power {slope:.2f} (least squares in logarithms); the rule's "
            "power is -1, a constant rate's 0."
        )
    for one, other in combinations(known, 2):
        if one.size == other.size:
            apart = spread([one.best.rate, other.best.rate])
            said.append(
                f"{one.name} and {other.name} are of one size, so the rule gives them one rate: their best are a "
                f"factor {apart:.2f} apart."
            )
    scaled_one = one_rate_for_all(shapes, lambda shape, rate: rate * shape.scale)
    rate_one = one_rate_for_all(shapes, lambda _, rate: rate)
    if scaled_one is not None and rate_one is not None:
        said.append(
            f"With one {SCALED} for all shapes, {scaled_one[0]:.3g}, no shape loses more than "
            f"{scaled_one[1]:.3f} nats/token against the best of its own grid; with one {EFFECTIVE} for all, "
            f"{rate_one[0]:.3g}, up to {rate_one[1]:.3f}."
        )
    if diverged := [
        f"{s.name} at {t.rate * s.scale:.3g}" for s in shapes for t in s.trials if t.loss is None
    ]:
        said.append(f"Diverged and given up: {', '.join(diverged)} (values of {SCALED}).")
    return said


def best_table(shapes: Sequence[Swept]) -> str:
    """A row for each shape's optimum."""
    lines = [
        f"| shape | width²·depth | width / depth | best {EFFECTIVE} | best {SCALED} | least loss | inside |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    for shape in shapes:
        best = shape.best
        lines.append(
            f"| {shape.name} | {shape.size:,} | {shape.width / shape.depth:g} | {best.rate:.3g} "
            f"| {best.rate * shape.scale:.3g} | {best.loss:.4f} | {'yes' if best.inside else 'no'} |"
        )
    return "\n".join(lines)


def loss_table(shapes: Sequence[Swept]) -> str:
    """A row for each shape, a column for each value of lr_eff·width·√depth."""
    values = sorted({float(f"{trial.rate * shape.scale:.6g}") for shape in shapes for trial in shape.trials})
    lines = [f"| shape | {' | '.join(f'{value:g}' for value in values)} |", f"|---|{'---:|' * len(values)}"]
    for shape in shapes:
        cells = {float(f"{trial.rate * shape.scale:.6g}"): trial for trial in shape.trials}
        least = min((trial.loss for trial in shape.trials if trial.loss is not None), default=None)
        lines.append(f"| {shape.name} | {' | '.join(_cell(cells.get(value), least) for value in values)} |")
    return "\n".join(lines)


def _cell(trial: Trial | None, least: float | None) -> str:
    if trial is None:
        return ""
    if trial.loss is None:
        return "diverged"
    text = f"{trial.loss:.4f}{'*' if trial.rollbacks else ''}"
    return f"**{text}**" if trial.loss == least else text


def figure(shapes: Sequence[Swept], title: str) -> alt.HConcatChart:
    """Loss over lr_eff, and over lr_eff·width·√depth: lines through the trials, a diamond at each optimum."""
    import altair as alt

    from gemstones.figures import style

    colors = [style.ORANGE, style.TEAL, style.BLUE, style.MAGENTA, style.BLACK, style.RED, style.GREY]
    names = [shape.name for shape in shapes]
    scale = alt.Scale(domain=names, range=[colors[i % len(colors)] for i in range(len(names))])

    def row(shape: Swept, rate: float, loss: float, kind: str) -> dict[str, Any]:
        return {"shape": shape.name, EFFECTIVE: rate, SCALED: rate * shape.scale, "loss": loss, "kind": kind}

    rows = [row(s, t.rate, t.loss, "trial") for s in shapes for t in s.trials if t.loss is not None]
    rows += [row(s, s.best.rate, s.best.loss, "best") for s in shapes if s.best.inside]
    # Rates at which a run diverged have no loss: a cross at the upper rim.
    top = style.padded(min(r["loss"] for r in rows), max(r["loss"] for r in rows))
    rows += [row(s, t.rate, top[1], "diverged") for s in shapes for t in s.trials if t.loss is None]

    def panel(field: str, *, legend: bool) -> Any:
        values = [row[field] for row in rows]
        key = alt.Legend(title="Shape", symbolType="circle") if legend else None
        base = alt.Chart(alt.NamedData(name="sweep")).encode(
            style.log_x(field, field, style.padded(min(values), max(values)), "plain"),
            style.log_y("loss", "Held-out loss (nats/token)", top, "plain"),
            alt.Color("shape:N", scale=scale, legend=key),
        )
        trials = base.transform_filter("datum.kind == 'trial'")
        marks = [
            trials.mark_line(strokeWidth=style.LINE_WIDTH, opacity=0.8),
            trials.mark_circle(size=45, opacity=1),
            base.transform_filter("datum.kind == 'best'").mark_point(
                shape="diamond", size=190, filled=False, strokeWidth=2
            ),
            base.transform_filter("datum.kind == 'diverged'").mark_point(
                shape="cross", size=110, filled=True
            ),
        ]
        return alt.layer(*marks).properties(width=style.PANEL_WIDTH, height=style.PANEL_HEIGHT)

    crossed = "; crosses: diverged" if any(row["kind"] == "diverged" for row in rows) else ""
    subtitle = (
        f"One run for each shape and rate; diamonds: optimum of the parabola through the best three{crossed}"
    )
    panels = alt.hconcat(panel(EFFECTIVE, legend=False), panel(SCALED, legend=True))
    heading = alt.TitleParams(title, subtitle=subtitle, offset=14)
    themed: alt.HConcatChart = style.themed(
        panels.resolve_scale(color="independent").properties(title=heading)
    )
    themed.datasets = {"sweep": rows}
    return themed


def page(sweep: Sweep) -> str:
    """The README: what was done, what came of it, how to do it again."""
    shapes, spec, start = sweep.shapes, sweep.spec, sweep.start
    runs = sweep.unfinished + sum(len(shape.trials) for shape in shapes)
    waiting = (
        f"{sweep.unfinished} of {runs} runs are not finished and left out: what follows is provisional.\n\n"
    )
    machine = (
        f"torch {start.versions.get('torch', 'unknown')}, {start.device}, {counted(start.threads, 'thread')}"
    )
    said = "\n".join(f"- {sentence}" for sentence in findings(shapes))
    rolled_back = any(trial.rollbacks for shape in shapes for trial in shape.trials)
    starred = ", an asterisk marks a rollback on the way" if rolled_back else ""
    return f"""# Does the learning-rate rule hold at this scale?

Written by `studies/learning_rate.py` from the ledgers of the runs; not by hand.

{waiting if sweep.unfinished else ""}The recipe gives a shape the rate lr_eff = lr_base / (width · √depth). Here shapes
are trained at several rates each, on {spec.steps * spec.batch_tokens:,} tokens of the corpus of
[Pebbles](../pebbles/README.md) (fingerprint `{spec.corpus_fingerprint[:16]}…`), at a constant rate after the warm-up:
one run for each shape and rate, seed {spec.seed}, {spec.precision} ({machine}).
The loss is that of the held-out windows after the last step.

![Held-out loss over the rate and over the scaled rate]({FIGURE}.svg)

## Optima

{best_table(shapes)}

Best rates are the vertices of parabolas through the best trial and its two neighbours, in log rate; inside is an
optimum with rates of the grid on both sides. Losses are in nats/token.

{said}

One seed and one evaluation each: where neighbouring losses differ by a hundredth of a nat, the vertex is uncertain by a
good part of a step of the grid.

## Losses

Columns are {SCALED}, cells nats/token; the least of a shape is bold{starred}.

{loss_table(shapes)}

## Again

```console
$ gemstones suite run studies/learning-rate.toml --corpus CORPUS --output RUNS --slots 2 --threads 1
$ python studies/learning_rate.py RUNS
```

[The recipe of Pebbles](../pebbles/README.md) makes CORPUS.
"""


def main() -> None:
    """Write README.md and the figure."""
    from gemstones.figures.save import save_figure

    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=as_written)
    parser.add_argument("runs", type=Path, help="folder of `gemstones suite run`")
    parser.add_argument("--output", type=Path, default=HERE, help="folder to write to (default: %(default)s)")
    given = parser.parse_args()
    sweep = read(given.runs)
    given.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        drawn = figure(sweep.shapes, "Held-out loss over the learning rate")
        _, drawing = save_figure(drawn, Path(scratch, FIGURE))
        write_text(given.output / drawing.name, drawing.read_text())
    write_text(given.output / "README.md", page(sweep))
    print("\n".join(findings(sweep.shapes)))


if __name__ == "__main__":
    main()
