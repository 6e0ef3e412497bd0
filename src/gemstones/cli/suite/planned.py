"""A planned suite, shown: its cost in all and by family; with `--verbose` every run, shape and convention."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from gemstones.cli.output import print_table, say
from gemstones.cli.suite.live import duration
from gemstones.numbers import counted
from gemstones.printable import printable
from gemstones.units import format_bytes, format_flops, format_quantity


def print_suite(summary: dict[str, Any], verbose: bool) -> None:
    """The summary of `gemstones suite plan`, totals first."""
    totals, conventions = summary["totals"], summary["conventions"]
    families = _families(summary["runs"])
    say(
        printable(
            f"{summary['suite']}: {counted(totals['runs'], 'run')}, {format_quantity(totals['own_tokens'])} "
            "tokens trained on"
        )
    )
    if verbose:
        _say_conventions(summary)
    else:
        disk = summary["disk"]
        say(
            f"FLOPs: {format_flops(totals['flops'])}, forward and backward (Appendix G); "
            f"{format_flops(totals['flops_matmul'])} of multiplications alone"
        )
        _say_hours(summary)
        say(
            f"disk: {format_bytes(disk['bytes_needed'])} at most, one run at a time, of "
            f"{format_bytes(disk['bytes_free'])} free; {format_bytes(totals['bytes_kept'])} of checkpoints stay"
        )
        say(
            f"memory of a step: {format_bytes(totals['step_bytes'])} at most for the whole batch with its activations; "
            f"{format_bytes(totals['memory_bytes'])} without them (16 bytes per parameter)"
        )
    print_table("", FAMILY_HEADER, families)
    if verbose:
        _print_runs(summary["runs"])
    if verbose or summary["memory"]["layout"] is not None:
        _print_shapes(summary["memory"])
    if summary["memory"]["layout"] is not None:
        say(f"gathered: {conventions['gathered']}")
    if (sharded := summary["ranks"]) is not None:
        say(
            f"{sharded['shape']} on {sharded['ranks']:,} ranks ({sharded['data']}x{sharded['tensor']}): "
            f"{sharded['bytes_max']:,} bytes on the fullest, {sharded['bytes_min']:,} on the emptiest, "
            f"{sharded['bytes_total']:,} in all, of which {sharded['bytes_replicated']:,} replicated: "
            f"{conventions['ranks']}"
        )
    for level in ("warning", "note"):
        found = [finding for finding in summary["findings"] if finding["level"] == level]
        for line in _each(found, totals["runs"]) if verbose else _alike(found, totals["runs"]):
            say(f"{level}: {printable(line)}")
    if not verbose:
        say("every run, its parent, rate and cost, every shape, and how each number is counted: --verbose")


FAMILY_HEADER = ("family", "runs", "shapes", "parameters", "tokens", "FLOPs", "device hours")


def _families(runs: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    """What each family trains, in the order of its first run; parameters are those of its smallest and largest."""
    rows: list[tuple[str, ...]] = []
    for family in dict.fromkeys(run["family"] for run in runs):
        of = [run for run in runs if run["family"] == family]
        sizes = [format_quantity(end(run["params_total"] for run in of)) for end in (min, max)]
        rows.append(
            (
                *(family, f"{len(of)}", f"{len({run['shape'] for run in of})}"),
                " to ".join(dict.fromkeys(sizes)),
                format_quantity(sum(run["own_tokens"] for run in of)),
                format_flops(sum(run["flops"] for run in of)),
                _hours(sum(run["device_hours"] for run in of)),
            )
        )
    return rows


def _say_hours(summary: dict[str, Any]) -> None:
    hours = summary["totals"]["device_hours"]
    say(f"device hours: {_hours(hours)} ({duration(3600 * hours)}): {summary['conventions']['device_hours']}")


def _say_conventions(summary: dict[str, Any]) -> None:
    """Every total with how it is counted."""
    totals, conventions, disk = summary["totals"], summary["conventions"], summary["disk"]
    say(f"FLOPs: {format_flops(totals['flops'])}, {conventions['flops']}")
    say(f"matmul FLOPs: {format_flops(totals['flops_matmul'])}, {conventions['flops_matmul']}")
    _say_hours(summary)
    say(
        f"checkpoints: {totals['checkpoints']:,}, {format_bytes(totals['bytes_written'])} written, "
        f"{format_bytes(totals['bytes_kept'])} kept for good: {conventions['checkpoints']}"
    )
    say(
        f"disk: {format_bytes(disk['bytes_needed'])} of the {format_bytes(disk['bytes_free'])} that are free: "
        f"{conventions['disk']}"
    )
    say(f"memory of the largest run: {format_bytes(totals['memory_bytes'])}: {conventions['memory']}")
    say(f"memory of a step: {format_bytes(totals['step_bytes'])} at most: {conventions['step']}")


def _print_runs(runs: Sequence[dict[str, Any]]) -> None:
    print_table(
        "runs, parents first",
        # Family and shape are in the id; a parent is the main run of its shape.
        ("run", "parent", "N", "tokens", "own", "rate", "FLOPs", "hours"),
        [
            (
                *(run["id"], run["parent"] or "-"),
                *(format_quantity(run[name]) for name in ("params_total", "tokens", "own_tokens")),
                f"{run['learning_rate']:.3g}",
                *(format_flops(run["flops"]), _hours(run["device_hours"])),
            )
            for run in runs
        ],
        left=(0, 1),
    )


def _print_shapes(memory: dict[str, Any]) -> None:
    layout = memory["layout"]
    header = ["shape", "params", "memory", "tensor parallel"]
    title = "by shape"
    if layout is not None:
        title = f"by shape, memory per device as {layout['data']}x{layout['tensor']} on {layout['devices']} devices"
        header += ["states per device", "gathered", "per device"]
    rows = []
    for of in memory["shapes"]:
        row = [of["shape"], format_quantity(of["params_total"]), format_bytes(of["states_bytes"])]
        row.append(", ".join(map(str, of["tensor_parallel_degrees"])))
        if (held := of["per_device"]) is not None:
            row += [format_bytes(held[f"{name}_bytes"]) for name in ("states", "gathered", "total")]
        rows.append(row)
    print_table(title, header, rows)


def _each(findings: Sequence[dict[str, Any]], runs: int) -> list[str]:
    return [f"{finding['message']} ({_named(finding['runs'], runs)})" for finding in findings]


def _alike(findings: Sequence[dict[str, Any]], runs: int) -> list[str]:
    """Findings that differ in numbers and shapes alone are said once, and counted."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for finding in findings:
        groups.setdefault(re.sub(r"\d[\d,.x]*", "0", finding["message"]), []).append(finding)
    lines = []
    for first, *others in groups.values():
        more = f"; {len(others)} more like it" if others else ""
        lines.append(f"{first['message']} ({_named(first['runs'], runs)}){more}")
    return lines


def _named(runs: Sequence[str], of: int) -> str:
    if len(runs) == of:
        return "all runs"
    return runs[0] if len(runs) == 1 else f"{runs[0]} and {len(runs) - 1} more"


def _hours(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.3g}"
