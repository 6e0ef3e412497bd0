"""What the paper says of its suite (§1, §3, Appendices E and F), beside the published run tables."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gemstones.accounting.parameters import params
from gemstones.design.recipe import LR_BASE
from gemstones.paper.claim import (
    NO_INTERVAL,
    PER_CENT,
    Chapter,
    Claim,
    beyond,
    exact,
    number,
    statement,
)
from gemstones.paper.learning_rates import Optima
from gemstones.paper.shape_claims import WORDS, names, shape_claims
from gemstones.paper.shapes import trained_shapes
from gemstones.runs import RunTable, selections_of
from gemstones.runs.lr_sweep import load_lr_sweep
from gemstones.shape import FloatArray, Shape
from gemstones.units import format_quantity

ROWS = {
    "all": 770,
    "all-2B": 3850,
    "le100B": 220,
    "le100B-2B": 1100,
    "gt120B": 528,
    "gt120B-2B": 2552,
    "lr-ablation": 200,
    "lr-ablation-2B": 1000,
    "cooldown": 199,
    "width512": 175,
    "chinchilla-reduced": 24,
    "epoch": 240,
    "hoffmann-reduced": 28,
}
"""Rows of the selections of Figure 6, and of two of the Chinchilla extraction."""
REDUCED_MODELS = 5
NOT_ABLATED = ("512x11", "512x14")
NOT_COOLED = "3072x12 at 100B"
SEQUENCES, CONTEXT = 2048, 2048
COOLED = 0.1
"""Tokens of a cooldown, of those that its run had seen."""
COOLDOWNS = 10
SWEEP_SHAPES = ("768x64", "512x128")
"""Width and depth as §3.1 prints them."""
SWEEP_RATES = (1e-4, 5e-2)
FEW_PERCENT = 0.02
"""Of loss, under which a difference is marginal and a run has not diverged."""
COUNT = f"{NO_INTERVAL}a count"


def suite_chapter(gemstones: RunTable, chinchilla: RunTable, optima: Optima) -> Chapter:
    """Counts, training, accounting, learning rates; `optima` are of the sweep."""
    claims = [
        *_size(gemstones),
        *_training(gemstones),
        *_ablations(gemstones),
        *_selections(gemstones, chinchilla),
        *shape_claims(trained_shapes(gemstones)),
        *_sweep(optima),
        *_half_rate(gemstones),
    ]
    return Chapter(
        "The suite",
        "Counted from the published run tables and from the closed forms of parameters and FLOPs per token. Rows of "
        "selections, parameters, and FLOPs per token are beside those of the released code and files; losses are "
        "validation losses in nats per token.",
        tuple(claims),
        (2, 3, 22, 23, 24),
    )


def _size(runs: RunTable) -> Iterator[Claim]:
    main, half, cooled = (runs.select(name) for name in ("all-2B", "lr-ablation-2B", "cooldown"))
    yield statement(
        "§1",
        "more than 4,000 checkpoints",
        f"{main.rows + half.rows + cooled.rows:,}: {main.rows:,} of the main runs, {half.rows:,} at half the rate, "
        f"{cooled.rows:,} cooled down",
        main.rows + half.rows > 4000,
        interval=COUNT,
    )
    # Main and half-rate runs were trained to their last row; a cooldown adds a tenth of the tokens that it began with.
    constant = sum(float(_last(table, "tokens").sum()) for table in (main, half))
    added = float(cooled.numbers("tokens").sum()) * COOLED / (1 + COOLED)
    yield statement(
        "§1",
        "over 10 trillion tokens in all",
        f"{(constant + added) / 1e12:.2f}T: {constant / 1e12:.2f}T at a constant rate, {added / 1e12:.2f}T cooled",
        constant + added > 10e12,
        interval=COUNT,
    )
    yield exact("§3", "shapes", 22, main.runs)
    for quantity, ends in (("width", (256, 3072)), ("depth", (3, 80))):
        values = main.numbers(quantity)
        yield exact("§3", f"range of {quantity}", _to(ends), _to((int(values.min()), int(values.max()))))
    sizes = main.numbers("params_total")
    for which, size, ours in (("smallest", 50e6, sizes.min()), ("largest", 2e9, sizes.max())):
        yield number(
            "§3",
            f"total parameters of the {which} model",
            size,
            float(ours),
            within=0.05,
            interval=f"{NO_INTERVAL}a closed form",
            write=format_quantity,
            check=True,
        )


def _to(ends: tuple[int, int]) -> str:
    return f"{ends[0]} to {ends[1]}"


def _last(table: RunTable, column: str) -> FloatArray:
    """A column at each run's last checkpoint, (runs,), in the order of `run_codes`."""
    order = np.argsort(table.numbers("tokens"), kind="stable")
    last = np.zeros(table.runs)
    last[table.run_codes[order]] = table.numbers(column)[order]
    return last


def _training(runs: RunTable) -> Iterator[Claim]:
    main = runs.select("all-2B")
    tokens, steps, losses = (main.numbers(name) for name in ("tokens", "step", "loss"))
    per_step = np.unique(tokens / steps)
    yield exact(
        "§3",
        f"tokens per step: {SEQUENCES} sequences of {CONTEXT}",
        f"{SEQUENCES * CONTEXT:,}",
        ", ".join(f"{value:,.0f}" for value in per_step),
    )
    for says, paper, ours in (
        ("tokens between checkpoints", 2e9, float(np.diff(np.unique(tokens)).max())),
        ("tokens of every main run", 350e9, float(_last(main, "tokens").min())),
    ):
        yield number("§3", says, paper, ours, within=PER_CENT, interval=COUNT, write=_billions, check=True)
    least = np.full(main.runs, np.inf)
    np.minimum.at(least, main.run_codes, losses)
    above = _last(main, "loss") / least - 1
    worst = int(above.argmax())
    yield statement(
        "§3.1",
        "all models are trained to 350B tokens without divergence",
        f"last loss at most {above[worst]:.1%} above the run's least ({_names(main)[worst]})",
        bool(above[worst] < FEW_PERCENT),
        interval=f"{NO_INTERVAL}each shape was trained once",
        why=f"under {FEW_PERCENT:.0%} counts as not diverged",
    )
    rises = _rises(main)
    yield beyond(
        "§3.1, Figure 23",
        "loss spikes, which the paper has of the wider models: the largest rises above an earlier checkpoint, and that "
        "of the widest for its depth",
        ", ".join(f"{name} {rises[name]:.1%}" for name in [*list(rises)[:3], "2560x8"]),
        f"{NO_INTERVAL}each shape was trained once",
        "checkpoints are 2B tokens apart, after rollbacks and the patch of Appendix F.2",
    )


def _names(table: RunTable) -> list[str]:
    """Shapes in the order of `run_codes`."""
    widths, depths = (_last(table, column) for column in ("width", "depth"))
    return [f"{w:.0f}x{d:.0f}" for w, d in zip(widths, depths, strict=True)]


def _rises(table: RunTable) -> dict[str, float]:
    """By shape, the largest first: how far loss was above its least so far, as a fraction."""
    order = np.argsort(table.numbers("tokens"), kind="stable")
    codes, losses = table.run_codes[order], table.numbers("loss")[order]
    rises = {}
    for code, name in enumerate(_names(table)):
        of_run = losses[codes == code]
        rises[name] = float((of_run / np.minimum.accumulate(of_run)).max() - 1)
    return dict(sorted(rises.items(), key=lambda item: -item[1]))


def _ablations(runs: RunTable) -> Iterator[Claim]:
    main, cooled = set(_names(runs.select("all-2B"))), runs.select("cooldown")
    for selection, words in (("lr-ablation-2B", "at half the rate"), ("cooldown", "that was cooled down")):
        missing = sorted(main - set(_names(runs.select(selection))))
        yield exact(
            "Appendix F.2", f"shapes without a run {words}", ", ".join(NOT_ABLATED), ", ".join(missing)
        )
    tokens = cooled.numbers("tokens")
    for which, paper, ours in (("least", 11e9, tokens.min()), ("largest", 110e9, tokens.max())):
        yield number(
            "§3",
            f"{which} tokens of a cooled model",
            paper,
            float(ours),
            within=PER_CENT,
            interval=COUNT,
            write=_billions,
            check=True,
        )
    budgets = np.round(tokens / (10e9 * (1 + COOLED))).astype(int)
    shapes = cooled.frame.select("width", "depth").rows()
    found = {(f"{w}x{d}", int(budget)) for (w, d), budget in zip(shapes, budgets, strict=True)}
    missing = [
        f"{name} at {10 * budget}B"
        for name in sorted({name for name, _ in found})
        for budget in range(1, COOLDOWNS + 1)
        if (name, budget) not in found
    ]
    yield exact(
        "Appendix F.2", "checkpoints of 10B to 100B not cooled down", NOT_COOLED, ", ".join(missing) or "none"
    )


def _billions(tokens: float) -> str:
    return f"{tokens / 1e9:.4g}B"


def _selections(gemstones: RunTable, chinchilla: RunTable) -> Iterator[Claim]:
    for name, rows in ROWS.items():
        table = chinchilla if name in selections_of("chinchilla") and name != "all" else gemstones
        yield exact("released data, Figure 6", f"rows of the selection {name}", rows, table.select(name).rows)
    reduced = gemstones.select("chinchilla-reduced")
    yield exact("§4.2", "models of the selection chinchilla-reduced", REDUCED_MODELS, reduced.runs)


def _sweep(optima: Optima) -> Iterator[Claim]:
    shapes = [o.shape for o in optima.by_shape]
    printed = [Shape.parse(name) for name in SWEEP_SHAPES]
    yield exact(
        "§3.1",
        "shapes of the learning-rate sweep, of 100M and 2B parameters",
        names(printed),
        names(shapes),
        why="as printed they would have "
        + " and ".join(f"{format_quantity(params(shape))}" for shape in printed)
        + " parameters; the file's have "
        + ", ".join(f"{format_quantity(params(shape))}" for shape in shapes),
        because=WORDS,
    )
    rates = [run.lr_eff for run in load_lr_sweep()]
    yield exact(
        "§3.1",
        "range of the rates, lr_eff",
        f"{SWEEP_RATES[0]:g} to {SWEEP_RATES[1]:g}",
        f"{min(rates):g} to {max(rates):g}",
    )
    common = optima.lr_base_common
    yield statement(
        "§3.1, Figure 3",
        f"one base rate, {LR_BASE:g}, is the optimum of all four extreme shapes",
        ", ".join(f"{o.shape} {o.lr_base:.3g}" for o in optima.by_shape)
        + f": a factor of {optima.lr_base_ratio:.2g} apart, {optima.lr_eff_ratio:.2g} before rescaling",
        common is not None and common[0] <= LR_BASE <= common[1],
        interval="no optimum is common to all" if common is None else common,
        why="the interval is where the optima of all shapes may lie at once, between the neighbours of their best "
        "rates; one run each",
    )


def _half_rate(runs: RunTable) -> Iterator[Claim]:
    """§3.1, Ablation Study: the same shapes at the same step, half the rate."""
    keys = ["width", "depth", "step"]
    half = runs.select("lr-ablation-2B").frame.select(*keys, "loss")
    both = half.join(runs.select("all-2B").frame.select(*keys, "loss"), on=keys, suffix="_main").sort(keys)
    excess = np.log(both["loss"].to_numpy() / both["loss_main"].to_numpy())
    steps = both["step"].to_numpy()
    last = steps == steps.max()
    rng = np.random.default_rng(0)
    shapes = np.unique(both.select("width", "depth").to_numpy(), axis=0, return_inverse=True)[1].ravel()
    means = np.bincount(shapes[last], excess[last]) / np.bincount(shapes[last])
    draws = means[rng.integers(0, len(means), (2000, len(means)))].mean(1)
    low, high = (float(x) for x in np.quantile(draws, [0.025, 0.975]))
    mean = float(means.mean())
    yield statement(
        "§3.1, Ablation Study",
        "with half the learning rate losses are marginally higher",
        f"{mean:+.2%} after {_billions(float(steps.max()) * SEQUENCES * CONTEXT)} tokens, mean of {len(means)} shapes",
        0 < mean < FEW_PERCENT,
        interval=(low, high),
        settled=low * high > 0 and high < FEW_PERCENT,
        write=".2%",
        why=f"marginally: under {FEW_PERCENT:.0%}; the interval is from resampled shapes",
    )
