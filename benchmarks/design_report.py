"""The tables of design.md, of the rows that design.py keeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

FORMS = ("N,T", "(N,T)^p")
SHAPE_FORMS = ("w,d,N,T", "(w,d,N,T)^p")
"""That are fitted to the simulated losses."""
KINDS = ("n_opt", "auto", "interval", "shapes")
"""Of simulations; all other rows are of real suites."""


def rms(values: list[float]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def report(rows: list[dict[str, Any]]) -> str:
    """The tables."""
    kinds = {kind: [row for row in rows if row["key"].startswith(kind + "/")] for kind in KINDS}
    parts = [of_size(kinds["n_opt"]), of_choice(kinds["auto"]), of_interval(kinds["interval"])]
    real = [row for row in rows if row["key"].split("/")[0] not in KINDS]
    return "\n\n".join([*parts, of_shape(kinds["shapes"]), of_subsets(real)]) + "\n"


def table(titles: list[str], lines: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in [titles, ["---"] * len(titles), *lines])


def cells(rows: list[dict[str, Any]]) -> Iterator[tuple[list[str], list[dict[str, Any]]]]:
    """Truth, noise and design, and the rows of each."""
    for truth in dict.fromkeys(row["truth"] for row in rows):
        for times in (1, 2):
            own = [row for row in rows if (row["truth"], row["noise"]) == (truth, times)]
            for name in dict.fromkeys(row["design"] for row in own):
                yield [f"`{truth}`", f"×{times}", name], [row for row in own if row["design"] == name]


def of_size(rows: list[dict[str, Any]]) -> str:
    lines = []
    for cell, of in cells(rows):
        said = of[0]["announced"]
        line = [*cell, str(of[0]["runs"]), str(len(of)), "" if np.isnan(said) else f"{said:.3f}"]
        for i in range(len(FORMS)):
            errors = [row["n_opt"][i] for row in of]
            inside = np.mean([abs(e) <= 1.96 * said for e in errors])
            line += [f"{rms(errors):.3f}", "" if np.isnan(said) else f"{inside:.0%}",
                     f"{rms([row['loss'][i] for row in of]):.4f}"]  # fmt: skip
        lines.append(line)
    of_form = ["rms error by `{}`", "within its 95%", "of log loss"]
    titles = [title.format(form) for form in FORMS for title in of_form]
    return table(
        ["truth", "noise", "design", "runs", "repetitions", "announced sd of log N*", *titles], lines
    )


def of_choice(rows: list[dict[str, Any]]) -> str:
    lines = []
    for cell, of in cells(rows):
        forms = Counter(row["form"] for row in of)
        shown = ", ".join(f"{n} × `{form}`" for form, n in forms.most_common(4))
        lines.append([*cell, str(len(of)), f"{rms([row['n_opt'] for row in of]):.3f}", shown])
    return table(
        ["truth", "noise", "design", "repetitions", "rms error of log N* by `auto`", "forms it took"], lines
    )


def of_interval(rows: list[dict[str, Any]]) -> str:
    lines = []
    for cell, of in cells(rows):
        said = 1.96 * of[0]["announced"]
        line = [*cell, str(len(of)), f"×{np.exp(said):.2f}"]
        for i in range(len(FORMS)):
            ratio = np.array([row["half"][i] for row in of]) / said
            near = np.mean((ratio > 1 / 1.5) & (ratio < 1.5))
            line += [f"×{np.exp(np.median(ratio) * said):.2f}", f"{near:.0%}",
                     f"{np.mean([row['holds'][i] for row in of]):.0%}"]  # fmt: skip
        lines.append(line)
    of_form = ["obtained by `{}`, median", "within a factor of 1.5", "holds the truth"]
    titles = [title.format(form) for form in FORMS for title in of_form]
    return table(["truth", "noise", "design", "repetitions", "announced 95%", *titles], lines)


def of_shape(rows: list[dict[str, Any]]) -> str:
    lines = []
    for name in dict.fromkeys(row["design"] for row in rows):
        of = [row for row in rows if row["design"] == name]
        errors = [
            f"{rms([r[x][i] for r in of]):.2f}" for i in range(len(SHAPE_FORMS)) for x in ("width", "depth")
        ]
        said = of[0]["announced"]
        lines.append(
            [name, str(of[0]["runs"]), str(len(of)), "" if np.isnan(said) else f"{said:.2f}", *errors]
        )
    titles = [f"by `{form}`: rms error of log {x}" for form in SHAPE_FORMS for x in ("width", "depth")]
    return table(["design", "runs", "repetitions", "announced, both", *titles], lines)


def of_subsets(rows: list[dict[str, Any]]) -> str:
    lines = []
    for suite in dict.fromkeys(tuple(row["key"].split("/")[:2]) for row in rows):
        own = [row for row in rows if tuple(row["key"].split("/")[:2]) == suite]
        random = [row for row in own if row["design"] == "random"]
        if not random:
            continue
        for name in dict.fromkeys(row["design"] for row in own):
            of = [row for row in own if row["design"] == name]
            held = [np.mean([not row["held_out"] >= r["held_out"] for r in random]) for row in of]
            near = [np.mean([abs(row["n_opt"]) < abs(r["n_opt"]) for r in random]) for row in of]
            lines.append([
                suite[0], f"`{suite[1]}`", name if len(of) == 1 else f"{name}, median of {len(of)}",
                f"{np.median([row['runs'] for row in of]):.0f}", f"{np.mean([row['share'] for row in of]):.1%}",
                f"{np.nanmedian([row['held_out'] for row in of]):.2%}", "" if name == "random" else over(held),
                f"{np.median([abs(row['n_opt']) for row in of]):.2f}", "" if name == "random" else over(near),
            ])  # fmt: skip
    return table(
        ["suite", "law", "subset", "runs", "share of the cost", "held-out rms error",
         "better than, of the random", "log N* off the full fit's", "nearer than, of the random"],
        lines,
    )  # fmt: skip


def over(shares: list[Any]) -> str:
    """A median, with its range where there are several."""
    if len(shares) == 1:
        return f"{shares[0]:.0%}"
    return f"{np.median(shares):.0%} ({min(shares):.0%} to {max(shares):.0%})"
