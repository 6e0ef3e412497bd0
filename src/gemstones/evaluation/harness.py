"""Tasks of lm-evaluation-harness, by name or in a YAML file of one's own: its prompts, its data, its metrics.

A file is what `lm_eval --tasks FILE` takes: a task, or a group of tasks (those beside it can be named in it). What it
includes and the data here that it names decide with it whether scores are of the same questions.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import random
import re
import sys
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from glob import glob
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gemstones.errors import GemstonesError, InvalidRequest, Unavailable, extra
from gemstones.evaluation import hub
from gemstones.evaluation.models import quiet
from gemstones.files import Wrong, read_bytes, trouble
from gemstones.runs.formats.task_results import column_of, is_number
from gemstones.runs.one_line import one_line
from gemstones.runs.tasks import task_name

if TYPE_CHECKING:
    from gemstones.evaluation.models import Loaded

SUFFIXES = (".yaml", ".yml")
_SEEDS = 0, 1234, 1234
"""Of `random`, NumPy and PyTorch, as `lm_eval` sets them; the last is that of examples too."""
_KEY = "task: my_exam"


class HarnessTask:
    """A task, or a group or tag of several; what it needs is loaded when it is first asked for."""

    def __init__(
        self,
        name: str,
        given: str,
        sha256: str = "lm-evaluation-harness",
        *,
        own: str = "",
        group: bool = False,
    ) -> None:
        self.name = name
        """Before its columns."""
        self.given = given
        """As the harness takes it: a name, or a file."""
        self.sha256 = sha256
        """Of a file and of what it names; of a task by name, who has its questions."""
        self._own, self._group, self._built = own, group, None

    @property
    def _of_file(self) -> bool:
        return self.given.endswith(SUFFIXES)

    def load(self) -> Any:
        """The tasks as the harness has them, with their data; what is wrong with them is told in one line."""
        if self._built is None:
            _require()
            with _telling(f"task {one_line(self.given, 80)}"):
                manager = import_module("lm_eval.tasks").TaskManager(
                    include_path=str(Path(self.given).parent) if self._group else None,
                    include_defaults=self._group or not self._of_file,
                )
                if not self._of_file and self.given not in manager.all_tasks:
                    near = get_close_matches(self.given, manager.all_tasks, 3, 0.7)
                    raise InvalidRequest(
                        f"task {one_line(self.given, 60)!r} is none of lm-evaluation-harness: "
                        + (f"did you mean {', '.join(near)}?" if near else "`lm_eval ls tasks` names them")
                    )
                built = manager.load([self._own if self._group else self.given])
                for task in built["tasks"].values():
                    if task.get_config("num_fewshot") is None:
                        task.set_config(key="num_fewshot", value=0)
            self._built = built
        return self._built

    def score(self, loaded: Loaded, *, batch_sequences: int) -> dict[str, Any]:
        """Scores by the names of a table's columns, like `hellaswag_acc` and `hellaswag_acc_stderr`."""
        import torch

        if loaded.parts is None:
            raise InvalidRequest(f"task {self.name} of a run of ours: {EXPORT}")
        built = self.load()
        model, tokenizer = loaded.parts
        with _telling(f"task {one_line(self.given, 80)}"):
            for task in built["tasks"].values():
                task.set_fewshot_seed(seed=_SEEDS[2])
            random.seed(_SEEDS[0])
            np.random.seed(_SEEDS[1])  # noqa: NPY002 — what functions of tasks draw from
            torch.manual_seed(_SEEDS[2])
            module = import_module("lm_eval")
            wrapped = import_module("lm_eval.models.huggingface").HFLM(
                pretrained=model, tokenizer=tokenizer, batch_size=batch_sequences
            )
            results = module.evaluate(lm=wrapped, task_dict=built, log_samples=False)["results"]
        return self._columns(results)

    def _columns(self, results: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for task, scores in results.items():
            for written, value in scores.items():
                metric, comma, kind = written.partition(",")
                if comma and is_number(value):
                    name = self.name if task == self._own else task
                    found[column_of(name, metric, "" if kind == "none" else kind)] = float(value)
        if not found:
            raise InvalidRequest(f"task {one_line(self.given, 80)} gave no score: has it a metric_list?")
        others = [name for name in found if not name.startswith(f"{self.name}_")]
        return found | ({f"{self.name}_columns": ",".join(found)} if others else {})


EXPORT = "evaluate an export of it (gemstones export)"


def named_task(given: str) -> HarnessTask:
    """The task of a name. Raises `MissingExtra` where the harness is not installed."""
    _require()
    return HarnessTask(task_name(given), given, own=given)


def read_harness_file(path: Path, name: str = "") -> HarnessTask:
    """The task in a YAML file, called as the file calls it, or `name`.

    Raises `InvalidRequest` for a file that is none, and for data here that is not there.
    """
    _require()
    digest = hashlib.sha256()
    config = _read(path, digest, ())
    own = config.get("task")
    group = not isinstance(own, str)
    if group:
        own = config.get("group")
    if not (isinstance(own, str) and task_name(own)):
        raise InvalidRequest(f"task {one_line(path)} names no task: it needs a line like {_KEY!r}")
    _add_data(config, digest, path)
    for file in _members(config, path) if group else ():
        _add_data(_read(file, digest, ()), digest, file)
    return HarnessTask(task_name(name or own), str(path), digest.hexdigest(), own=own, group=group)


def _read(path: Path, digest: Any, seen: tuple[Path, ...]) -> dict[str, Any]:
    """A file's settings over those that it includes; the bytes of all are added to `digest`."""
    yaml: Any = import_module("yaml")

    loader: Any = type("Loader", (yaml.SafeLoader,), {})
    # Functions stay their names: nothing is run here.
    loader.add_multi_constructor("!", lambda _, suffix, node: str(node.value))
    try:
        content = read_bytes(path)
    except Wrong as error:
        raise trouble(error, f"task {one_line(path)} cannot be read") from None
    try:
        config = yaml.load(content, loader)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise InvalidRequest(f"task {one_line(path)} is not YAML: {one_line(error, 100)}") from None
    if not isinstance(config, dict):
        raise InvalidRequest(
            f"task {one_line(path)} is no task of lm-evaluation-harness: it needs a line like {_KEY!r}"
        )
    digest.update(hashlib.sha256(content).digest())
    for module in sorted({*re.findall(rb"!function\s+([\w.]+)\.\w+", content)}):
        beside = path.parent / f"{module.decode().replace('.', '/')}.py"
        if beside.is_file():
            digest.update(hashlib.sha256(beside.read_bytes()).digest())
    included = config.pop("include", [])
    merged: dict[str, Any] = {}
    for one in included if isinstance(included, list) else [included]:
        file = path.parent / str(one)
        if file in seen or len(seen) > 20:
            raise InvalidRequest(
                f"task {one_line(path)} includes {one_line(one, 60)}, which includes it: cut the circle"
            )
        merged |= _read(file, digest, (*seen, path))
    return merged | config


def _members(config: Mapping[str, Any], path: Path) -> Iterator[Path]:
    """The files beside a group's that are its tasks."""
    tasks = config.get("task")
    names = (
        [one.get("task") if isinstance(one, dict) else one for one in tasks]
        if isinstance(tasks, list)
        else []
    )
    for file in sorted(path.parent.glob("*.yaml")):
        with contextlib.suppress(GemstonesError):
            if _read(file, hashlib.sha256(), ()).get("task") in names:
                yield file


def _add_data(config: Mapping[str, Any], digest: Any, path: Path) -> None:
    """Add the data here that a task names to `digest`."""
    options = config.get("dataset_kwargs")
    files = options.get("data_files") if isinstance(options, dict) else None
    groups = files.values() if isinstance(files, dict) else [files]
    for one in [one for group in groups for one in (group if isinstance(group, list) else [group]) if one]:
        if "://" in str(one):
            continue
        there = sorted(glob(str(one), recursive=True))  # noqa: PTH207 — of absolute paths too
        if not there:
            raise InvalidRequest(
                f"task {one_line(path)}: its data {one_line(one, 80)} does not exist: paths in it are from the folder "
                "that you are in"
            )
        for file in map(Path, there):
            if file.is_file():
                digest.update(hashlib.sha256(file.read_bytes()).digest())


def _require() -> None:
    """`MissingExtra` where the harness, or what its models import, is not installed."""
    with extra("tasks", "a task by name (a file of questions needs none)"):
        import_module("lm_eval")
        import_module("lm_eval.models.huggingface")


@contextlib.contextmanager
def _telling(what: str) -> Iterator[None]:
    """What the harness says, its bars on a terminal, and its errors as one of ours; offline it asks nobody."""
    logger = logging.getLogger("lm_eval")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    shown = sys.stderr if sys.stderr.isatty() else io.StringIO()
    try:
        with quiet(), _offline(), contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
            yield
    except (GemstonesError, MemoryError):
        raise
    except ConnectionError as error:
        raise Unavailable(
            f"{what}: its data cannot be had: {one_line(error, 120)}: fetch it where there is a network, or name files "
            "here (dataset_path: json, dataset_kwargs: data_files)"
        ) from None
    except Exception as error:  # of the harness, of its data, of functions that a task names
        said = f"{type(error).__name__}: {one_line(error, 160)}"
        raise InvalidRequest(f"{what} cannot be run by lm-evaluation-harness: {said}") from None
    finally:
        logger.setLevel(level)


@contextlib.contextmanager
def _offline() -> Iterator[None]:
    """Where nothing is to be asked of the network, the libraries of data sets and of the hub are told."""
    constants: Any = import_module("huggingface_hub.constants")
    config: Any = import_module("datasets.config")
    before = constants.HF_HUB_OFFLINE, config.HF_HUB_OFFLINE
    if hub.offline():
        constants.HF_HUB_OFFLINE = config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE, config.HF_HUB_OFFLINE = before
