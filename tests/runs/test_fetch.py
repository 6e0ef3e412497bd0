"""Published files: from a folder, from the cache, from a server; and the one line when none has them."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import http.server
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gemstones.errors import InvalidTable, Unavailable
from gemstones.runs.fetch import ENTRIES, Entry, Packaged, cache_path, fetch

CONTENT = b"run,tokens,loss\na,1,3\n"
ENTRY = Entry(
    "tiny", "me", "my-runs", "c0ffee", "data/a+b #1.csv", hashlib.sha256(CONTENT).hexdigest(), "MIT", 1
)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A stand-in for GitHub that serves a folder, and a cache of its own; nothing in GEMSTONES_DATA_DIR."""
    folder = tmp_path / "served"
    served = folder / "me" / "my-runs" / "c0ffee" / "data"
    served.mkdir(parents=True)
    (served / "a+b #1.csv").write_bytes(CONTENT)
    handler = functools.partial(Quiet, directory=str(folder))
    monkeypatch.delenv("GEMSTONES_DATA_DIR")
    monkeypatch.setenv("GEMSTONES_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        monkeypatch.setattr(
            sys.modules["gemstones.runs.fetch"], "RAW_URL", f"http://127.0.0.1:{httpd.server_port}"
        )
        yield served / "a+b #1.csv"
        httpd.shutdown()
        thread.join()


def one_line(error: BaseException) -> str:
    assert len(str(error).splitlines()) == 1
    return str(error)


@pytest.mark.parametrize("name", list(ENTRIES))
def test_every_entry_is_in_the_data_folder(name: str, data_dir: Path) -> None:
    entry = ENTRIES[name]
    path = fetch(entry)
    assert path == data_dir / entry.owner / entry.repository / entry.path
    assert len(entry.commit) == 40


def test_urls_are_quoted() -> None:
    assert ENTRIES["gemstones-main"].url == (
        "https://raw.githubusercontent.com/mcleish7/gemstone-scaling-laws/5f420478f6057b0cbb4d13405fb10ca64675bccb/"
        "wandb_dfs/wandb_df_for_fitting_hot_100b%2B_477.jsonl"
    )


def test_a_file_of_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMSTONES_DATA_DIR", str(tmp_path))
    here = Packaged("fetch", "fetch.py", "MIT")
    path = fetch(here)
    assert path == Path(sys.modules["gemstones.runs.fetch"].__file__ or "")
    assert here.sha256 == hashlib.sha256(path.read_bytes()).hexdigest() and here.url == ""
    with pytest.raises(Unavailable) as caught:
        fetch(Packaged("gone", "gone.parquet", "MIT"))
    assert one_line(caught.value).startswith("gone comes with the package, but ")
    assert caught.value.exit_status == 1


def test_a_wrong_hash_in_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMSTONES_DATA_DIR", str(tmp_path))
    path = tmp_path / ENTRY.location
    path.parent.mkdir(parents=True)
    path.write_bytes(b"other")
    with pytest.raises(InvalidTable) as caught:
        fetch(ENTRY)
    assert caught.value.exit_status == 2
    found = hashlib.sha256(b"other").hexdigest()
    assert one_line(caught.value).startswith(f"{path}: has SHA-256 {found}, expected {ENTRY.sha256}: ")


def test_an_absent_file_of_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMSTONES_DATA_DIR", str(tmp_path))
    with pytest.raises(InvalidTable) as caught:
        fetch(ENTRY)
    assert one_line(caught.value).startswith(
        f"{tmp_path / ENTRY.location}: cannot be read (No such file or directory), "
        f"expected SHA-256 {ENTRY.sha256}"
    )


def test_a_download_then_the_cache(
    server: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    path = fetch(ENTRY)
    assert path == cache_path(ENTRY)
    assert path.read_bytes() == CONTENT
    assert [file.name for file in path.parent.iterdir()] == ["a+b #1.csv"]
    server.unlink()
    assert fetch(ENTRY) == path
    monkeypatch.setenv("GEMSTONES_OFFLINE", "1")
    assert fetch(ENTRY) == path
    assert capfd.readouterr() == ("", "")  # no progress but to a terminal, no log of pooch's


def test_a_damaged_cache_is_downloaded_again(server: Path) -> None:
    fetch(ENTRY).write_bytes(b"damaged")
    assert fetch(ENTRY).read_bytes() == CONTENT


def test_progress_goes_to_a_terminal(
    server: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    fetch(ENTRY)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.endswith("\rtiny: 100%\n")


@pytest.mark.parametrize("variable", ["GEMSTONES_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline(server: Path, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "True")
    with pytest.raises(Unavailable) as caught:
        fetch(ENTRY)
    assert caught.value.exit_status == 1
    message = one_line(caught.value)
    assert f"{variable} is set" in message
    assert "GEMSTONES_DATA_DIR" in message
    assert "`gemstones data fetch`" in message
    for off in ("", "0", "false", "False"):
        monkeypatch.setenv(variable, off)
        path = fetch(ENTRY)
        assert path.read_bytes() == CONTENT
        path.unlink()


def test_what_the_network_can_do_wrong(server: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    absent = dataclasses.replace(ENTRY, path="data/none.csv")
    other = dataclasses.replace(ENTRY, sha256="0" * 64)
    for entry, reason in ((absent, "404"), (other, "hash")):
        with pytest.raises(Unavailable) as caught:
            fetch(entry)
        message = one_line(caught.value)
        assert message.startswith("tiny cannot be downloaded from 127.0.0.1:")
        assert reason in message
        assert not cache_path(entry).exists()
    monkeypatch.setattr(sys.modules["gemstones.runs.fetch"], "RAW_URL", "http://127.0.0.1:1")
    with pytest.raises(Unavailable) as caught:
        fetch(ENTRY)
    assert "Traceback" not in one_line(caught.value)
