"""The rule of the learning rate from a sweep over shapes and horizons: table, figure and words, from its runs.

    gemstones suite run studies/rate-rule.toml --corpus CORPORA/all --output RUNS --threads 1
    python studies/rate_rule.py RUNS [--output studies/rate-rule] [--rule]

A bowl (parabola in log rate, through the best trial and its two neighbours) is fitted to the annealed losses of every
shape and horizon; the rule

    lr_eff = c / (width · √depth)^power · tokens^q

to their vertices, by least squares in logarithms. A suite at a constant rate with cooldowns at equal FLOPs has horizons
that differ by size, tokens = FLOPs / FLOPs per token: at the FLOPs in the middle of its budgets the rule is one of the
size alone, lr_base and rate_power of its file.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from gemstones.accounting.flops import flops_per_token
from gemstones.design.suite import load_suite, suite_shapes
from gemstones.errors import InvalidRequest
from gemstones.files import write_text
from gemstones.runs.folders import ledger_of, read_run, read_suite
from gemstones.shape import Shape
from gemstones.units import format_quantity

if TYPE_CHECKING:
    import altair as alt

FloatArray: TypeAlias = "np.ndarray[tuple[int, ...], np.dtype[np.float64]]"
SUITE = Path(__file__).resolve().parent / "pebbles-2.toml"
LARGEST = ("160x5", "128x8", "96x13")
MIDDLE_FLOPS, LARGEST_FLOPS, MUON_FLOPS = 4e12, 1.6e13, 4e12
"""In the middle of the budgets (Appendix G) of the suite, of its largest shapes, and of its family muon."""
HERE = Path(__file__).resolve().parent / "rate-rule"
FIGURE = "rate-rule"


@dataclass(frozen=True)
class Bowl:
    """The annealed losses of a shape at one horizon, by rate."""

    recipe: str
    width: int
    depth: int
    tokens: int
    """At the end of the cooldown."""
    rates: tuple[float, ...]
    """lr_eff, ascending."""
    losses: tuple[float, ...]
    """Held-out, nats/token."""
    lr_bases: tuple[float, ...]

    @property
    def name(self) -> str:
        """As everywhere, with the horizon."""
        return f"{self.width}x{self.depth}, {format_quantity(self.tokens)} tokens"

    @property
    def scale(self) -> float:
        """What the paper's rule divides by."""
        return self.width * math.sqrt(self.depth)

    @property
    def inside(self) -> bool:
        """Whether there are rates on both sides of the best one."""
        return 0 < int(np.argmin(self.losses)) < len(self.losses) - 1

    @property
    def vertex(self) -> tuple[float, float]:
        """Rate and loss at the bottom of the bowl; of the best trial if that is at the end of the grid."""
        at = int(np.argmin(self.losses))
        if not self.inside:
            return self.rates[at], self.losses[at]
        around = slice(at - 1, at + 2)
        logs = np.log(np.array(self.rates[around]) / self.rates[at])
        a, b, c = np.polyfit(logs, self.losses[around], 2)
        return self.rates[at] * math.exp(-b / (2 * a)), float(c - b**2 / (4 * a))


@dataclass(frozen=True)
class Rule:
    """lr_eff = constant / (width · √depth)^power · tokens^tokens_power."""

    constant: float
    power: float
    tokens_power: float

    def rate(self, scale: float, tokens: float) -> float:
        """lr_eff of a shape of this scale at this horizon."""
        return self.constant / scale**self.power * tokens**self.tokens_power


@dataclass(frozen=True)
class SuiteRule:
    """lr_eff = lr_base / (width · √depth)^rate_power, and the lr_base of the largest shapes."""

    lr_base: float
    rate_power: float
    largest: float

    def rate(self, scale: float) -> float:
        """lr_eff of a shape of this scale."""
        return self.lr_base / scale**self.rate_power


def bowls(folder: Path) -> tuple[Bowl, ...]:
    """Of all finished cooldowns of the suite in `folder`; by recipe, size and horizon."""
    found: dict[tuple[str, int, int, int], list[tuple[float, float, float]]] = {}
    for name in read_suite(folder).runs:
        spec, ledger = read_run(folder / name).spec, ledger_of(folder / name)
        if spec.falls and ledger.state == "finished":
            key = (spec.recipe, spec.width, spec.depth, spec.trained_tokens)
            found.setdefault(key, []).append((spec.learning_rate, ledger.evaluations[-1].loss, spec.lr_base))
    if not found:
        raise InvalidRequest(f"{folder} has no finished cooldown: let `gemstones suite run` go on")
    made = [Bowl(*key, *zip(*sorted(trials), strict=True)) for key, trials in found.items()]
    return tuple(sorted(made, key=lambda bowl: (bowl.recipe, bowl.width**2 * bowl.depth, bowl.tokens)))


def rule_of(found: Sequence[Bowl]) -> Rule:
    """Through the vertices of the bowls of the recipe `gemstones`, which need two shapes and two horizons."""
    known = [bowl for bowl in found if bowl.recipe == "gemstones" and bowl.inside]
    if len({bowl.scale for bowl in known}) < 2 or len({bowl.tokens for bowl in known}) < 2:
        raise InvalidRequest(
            "a rule needs optima inside their grids at two shapes and two horizons: widen lr_base"
        )
    design = [[1.0, -math.log(bowl.scale), math.log(bowl.tokens)] for bowl in known]
    logs = [math.log(bowl.vertex[0]) for bowl in known]
    constant, power, tokens_power = np.linalg.lstsq(np.array(design), np.array(logs), rcond=None)[0]
    return Rule(math.exp(constant), float(power), float(tokens_power))


def suite_rule(rule: Rule) -> SuiteRule:
    """Of the suite file: through the rates of its shapes at `MIDDLE_FLOPS`, its largest at `LARGEST_FLOPS`."""
    shapes = [shape for shape in suite_shapes(load_suite(SUITE)) if str(shape) not in LARGEST]
    large = [shape for shape in suite_shapes(load_suite(SUITE)) if str(shape) in LARGEST]

    def log_rates(of: Sequence[Shape], flops: float) -> FloatArray:
        return np.log([rule.rate(scale_of(shape), flops / flops_per_token(shape)) for shape in of])

    scales = np.log([scale_of(shape) for shape in shapes])
    slope, _ = np.polyfit(scales, log_rates(shapes, MIDDLE_FLOPS), 1)
    power = min(2.0, max(0.0, round(-slope * 20) / 20))
    base = np.mean(log_rates(shapes, MIDDLE_FLOPS) + power * scales)
    largest = np.mean(log_rates(large, LARGEST_FLOPS) + power * np.log([scale_of(shape) for shape in large]))
    return SuiteRule(_two_digits(math.exp(base)), power, _two_digits(math.exp(largest)))


def muon_base(found: Sequence[Bowl], rule: Rule) -> float | None:
    """Muon's lr_base at `MUON_FLOPS`: the vertex of its bowl, moved by the rule's power of tokens; None without one."""
    for bowl in found:
        if bowl.recipe == "muon":
            shape = Shape(bowl.width, bowl.depth, head_size=16, queries_per_kv=1, vocabulary=512, context=256)
            tokens = MUON_FLOPS / flops_per_token(shape)
            base = bowl.lr_bases[0] * bowl.vertex[0] / bowl.rates[0]
            return _two_digits(base * (tokens / bowl.tokens) ** rule.tokens_power)
    return None


def scale_of(shape: Shape) -> float:
    """What the paper's rule divides by."""
    return shape.width * math.sqrt(shape.depth)


def _two_digits(value: float) -> float:
    return float(f"{value:.2g}")


def table(found: Sequence[Bowl]) -> Iterator[str]:
    """A row for each bowl."""
    yield "| recipe | shape | tokens | losses at lr_base | best lr_eff | its lr_base | least loss | inside |"
    yield "|---|---|---:|---|---:|---:|---:|---|"
    for bowl in found:
        losses = ", ".join(
            f"{base:g}: {loss:.4f}" for base, loss in zip(bowl.lr_bases, bowl.losses, strict=True)
        )
        rate, loss = bowl.vertex
        base = bowl.lr_bases[0] * rate / bowl.rates[0]
        yield (
            f"| {bowl.recipe} | {bowl.width}x{bowl.depth} | {bowl.tokens:,} | {losses} | {rate:.3g} | {base:.3g} "
            f"| {loss:.4f} | {'yes' if bowl.inside else 'no'} |"
        )


def figure(found: Sequence[Bowl], title: str) -> alt.LayerChart:
    """Losses over the rate, a curve for each bowl of the recipe `gemstones`."""
    import altair as alt

    from gemstones.figures import style

    rows: list[dict[str, Any]] = []
    for bowl in (bowl for bowl in found if bowl.recipe == "gemstones"):
        for rate, loss in zip(bowl.rates, bowl.losses, strict=True):
            rows.append({"bowl": bowl.name, "lr_eff": rate, "loss": loss, "kind": "trial"})
        if bowl.inside:
            rate, loss = bowl.vertex
            rows.append({"bowl": bowl.name, "lr_eff": rate, "loss": loss, "kind": "best"})
    losses, rates = [row["loss"] for row in rows], [row["lr_eff"] for row in rows]
    base = alt.Chart(alt.NamedData(name="sweep")).encode(
        style.log_x("lr_eff", "lr_eff", style.padded(min(rates), max(rates)), "plain"),
        style.log_y(
            "loss", "Annealed held-out loss (nats/token)", style.padded(min(losses), max(losses)), "plain"
        ),
        alt.Color("bowl:N", legend=alt.Legend(title="Shape, horizon"), sort=None),
    )
    trials = base.transform_filter("datum.kind == 'trial'")
    best = base.transform_filter("datum.kind == 'best'")
    layers = alt.layer(
        trials.mark_line(strokeWidth=style.LINE_WIDTH, opacity=0.8),
        trials.mark_circle(size=45, opacity=1),
        best.mark_point(shape="diamond", size=190, filled=False, strokeWidth=2),
    ).properties(
        width=style.PANEL_WIDTH,
        height=style.PANEL_HEIGHT,
        title=alt.TitleParams(
            title, subtitle="Diamonds: vertex of the parabola in log rate through the best three"
        ),
    )
    themed: alt.LayerChart = style.themed(layers)
    themed.datasets = {"sweep": rows}
    return themed


def page(folder: Path) -> str:
    """The README."""
    found = bowls(folder)
    rule = rule_of(found)
    of_suite = suite_rule(rule)
    muon = muon_base(found, rule)
    unfinished = sum(ledger_of(folder / name).state != "finished" for name in read_suite(folder).runs)
    waiting = (
        f"{unfinished} runs are not finished and left out: what follows is provisional.\n\n"
        if unfinished
        else ""
    )
    first = read_suite(folder).runs[0]
    start, spec = ledger_of(folder / first).starts[0], read_run(folder / first).spec
    machine = f"torch {start.versions.get('torch', 'unknown')}, {start.device}"
    of_muon = "" if muon is None else f"    lr_base = {muon:g}      # of Muon, at {MUON_FLOPS:.1e} FLOPs\n"
    return f"""# The rate of Pebbles, from a sweep over sizes and horizons

Written by `studies/rate_rule.py` from the ledgers of the runs; not by hand.

{waiting}Two shapes at several rates, each with cooldowns (linear, over a further fifth) at two horizons: the losses are
annealed ones, on {spec.evaluate_sequences} held-out windows of {spec.context} tokens. Seed {spec.seed},
{spec.precision}, batches of {spec.batch_tokens:,} tokens ({machine}). The corpus is that of
[Pebbles](../pebbles/second.md), fingerprint `{spec.corpus_fingerprint[:16]}…`.

![Annealed loss over the rate]({FIGURE}.svg)

{chr(10).join(table(found))}

Best rates are vertices of parabolas in log rate through the best trial and its two neighbours. Least squares through
those of the recipe `gemstones`:

    lr_eff = {rule.constant:.3g} / (width · √depth)^{rule.power:.2f} · tokens^{rule.tokens_power:.2f}

The paper's rule has the power 1 of the scale and knows no horizon. A suite at equal FLOPs trains small shapes on more
tokens than large ones, in proportion to FLOPs over FLOPs per token; at {MIDDLE_FLOPS:.1e} FLOPs, in the middle of the
budgets of Pebbles ({LARGEST_FLOPS:.1e} for its three largest shapes), the rates of its shapes are those of

    lr_base = {of_suite.lr_base:g}
    rate_power = {of_suite.rate_power:g}
    lr_base = {of_suite.largest:g}      # of the largest
{of_muon}
which is the rule of [`pebbles-2.toml`](../pebbles-2.toml). One seed, two shapes and two horizons determine three
constants with one to spare; the smallest shapes are trained on twice the tokens of the longest horizon here. The
rule is for this suite and no law; a family at half the rate says what it is worth at its own horizons.
"""


def main() -> None:
    """Write README.md and the figure, or say the rule."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, help="folder of `gemstones suite run`")
    parser.add_argument("--output", type=Path, default=HERE, help="folder to write to (default: %(default)s)")
    parser.add_argument(
        "--rule",
        action="store_true",
        help="print lr_base, rate_power, and lr_base of the largest and of Muon",
    )
    given = parser.parse_args()
    try:
        found = bowls(given.runs)
        if given.rule:
            rule = rule_of(found)
            of_suite, muon = suite_rule(rule), muon_base(found, rule)
            print(of_suite.lr_base, of_suite.rate_power, of_suite.largest, *([] if muon is None else [muon]))
            return
        from gemstones.figures.save import save_figure

        given.output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as scratch:
            drawn = figure(found, "Annealed held-out loss over the learning rate")
            _, drawing = save_figure(drawn, Path(scratch, FIGURE))
            write_text(given.output / drawing.name, drawing.read_text())
        write_text(given.output / "README.md", page(given.runs))
    except InvalidRequest as error:
        sys.exit(f"rate_rule.py: {error}")


if __name__ == "__main__":
    main()
