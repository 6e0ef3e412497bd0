"""Which files there are: each once, in an order of names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gemstones.errors import Failure
from gemstones.train.corpus import build, extract, sources
from gemstones.train.corpus.documents import Reading
from gemstones.train.corpus.errors import InvalidCorpus
from gemstones.train.corpus.sources import Sources, find_sources
from tests.train.corpus.conftest import SMALL, write_texts


def find(*paths: Path, exclude: str = "/nowhere") -> Sources:
    return find_sources(paths, exclude=Path(exclude))


def names(sources: Sources, below: Path) -> list[str]:
    return [str(file.path.relative_to(below)) for file in sources.files]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    # Made in another order than that of the names.
    for name in ("b/2", "b/10", "a.txt", "b/c/1", "B", ".hidden", "é"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def test_sorted_by_bytes_and_recursive(tree: Path) -> None:
    assert names(find(tree), tree) == [".hidden", "B", "a.txt", "b/10", "b/2", "b/c/1", "é"]


def test_paths_keep_their_order_and_come_once(tree: Path) -> None:
    sources = find(tree / "b", tree / "a.txt", tree, tree / "b" / "2")
    assert names(sources, tree) == ["b/10", "b/2", "b/c/1", "a.txt", ".hidden", "B", "é"]
    assert [len(files) for _, files in sources.given] == [3, 1, 3, 0]


def test_links(tree: Path) -> None:
    (tree / "b" / "up").symlink_to(tree)  # a loop
    (tree / "b" / "self").symlink_to("self")
    (tree / "b" / "gone").symlink_to("nothing")
    (tree / "a link").symlink_to(tree / "b" / "2")
    (tree / "A folder").symlink_to(tree / "b" / "c")
    outside = tree.parent / f"{tree.name} outside"
    outside.mkdir()
    (outside / "o").write_text("o")
    (tree / "zz").symlink_to(outside)
    sources = find(tree)
    # Reached by the first name in order, and by no other.
    assert names(sources, tree) == [".hidden", "A folder/1", "B", "a link", "a.txt", "b/10", "zz/o", "é"]
    assert sources.irregular == 2


def test_pipes_are_not_waited_for(tree: Path) -> None:
    os.mkfifo(tree / "b" / "pipe")
    assert find(tree).irregular == 1
    with pytest.raises(InvalidCorpus, match="pipe: is neither a file nor a folder"):
        find(tree / "b" / "pipe")


def test_the_output_is_not_its_own_input(tree: Path) -> None:
    assert names(find(tree, exclude=str(tree / "b")), tree) == [".hidden", "B", "a.txt", "é"]


def test_the_key_is_of_content_kind_and_order_alone(
    tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    key = find(tree).key
    other = tmp_path_factory.mktemp("copy") / "t"
    tree.rename(other)
    os.utime(other / "B", (1, 1))
    assert find(other).key == key
    (other / "B").rename(other / "C")
    assert find(other).key == key
    (other / "C").rename(other / "C.html")
    assert find(other).key != key
    (other / "C.html").rename(other / "z")
    assert find(other).key != key
    (other / "z").rename(other / "B")
    assert find(other).key == key
    (other / "B").write_text("b")
    assert find(other).key != key


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(InvalidCorpus, match="no text was given"):
        find()
    with pytest.raises(InvalidCorpus, match=r"none: does not exist"):
        find(tmp_path / "none")
    with pytest.raises(InvalidCorpus, match="holds no file"):
        find(tmp_path)


def test_a_file_that_grows_during_the_build_is_named_and_the_advice_works(tmp_path: Path) -> None:
    """A log that is written below the folder: the same command fails again, the one that is advised does not."""
    texts = write_texts(tmp_path / "t", range(10))
    log = texts / "0005.jsonl"
    log.write_text('{"text": "first"}\n')
    read = extract.documents_of

    def growing(path: Path, reading: Reading) -> Iterator[str]:
        if path == log:
            with log.open("a") as file:
                file.write('{"text": "half a li')
        yield from read(path, reading)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(extract, "documents_of", growing)
        for _ in range(2):
            with pytest.raises(
                Failure, match=r"0005\.jsonl was changed while .*: build from a copy of it, or name"
            ):
                build([texts], tmp_path / "c", SMALL)
        others = sorted(texts.glob("*.txt"))
        assert len(build(others, tmp_path / "c", SMALL).corpus.manifest.sources) == 10
    # Once it is left alone, the same command works; what was left behind is in nobody's way.
    log.write_text('{"text": "whole"}\n')
    assert build([texts], tmp_path / "d", SMALL).made
    assert not (tmp_path / "c" / ".work").exists()


def test_a_file_that_grows_while_it_is_hashed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = write_texts(tmp_path / "t", range(3))
    plain = sources.sha256_of

    def growing(path: Path) -> str:
        with path.open("a") as file:
            file.write("more")
        return plain(path)

    monkeypatch.setattr(sources, "sha256_of", growing)
    with pytest.raises(Failure, match=r"0000\.txt was changed while the corpus was built"):
        build([texts], tmp_path / "c", SMALL)
