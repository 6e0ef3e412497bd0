"""The rule of the learning rate from a sweep over shapes and horizons: table, figure and words, from its runs.

    gemstones suite run studies/rate-rule.toml --corpus CORPORA/all --output RUNS --threads 1
    python studies/rate_rule.py RUNS [--output studies/rate-rule] [--rule]

A bowl (parabola in log rate, through the best trial and its two neighbours) is fitted to the annealed losses of every
shape and horizon; the rule

    lr_eff = c / (width · √depth)^power · tokens^q

to their vertices, by least squares in logarithms. At the longest horizon it is lr_base and rate_power of a suite file.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gemstones.errors import InvalidRequest
from gemstones.files import write_text
from gemstones.runs.folders import ledger_of, read_run, read_suite
from gemstones.units import format_quantity

if TYPE_CHECKING:
    import altair as alt

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

    def above(self, rate: float) -> float:
        """Nats above the vertex at `rate`, by the same parabola (by the nearest trials outside of it)."""
        log = np.interp(math.log(rate), np.log(self.rates), self.losses)
        if not self.inside:
            return float(log) - min(self.losses)
        at = int(np.argmin(self.losses))
        around = slice(at - 1, at + 2)
        parabola = np.polyfit(np.log(np.array(self.rates[around])), self.losses[around], 2)
        inside = self.rates[at - 1] <= rate <= self.rates[at + 1]
        return float(np.polyval(parabola, math.log(rate)) if inside else log) - self.vertex[1]


@dataclass(frozen=True)
class Rule:
    """lr_eff = constant / (width · √depth)^power · tokens^tokens_power."""

    constant: float
    power: float
    tokens_power: float
    tokens: int
    """The horizon that a suite's rule is taken at: the longest."""

    @property
    def lr_base(self) -> float:
        """Of a suite file, with `power` as its rate_power."""
        return self.constant * self.tokens**self.tokens_power

    def rate(self, bowl: Bowl) -> float:
        """lr_eff of the suite's rule for the shape of `bowl`, whatever its horizon."""
        return self.lr_base / bowl.scale**self.power


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
    return Rule(math.exp(constant), float(power), float(tokens_power), max(bowl.tokens for bowl in known))


def rounded(rule: Rule) -> tuple[float, float]:
    """lr_base and rate_power for a suite file: the power to 0.05, the base at the middle of the shapes as it was."""
    power = min(2.0, max(0.0, round(rule.power * 20) / 20))
    middle = 50.0
    return float(f"{rule.lr_base * middle ** (power - rule.power):.2g}"), power


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

    from gemstones.report import style

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
    lr_base, power = rounded(rule)
    suite_rule = Rule(lr_base, power, 0.0, rule.tokens)
    of_gemstones = [bowl for bowl in found if bowl.recipe == "gemstones"]
    worst = max(of_gemstones, key=lambda bowl: bowl.above(suite_rule.rate(bowl)))
    unfinished = sum(ledger_of(folder / name).state != "finished" for name in read_suite(folder).runs)
    waiting = (
        f"{unfinished} runs are not finished and left out: what follows is provisional.\n\n"
        if unfinished
        else ""
    )
    first = read_suite(folder).runs[0]
    start, spec = ledger_of(folder / first).starts[0], read_run(folder / first).spec
    machine = f"torch {start.versions.get('torch', 'unknown')}, {start.device}"
    wants = "a lower" if rule.tokens_power < 0 else "a higher"
    most = max(0.0, worst.above(suite_rule.rate(worst)))
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

The paper's power of the scale is 1; a longer horizon wants {wants} rate. At {rule.tokens:,} tokens,
the longest horizon here, rounded, it is the rule of the suite:

    lr_base = {lr_base:g}
    rate_power = {power:g}

By the parabolas that costs at most {most:.3f} nats/token ({worst.name}). One seed, two
shapes and two horizons determine three constants with one to spare: the rule is for this suite, and no law. It has
a family at half the rate, which says what the rule is worth at its own horizons.
"""


def main() -> None:
    """Write README.md and the figure, or say the rule."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, help="folder of `gemstones suite run`")
    parser.add_argument("--output", type=Path, default=HERE, help="folder to write to (default: %(default)s)")
    parser.add_argument(
        "--rule", action="store_true", help="print lr_base, rate_power and Muon's lr_base, only"
    )
    given = parser.parse_args()
    try:
        found = bowls(given.runs)
        if given.rule:
            muon = [bowl for bowl in found if bowl.recipe == "muon"]
            bases = [bowl.lr_bases[0] * bowl.vertex[0] / bowl.rates[0] for bowl in muon]
            print(*rounded(rule_of(found)), *(f"{base:.2g}" for base in bases[:1]))
            return
        from gemstones.report.save import save_figure

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
