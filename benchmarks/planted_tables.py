"""Planted tables of every kind that people have, each from its number; benchmarks and tests use them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gemstones.laws.form import Form
from gemstones.shape import FloatArray, IntArray

SYMBOLS = ("N", "T", "w", "d")


@dataclass(frozen=True)
class Table:
    """A planted table."""

    form: Form
    log_columns: list[FloatArray]
    loss: FloatArray
    run: IntArray
    delta: float
    kind: str


def planted(seed: int, number: int) -> Table:
    """The table of that number: its kind, design, law and noise are drawn."""
    rng = np.random.default_rng([seed, number])
    k = 1 + number % 4
    outer = k > 1 and number // 4 % 2 == 1
    runs = int(rng.integers(5, 31))
    per_run = int(np.clip(rng.integers(18, 401) // runs, 2, 40))
    run = np.repeat(np.arange(runs), per_run)
    tokens = np.geomspace(1e9, 10 ** rng.uniform(9.7, 11.7), per_run)
    grid = rng.random() < 0.5
    width = np.exp(rng.uniform(np.log(128), np.log(4096), runs))
    if grid:
        width = 256.0 * rng.integers(1, 9, runs)
    depth = rng.integers(2, 41, runs).astype(float)
    if rng.random() < 0.3:  # nearly one aspect ratio
        depth = np.maximum(np.round(width / 64 * np.exp(rng.normal(0, 0.2, runs))), 1)
    size = 12 * width**2 * depth * np.exp(rng.normal(0, 0.05, runs)) + 1e5 * width
    columns = {"w": width[run], "d": depth[run], "N": size[run], "T": np.tile(tokens, runs)}
    if not grid:
        columns["T"] = columns["T"] * np.exp(rng.normal(0, 0.3, len(run)))
    symbols = SYMBOLS[:k]
    p = float(rng.choice([0.3, 0.5, 0.8])) if outer else 1.0
    logs = [np.log(columns[s]) for s in symbols]
    eta = []
    for x in logs:
        e = rng.uniform(0.08, 0.9) / p
        eta.append(rng.uniform(-2.0, 0.5) / p - e * (x - x.mean()))
    irreducible = float(rng.choice([0.0, 1.0, 1.7, 2.2]))
    loss = np.exp(p * np.logaddexp.reduce(eta)) + irreducible
    by_run, by_row = (10 ** rng.uniform(-3.3, -1.7) for _ in range(2))
    noise = rng.normal(0, by_run, runs)[run] + rng.normal(0, by_row, len(run))
    if rng.random() < 0.25:
        noise += (rng.random(len(run)) < 0.05) * rng.exponential(0.1, len(run))
    form = Form(f"({','.join(symbols)})^p" if outer else ",".join(symbols))
    return Table(form, logs, loss * np.exp(noise), run, float(rng.choice([1e-4, 1e-3])), form.text)
