"""What a backtest's splits and predictors are called, and what it found, in sentences."""

from __future__ import annotations

from gemstones.analyses.backtest.backtest import Backtest
from gemstones.analyses.backtest.predictor import Approach
from gemstones.analyses.backtest.scores import Comparison, Score, Target
from gemstones.analyses.backtest.splits import GROUPS, SplitKind
from gemstones.display import ends_text
from gemstones.laws.interval import level_text
from gemstones.numbers import counted, flops_text
from gemstones.units import Interval, format_quantity
from gemstones.words import PARAMS_WORDS, flops_words, listed

LEFT_OUT: dict[SplitKind, str] = {
    "leave-one-run-out": "a run",
    "leave-one-width-out": "a width",
    "leave-one-size-out": "a size class",
}
TARGET_WORDS: dict[Target, str] = {
    "all": "every held-out row",
    "frontier": "held-out points of the frontier",
}


def split_words(kind: SplitKind, cut: float | None) -> str:
    """What is held out, in a few words.

    >>> split_words("compute", 4.5e19), split_words("size", 2e8), split_words("leave-one-run-out", None)
    ('FLOPs > 4.5e19', 'N > 200M', 'a run left out')
    """
    if cut is None:
        return f"{LEFT_OUT[kind]} left out"
    if kind == "compute":
        return f"FLOPs > {flops_text(cut)}"
    return f"{'N' if kind == 'size' else 'T'} > {format_quantity(cut)}"


def predictor_words(approach: Approach, law: str) -> str:
    """A predictor: the law of Approach 3 by its terms, Approach 1 by its method."""
    return law if approach == "approach3" else f"Approach 1 by {approach}"


def percent_text(error: float) -> str:
    """An error in log loss, as percent of the loss.

    >>> percent_text(0.00859), percent_text(0.1047)
    ('0.86%', '10.47%')
    """
    return f"{100 * error:.2f}%"


def percent_interval_text(ends: Interval) -> str:
    """Its interval, in points of percent.

    >>> percent_interval_text((-0.00042, 0.0159))
    '[-0.04, 1.59]'
    """
    return ends_text(*(f"{100 * end:.2f}" for end in ends))


def errors_sentence(backtest: Backtest, weighted: str = "", made: str = "") -> str:
    """What the errors are; `weighted` and `made` say how, where there is room for it."""
    resamples, params = backtest.resamples, PARAMS_WORDS[backtest.params_convention]
    return (
        f"Errors are root mean squares of log(predicted / measured loss) in percent{weighted}, with "
        f"{level_text(resamples.level)} intervals from {resamples.draws} resamples of held-out runs{made}; N counts "
        f"{params} parameters; FLOPs: {flops_words(backtest.tables[0].flops_convention)}."
    )


def conventions_sentence(backtest: Backtest) -> str:
    """What the errors are, and how they were made."""
    made = f" (of folds, where something is left out in turn). Laws are fitted by {backtest.objective}"
    said = errors_sentence(backtest, ", every run weighted equally", made)
    return f"{said} Approach 1 is fitted to the frontier, and predicts it."


def sentence(backtest: Backtest, selection: str, target: Target) -> str | None:
    """What was found in one selection: who predicts best how often, and what is left out how much better.

    None where nothing was predicted.
    """
    scores = [s for s in backtest.scores if (s.selection, s.target) == (selection, target)]
    scores = [s for s in scores if s.error is not None]
    splits = list(dict.fromkeys((s.split, s.cut) for s in scores))
    if not splits:
        return None
    names = dict.fromkeys(map(name_of, scores))
    parts = []
    if len(names) > 1:
        least = [name_of(min((s for s in scores if (s.split, s.cut) == of), key=error_of)) for of in splits]
        often = sorted(dict.fromkeys(least), key=least.count, reverse=True)
        first, *others = often
        counts = [f"{first} has the least error in {least.count(first)}"]
        counts += [f"{name} in {least.count(name)}" for name in others]
        parts.append(f"of {counted(len(splits), 'split')}, {listed(counts)}")
    kind = next((kind for kind in GROUPS if (kind, None) in splits), None)
    if kind is not None:
        best = min((s for s in scores if s.split == kind), key=error_of)
        ends = "" if best.interval is None else f" {percent_interval_text(best.interval)}"
        predicted = "predicted" if len(names) == 1 else "predicted best"
        parts.append(
            f"{LEFT_OUT[kind]} left out is {predicted} by {name_of(best)}, to {percent_text(error_of(best))}{ends}"
        )
        compared = [
            c for c in backtest.comparison if (c.selection, c.target, c.split) == (selection, target, kind)
        ]
        for verdict, words in (
            (True, "worse beyond their intervals"),
            (False, "not to be told apart from it"),
            (None, "without an interval to tell them apart"),
        ):
            others = [f"{name_of(c)} by {_difference(c)}" for c in compared if c.worse is verdict]
            if others:
                parts.append(f"{words}: {listed(others)}")
    return f"{TARGET_WORDS[target]}: {'; '.join(parts)}" if parts else None


def _difference(compared: Comparison) -> str:
    points = f"{100 * compared.difference:.2f} points"
    return points if compared.interval is None else f"{points} {percent_interval_text(compared.interval)}"


def name_of(of: Score | Comparison) -> str:
    """What predicted."""
    return predictor_words(of.approach, of.law)


def error_of(score: Score) -> float:
    """The error of a score that has one."""
    assert score.error is not None
    return score.error
