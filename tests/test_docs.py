"""The documentation against the code: every field of every format, every suite file, every command."""

from __future__ import annotations

import ast
import itertools
import json
import re
import shlex
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gemstones.cli.app import build
from gemstones.design import suite_file
from gemstones.design.spec import RunSpec
from gemstones.design.suite import expand, load_suite
from gemstones.runs import ledger
from gemstones.runs.collect import COLUMNS
from gemstones.runs.folders import RunFile, SuiteFolder
from gemstones.runs.schema import SCHEMA
from tests.runs.collected import PROVENANCE, TIMINGS

ROOT = Path(__file__).parents[1]
FORMATS = (ROOT / "docs" / "ledger.md").read_text("utf-8")
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "tutorials").glob("*.ipynb")),
]

TABLES: dict[str, type[msgspec.Struct]] = {
    "Top level": suite_file.Contents,
    "[models]": suite_file.Models,
    "[shapes]": suite_file.ShapesTable,
    "[training]": suite_file.Training,
    "[training.schedule]": suite_file.ScheduleTable,
    "[training.patch]": suite_file.PatchTable,
    "suite.json": SuiteFolder,
    **{event.__struct_config__.tag: event for event in ledger.Event.__args__},  # type: ignore[attr-defined]
}
"""Sections of docs/ledger.md, by their headings, that have the fields of one struct."""


def text_of(page: Path) -> str:
    """A page's text; of a notebook that of its cells, cells of the shell as blocks of console."""
    text = page.read_text("utf-8")
    if page.suffix != ".ipynb":
        return text
    cells = [("".join(cell["source"]), cell["cell_type"]) for cell in json.loads(text)["cells"]]
    shell = "%%bash\n"
    console = [
        f"```console\n$ {source.removeprefix(shell)}\n```" for source, _ in cells if source.startswith(shell)
    ]
    return "\n\n".join([source for source, kind in cells if kind == "markdown"] + console)


def section(heading: str) -> str:
    """The text below a heading, up to the next one."""
    start = re.search(rf"^#+ {re.escape(heading)}$", FORMATS, re.MULTILINE)
    assert start, f"docs/ledger.md has no section {heading}"
    return re.split(r"^#+ ", FORMATS[start.end() :], maxsplit=1, flags=re.MULTILINE)[0]


def tables(text: str) -> list[list[list[str]]]:
    """The cells of every table, without its head."""
    found = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    return [
        [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
        for table in found
    ]


def fields_of(struct: type[msgspec.Struct]) -> list[tuple[str, str]]:
    """Names and defaults, as the documentation writes them."""

    def default(field: msgspec.structs.FieldInfo) -> str:
        if field.required:
            return "required"
        value: Any = field.default
        if value is msgspec.NODEFAULT:
            value = field.default_factory()  # type: ignore[operator]
        if value is msgspec.UNSET or isinstance(value, msgspec.Struct):
            return "-"
        return f"`{json.dumps(value)}`"

    return [(f"`{field.name}`", default(field)) for field in msgspec.structs.fields(struct)]


def written(rows: list[list[str]]) -> list[tuple[str, str]]:
    assert all(row[2] for row in rows), "a field without a meaning"
    return [(row[0], row[1]) for row in rows]


@pytest.mark.parametrize("heading", TABLES)
def test_fields_and_defaults(heading: str) -> None:
    (table,) = tables(section(heading))
    assert written(table) == fields_of(TABLES[heading])


def test_fields_of_runs_families_and_checkpoints() -> None:
    file, spec = tables(section("run.json"))
    assert (written(file), written(spec)) == (fields_of(RunFile), fields_of(RunSpec))
    ablation, variant, cooldown = tables(section("[[families]]"))
    tag = [("`family`", "required")]
    assert written(ablation) == tag + fields_of(suite_file.LrAblation)
    assert [(row[0], row[1]) for row in variant] == tag + fields_of(suite_file.Variant)
    assert written(cooldown) == tag + fields_of(suite_file.Cooldown)
    checkpoint = pytest.importorskip("gemstones.train.checkpoint")
    (marker,) = tables(section("Checkpoints"))
    assert written(marker) == fields_of(checkpoint.Complete)


def test_columns_of_the_collected_table() -> None:
    text = section("Collected table")
    schema, more = tables(text)
    assert [(row[0], row[1]) for row in schema] == [(f"`{c.name}`", c.unit) for c in SCHEMA]
    assert [(row[0], row[1]) for row in more] == [(f"`{name}`", dtype) for name, dtype in COLUMNS.items()]
    timings, provenance = re.findall(
        r"(?:[Tt]imings|provenance) (?:are|is) ((?:`\w+`[, \n]*(?:and )?)+)", text
    )
    assert re.findall(r"`(\w+)`", timings) == [*TIMINGS]
    assert re.findall(r"`(\w+)`", provenance) == [*PROVENANCE]


# ---------------------------------------------------------------- examples


def blocks(language: str) -> list[tuple[str, str]]:
    """Every block of code in `language`, with the name of its page."""
    return [
        (page.name, block)
        for page in PAGES
        for block in re.findall(rf"^```{language}\n(.*?)^```", text_of(page), re.MULTILINE | re.DOTALL)
    ]


@pytest.mark.parametrize(("page", "text"), blocks("toml"))
def test_suite_files(page: str, text: str, tmp_path: Path) -> None:
    file = tmp_path / "suite.toml"
    file.write_text(text)
    assert expand(load_suite(file), vocabulary=512)


def commands() -> list[tuple[str, str]]:
    """Every `$ gemstones …`, its lines joined."""
    return [
        (page, words)
        for page, block in blocks("console")
        for words in re.findall(
            r"^\$ (?:torchrun .*-m )?gemstones (.*)", re.sub(r"\\\n\s*", "", block), re.MULTILINE
        )
    ]


@pytest.mark.parametrize(("page", "command"), commands())
def test_commands(page: str, command: str) -> None:
    """The words are understood, up to what is the shell's; nothing is run."""
    words = itertools.takewhile(
        lambda word: word not in {"|", ">", "&", "&&"}, shlex.split(command, comments=True)
    )
    called, *_ = build().parse_args([*words], exit_on_error=False, print_error=False)
    assert called.__module__.startswith("gemstones.cli."), command


@pytest.mark.long
@pytest.mark.published_data
def test_examples_from_python() -> None:
    """Every line of docs/python.md, with fewer resamples, says something; what is named there is there."""
    (block,) = [text for page, text in blocks("python") if page == "python.md"]
    names: dict[str, Any] = {}
    for line in block.replace("bootstrap=400", "bootstrap=40").split("\n"):
        if not line:
            continue
        code = ast.parse(line).body
        assert len(code) == 1, line
        if isinstance(code[0], ast.Expr):
            value = eval(line, names)
            parts = value if isinstance(value, tuple) else (value,)
            assert all(part is not None for part in parts), line
        else:
            exec(line, names)
    assert names["law"].has_intervals and names["runs"].selection == "le100B"


def test_pages_are_linked_and_found() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text_of(page)):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
    front = PAGES[0].read_text("utf-8")
    unlinked = [page.name for page in PAGES[1:] if f"({page.relative_to(ROOT).as_posix()})" not in front]
    assert unlinked == ["index.md"], "what the site begins with, as the README does the repository"


def test_forms_from_the_literature() -> None:
    from gemstones.laws.literature import _EXPERTS, NAMED

    page = (ROOT / "docs" / "laws.md").read_text("utf-8")
    rows = [row for table in tables(page) for row in table if len(row) == 4]
    expected = [
        [f"`{name}`", f"`{form.text.replace(_EXPERTS, 'Ê')}`", form.source, form.means]
        for name, form in NAMED.items()
    ]
    assert rows == expected and f"`{_EXPERTS}`" in page


def test_symbols_of_laws() -> None:
    from gemstones.laws.columns import column_name
    from gemstones.laws.tree import SYMBOLS

    page = (ROOT / "docs" / "laws.md").read_text("utf-8")
    rows = {row[0]: row[1] for table in tables(page) for row in table if len(row) == 3}
    assert {f"`{s}`": f"`{column_name(s, 'total')}`" for s in SYMBOLS}.items() <= rows.items()


def test_every_flag_of_a_fit_is_explained() -> None:
    page = (ROOT / "docs" / "laws.md").read_text("utf-8")
    code = "".join(
        (ROOT / "src" / "gemstones" / "laws" / f"{name}.py").read_text("utf-8")
        for name in ("diagnostics", "separable")
    )
    flags = set(re.findall(r'f?"([a-z]+(?:_[a-z]+)+): ', code)) | set(
        re.findall(r'"([a-z]+_[a-z]+)", ?\n', code)
    )
    flags |= set(re.findall(r'^ +"([a-z]+_[a-z]+)",$', code, re.MULTILINE))
    assert {"few_values", "bound_active", "ill_conditioned", "term_at_zero"} <= flags
    for flag in flags:
        assert f"`{flag}`" in page, flag
