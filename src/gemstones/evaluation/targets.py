"""What was named → models and revisions to evaluate, each pinned, with what is known of it before it is loaded.

A name of many (`gemstones`), a folder of `transformers`, a folder of such folders (its revisions), a run or a suite
that `gemstones` trained, or a model on the hub; `MODEL@REVISION` is one revision.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from gemstones.errors import InvalidRequest
from gemstones.runs.families import RELEASED, read, thinned
from gemstones.runs.folders import CHECKPOINTS, RUN, SUITE, read_run, read_suite
from gemstones.runs.one_line import listed, one_line

CONFIG = "config.json"
MARKER = "gemstones.json"
"""Of an export of ours."""


@dataclass(frozen=True)
class Target:
    """One checkpoint of one model."""

    model: str
    """As the table names it."""
    revision: str
    """Empty of a folder that is one model."""
    kind: Literal["hub", "folder", "run"]
    path: Path | None = None
    commit: str = ""
    """Of the hub's git; empty until it is known: of files here their hash is taken when they are loaded."""
    tokens: float | None = None
    """Training tokens, where names or files tell them."""
    step: int | None = None
    family: str = ""
    """Of the run: main, lr-ablation, cooldown, …"""
    suite: str = ""
    """The known family of models that told all this."""
    said: str = ""

    @property
    def name(self) -> str:
        """For people."""
        return one_line(f"{self.model}@{self.revision}" if self.revision else self.model, 120)

    @property
    def number(self) -> int | None:
        """The last number in the revision's name, or in that of a folder without."""
        numbers = re.findall(r"\d+", self.revision or Path(self.model).name)
        return int(numbers[-1]) if numbers and len(numbers[-1]) < 18 else None


@dataclass(frozen=True)
class Wanted:
    """Which of the revisions, and which of the released models."""

    revisions: tuple[str, ...] = ()
    """Patterns of names; empty: the usual one."""
    every: float | None = None
    """Tokens between revisions."""
    shapes: tuple[str, ...] = ()
    variant: str = "main"


def find_targets(models: Sequence[str], wanted: Wanted, *, pinned: bool = True) -> list[Target]:
    """Every checkpoint that is meant, in order, each once.

    Where not `pinned`, the hub is not asked for what names alone tell. Raises `InvalidRequest` for a model or revision
    that is not there.
    """
    if not models:
        raise InvalidRequest("no model was given: name a folder, a run, a model on the hub, or gemstones")
    found: dict[tuple[str, str], Target] = {}
    for word in models:
        if not word.strip() or "\0" in word:
            raise InvalidRequest(
                f"model {one_line(word)!r} names nothing: name a folder, or a model on the hub"
            )
        for target in _targets(word, wanted, pinned):
            found.setdefault((target.model, target.revision), target)
    if wanted.shapes and not any(word in RELEASED for word in models):
        raise InvalidRequest(
            "shapes choose among released models: name them, like gemstones, or leave --shapes out"
        )
    if untrained := [target.name for target in found.values() if target.tokens == 0]:
        found = {key: target for key, target in found.items() if target.tokens != 0}
        if not found:
            raise InvalidRequest(
                f"model {untrained[0]} has read no token yet, which a run table cannot hold: choose another --revision"
            )
    return list(found.values())


def _targets(word: str, wanted: Wanted, pinned: bool) -> list[Target]:
    if word in RELEASED:
        return _released(word, wanted, pinned)
    path = Path(word)
    try:
        there = path.exists()
    except (OSError, ValueError):
        there = False
    if there:
        return _local(path, wanted)
    model, at, revision = word.rpartition("@")
    if at:
        wanted = replace(wanted, revisions=(revision,), every=None)
        if Path(model).exists():
            return _local(Path(model), wanted)
    else:
        model = word
    from gemstones.evaluation.hub import NAME

    if not NAME.fullmatch(model):
        raise InvalidRequest(
            f"model {one_line(word)!r} does not exist: name a folder, or a model on the hub like gpt2"
        )
    return _hub(model, wanted)


def _released(name: str, wanted: Wanted, pinned: bool) -> list[Target]:
    released = RELEASED[name]
    if wanted.variant not in released.variants:
        raise InvalidRequest(
            f"variant {one_line(wanted.variant)!r} of {name} is unknown: choose from {', '.join(released.variants)}"
        )
    if unknown := [shape for shape in wanted.shapes if shape not in released.shapes]:
        raise InvalidRequest(
            f"shape {one_line(unknown[0], 40)!r} is none of {name}: choose from {', '.join(released.shapes)}"
        )
    found = []
    for shape in wanted.shapes or released.shapes:
        model = released.model(shape, wanted.variant)
        if pinned:
            found += _hub(
                model, wanted if wanted.revisions or wanted.every else replace(wanted, revisions=("*",))
            )
            continue
        revisions = released.revisions(wanted.variant)
        names = _chosen(model, dict.fromkeys(revisions, ""), wanted, default=("*",))
        found += [_told(Target(model, revision, "hub")) for revision in names]
    return found


def _hub(model: str, wanted: Wanted) -> list[Target]:
    from gemstones.evaluation import hub

    revisions = hub.revisions(model)
    exact = [name for name in wanted.revisions if hub.COMMIT.fullmatch(name)]
    revisions = {**{name: name for name in exact}, **revisions}
    names = _chosen(model, revisions, wanted, default=("main",))
    return [_told(Target(model, name, "hub", commit=revisions[name])) for name in names]


def _local(path: Path, wanted: Wanted) -> list[Target]:
    if not path.is_dir():
        raise InvalidRequest(f"model {one_line(path)} is a file: name a folder that from_pretrained takes")
    if (path / SUITE).is_file():
        runs = [path / run for run in read_suite(path).runs if (path / run / RUN).is_file()]
        return [target for run in runs for target in _run(run, wanted)]
    if (path / RUN).is_file():
        return _run(path, wanted)
    if (path / CONFIG).is_file():
        if wanted.revisions and not any(fnmatch.fnmatchcase("main", pattern) for pattern in wanted.revisions):
            raise InvalidRequest(
                f"model {one_line(path, 80)} is one model and has no revision {one_line(wanted.revisions[0], 60)!r}: "
                "leave --revision out, and write MODEL@REVISION of the others"
            )
        return [_folder(path)]
    inside = {child.name: str(child) for child in sorted(path.iterdir()) if (child / CONFIG).is_file()}
    if not inside:
        raise InvalidRequest(
            f"model {one_line(path)} has no {CONFIG}, {RUN} or {SUITE}, nor has a folder in it: name a folder that "
            "from_pretrained takes, or a run"
        )
    return [
        _told(Target(str(path), name, "folder", path / name), path.resolve().name)
        for name in _chosen(str(path), inside, wanted, default=("*",))
    ]


def _folder(path: Path) -> Target:
    target = Target(str(path), "", "folder", path)
    try:
        marker = json.loads((path / MARKER).read_bytes())
        target = replace(
            target, tokens=float(marker["tokens"]), step=int(marker["provenance"]["step"]), family=marker["family"],
            suite="gemstones export",
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError):
        target = _told(target, path.resolve().name, "main")
    return target


def _run(path: Path, wanted: Wanted) -> list[Target]:
    spec = read_run(path).spec
    steps = {
        f"step-{int(found[1])}": int(found[1])
        for child in sorted((path / CHECKPOINTS).glob("step-*"))
        if (found := re.fullmatch(r"step-(\d+)", child.name)) and (child / "complete.json").is_file()
    }
    if not steps:
        raise InvalidRequest(f"run {spec.id} in {one_line(path)} has no complete checkpoint: train it first")
    newest = max(steps, key=lambda name: steps[name])
    tokens = {name: float(step * spec.batch_tokens) for name, step in steps.items()}
    names = _chosen(spec.id, dict.fromkeys(steps, ""), wanted, default=(newest,), tokens=tokens)
    return [
        Target(spec.id, name, "run", path, "", tokens[name], steps[name], spec.family, "gemstones train")
        for name in names
        if tokens[name] > 0
    ]


def _chosen(
    model: str,
    revisions: Mapping[str, str],
    wanted: Wanted,
    *,
    default: Iterable[str],
    tokens: Mapping[str, float] | None = None,
) -> list[str]:
    """Names of revisions by the patterns, then thinned; in order of their tokens, those without at the end."""
    patterns = wanted.revisions or (("*",) if wanted.every else tuple(default))
    names: dict[str, None] = {}
    for pattern in patterns:
        matched = [name for name in revisions if fnmatch.fnmatchcase(name, pattern)]
        if not matched:
            raise InvalidRequest(
                f"model {one_line(model, 80)} has no revision {one_line(pattern, 60)!r}: it has {listed(revisions, 6)}"
            )
        names |= dict.fromkeys(matched)
    known = tokens or {
        name: found[1].tokens for name in names if (found := read(_family_name(model), name)) is not None
    }
    if wanted.every is not None:
        chosen = thinned({name: known[name] for name in names if name in known}, wanted.every)
        if not chosen:
            raise InvalidRequest(
                f"model {one_line(model, 80)}: no revision is told to be at a multiple of {wanted.every:.3g} tokens: "
                "leave --every out, and choose with --revision"
            )
        return chosen
    return sorted(names, key=lambda name: (name not in known, known.get(name, 0.0)))


def _family_name(model: str) -> str:
    return model if "/" not in model or not Path(model).is_dir() else Path(model).resolve().name


def _told(target: Target, name: str = "", revision: str = "") -> Target:
    """`target` with what its name tells."""
    found = read(name or target.model, target.revision or revision)
    if found is None:
        return target
    family, checkpoint = found
    said = f"tokens of {family.name} {checkpoint.rounded}" if checkpoint.rounded else ""
    return replace(
        target,
        tokens=checkpoint.tokens,
        step=checkpoint.step,
        family=checkpoint.kind,
        suite=family.name,
        said=said,
    )


def content_hash(folder: Path) -> str:
    """SHA-256 of the files of a folder that decide what a model computes."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if (
            path.is_file()
            and path.suffix in {".safetensors", ".json", ".model", ".txt"}
            and path.name != MARKER
        ):
            with path.open("rb") as file:
                digest.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()
