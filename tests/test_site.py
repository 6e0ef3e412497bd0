"""The documentation's site, but for Sphinx (`make docs`): references that lack nothing, links, text as it is meant."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

import gemstones as gs
from docs.site import command_line, gallery, links, public_names, sources
from docs.site.prose import markdown, rst
from gemstones.cli.app import COMMANDS, GROUPS, SECTIONS, build

ROOT = Path(__file__).parents[1]


def help_of(words: list[str]) -> str:
    """What `gemstones WORDS --help` prints."""
    printed = io.StringIO()
    build(words[0]).help_print(words, console=Console(file=printed, width=1000, no_color=True))
    return printed.getvalue()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_in_the_reference(name: str) -> None:
    page = command_line.page(name)
    calls = [[name]]
    if name in GROUPS:
        commands = re.findall(r"^[│ ]+([a-z]+) {2,}", help_of([name]), re.MULTILINE)
        assert commands
        calls = [[name, one] for one in commands]
    for words in calls:
        called = " ".join(words)
        part = page.partition(f"# gemstones {called}\n")[2].partition("\n## gemstones ")[0]
        assert part, called
        said = help_of(words)
        rows = re.findall(r"^│ +(?:\*  )?((?:--?[a-z][a-z-]*[ ,]+)+|[A-Z_]+  )", said, re.MULTILINE)
        names = {one for row in rows for one in re.findall(r"[\w-]+", row)}
        assert {"--json"} <= names or words[0] == "train", called
        titles = " ".join(re.findall(r"^:::\{option\} (.*)", part, re.MULTILINE))
        assert names <= {*re.findall(r"[\w-]+", titles)}, called
        assert len(names) >= part.count(":::{option}"), called


def test_defaults_are_said() -> None:
    page = command_line.page("fit")
    assert "{option} --seed INTEGER\nSeed of the resampling. Default: `0`.\n" in page
    assert "Default: `False`" not in page and "Default: `None`" not in page and "Default: ``" not in page


def test_the_reference_lists_every_command() -> None:
    listed = re.findall(r"^\| \[`([a-z]+)`\]", command_line.index(), re.MULTILINE)
    assert listed == [name for names in SECTIONS.values() for name in names] and {*listed} == {*COMMANDS}


def test_every_public_name_is_in_the_reference() -> None:
    pages = {step: public_names.page(step, names) for step, names in public_names.by_step().items()}
    for name in gs.__all__:
        assert f":: gemstones.{name}\n" in pages[public_names.step_of(name)], name
        assert f"`~gemstones.{name}`" in public_names.index(), name


def test_every_page_is_in_a_list_of_the_site() -> None:
    index = (ROOT / "docs" / "index.md").read_text("utf-8")
    blocks = re.findall(r"\{toctree\}\n(.*?)```", index, re.DOTALL)
    listed = {re.sub(r"^.*<(.*)>$", r"\1", line) for block in blocks for line in block.splitlines()}
    for page in sources.pages():
        place = sources.place(page).with_suffix("").as_posix()
        if place.startswith(("benchmarks/", "studies/")):
            assert (
                f"(../{page.relative_to(ROOT).as_posix()})" in (ROOT / "docs" / "measurements.md").read_text()
            ), place
        else:
            assert place in listed or place == "index", place


def test_links_lead_to_where_pages_are_put() -> None:
    page = ROOT / "docs" / "intervals.md"
    said = (
        "[a](../benchmarks/coverage.md), [b](laws.md#json), [c](https://x.org/y.md)\n```\n[d](../e.md)\n```\n"
    )
    assert sources.with_links(said, page) == said.replace("../benchmarks", "benchmarks")
    said = "see https://x.org/a, `https://x.org`, [b](https://x.org/b) and <https://x.org/c>"
    assert sources.with_links(said, page) == said.replace("https://x.org/a", "<https://x.org/a>")
    assert sources.with_links("[a](../docs/laws.md)", ROOT / "benchmarks" / "speed.md") == "[a](../laws.md)"
    assert [*sources.linked("![a](x.svg)", ROOT / "studies" / "a" / "README.md")] == [
        ROOT / "studies/a/x.svg"
    ]


def test_broken_links_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<p id="one"><a href="b.html#two">b</a> <a href="#one">a</a>')
    (tmp_path / "b.html").write_text('<p id="two"><a href="a.html#three">a</a> <img src="c.png">')
    assert links.broken(tmp_path) == ["b.html: a.html#three", "b.html: c.png"]


def test_prose_is_meant_as_it_is() -> None:
    assert (
        markdown("files like 'a/*.csv' (docs/laws.md), `x_*`")
        == "files like 'a/\\*.csv' ([](laws.md)), `x_*`"
    )
    said = ["What `fit`s |x|*2 is. See docs/laws.md.", "", ">>> 1 + 1", "2", "", "    kept", "    as is"]
    assert rst(said) == [
        "What ``fit``\\ s \\|x\\|\\*2 is. See :doc:`/laws`.", "",
        ".. code-block:: pycon", "", "   >>> 1 + 1", "   2", "",
        "::", "", "       kept", "       as is", "",
    ]  # fmt: skip


def test_the_gallery_draws_what_it_shows() -> None:
    page = gallery.page()
    for picture in gallery.PICTURES:
        compile(picture.code, picture.name, "eval")
        assert f"{{figure}} {picture.name}.svg" in page and picture.code in page
