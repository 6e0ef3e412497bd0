"""Files of tokens that others made → their documents, as arrays of ids.

- nanoGPT `.bin`: ids one after the other, no header; llm.c's and modded-nanogpt's, with theirs of 1,024 bytes
- Megatron-LM `.bin` beside its `.idx`: a document for each sequence
- OLMo `.npy`: ids without a header, whatever the name says; NumPy's own `.npy` too
- Parquet and Arrow, a document a row: a column of lists of ids
- a folder of Hugging Face `datasets.save_to_disk`, all of its splits or one: its Arrow files
- any other folder: the files above in it, by name

Streams are cut after every end of document; rows end with one, which is added where it is not there.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from gemstones.files import unreadable
from gemstones.lazy import pl
from gemstones.train.corpus.errors import InvalidCorpus

Ids: TypeAlias = "np.ndarray[tuple[int], np.dtype[Any]]"
DType = Literal["uint16", "uint32", "int32", "int64"]

SUFFIXES = frozenset({".bin", ".npy", ".parquet", ".arrow"})
COLUMNS = ("input_ids", "tokens", "token_ids", "ids")
"""Looked for in this order where no column is named."""
PIECE_TOKENS = 1 << 16
"""Of a stream in which no document ends: cut so, for some of it to be held out."""
_CHUNK = 1 << 24
_NUMPY = b"\x93NUMPY"
_LLMC_MAGIC, _LLMC_HEADER = 20240520, 1024
_MEGATRON = b"MMIDIDX\x00\x00"
_MEGATRON_TYPES = {1: "u1", 2: "i1", 3: "<i2", 4: "<i4", 5: "<i8", 8: "<u2"}


@dataclass(frozen=True)
class Reading:
    """How ids are read."""

    vocabulary: int
    """Ids are below it."""
    end_of_document: int
    dtype: DType | None = None
    """Of raw streams; the narrowest unsigned one that holds the vocabulary if None."""
    column: str = ""
    """Of Parquet and Arrow; the first of `COLUMNS` that is there if nothing."""

    @property
    def raw(self) -> np.dtype[Any]:
        """Of raw streams."""
        name = self.dtype or ("uint16" if self.vocabulary <= 1 << 16 else "uint32")
        return np.dtype(name).newbyteorder("<")


def token_files(path: Path) -> list[Path]:
    """The files of tokens at or below `path`, in the order of their names; Megatron's index goes with its data."""
    if not path.exists():
        raise InvalidCorpus("does not exist: name files or folders of tokens", file=path)
    if path.is_file():
        return [path.with_suffix(".bin") if path.suffix == ".idx" else path]
    if (path / "dataset_dict.json").is_file():
        splits = _json(path / "dataset_dict.json").get("splits", [])
        return [file for split in splits for file in token_files(_inside(path, str(split)))]
    if (path / "state.json").is_file():
        files = _json(path / "state.json").get("_data_files", [])
        return [_inside(path, str(entry.get("filename", ""))) for entry in files]
    found = sorted((p for p in path.rglob("*") if p.suffix in SUFFIXES and p.is_file()), key=os.fsencode)
    if not found:
        raise InvalidCorpus(f"holds no file of tokens: {', '.join(sorted(SUFFIXES))} are read", file=path)
    return found


def documents_of(path: Path, reading: Reading) -> Iterator[Ids]:
    """The documents of one file, their ends included; ids are held against the vocabulary."""
    try:
        for ids in _documents(path, reading):
            if len(ids):
                low, high = int(ids.min()), int(ids.max())
                if low < 0 or high >= reading.vocabulary:
                    bad = low if low < 0 else high
                    raise InvalidCorpus(
                        f"has the token id {bad}, and the tokenizer has 0 to {reading.vocabulary - 1}: give the "
                        "tokenizer that it was made with, or --dtype, if it is of wider numbers",
                        file=path,
                    )
                yield ids
    except OSError as error:
        raise unreadable(error, InvalidCorpus, file=path) from None


def _documents(path: Path, reading: Reading) -> Iterator[Ids]:
    if path.suffix in {".parquet", ".arrow"}:
        return _rows(path, reading)
    if path.with_suffix(".idx").is_file() and path.suffix == ".bin":
        return _megatron(path, reading)
    return _cut(_stream(path, reading), reading.end_of_document)


def _stream(path: Path, reading: Reading) -> Ids:
    """One file of ids as a memory map."""
    with path.open("rb") as file:
        head = file.read(12)
    if head.startswith(_NUMPY):
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except ValueError as error:
            raise InvalidCorpus(f"is no array of NumPy's: {error}", file=path) from None
        if array.dtype.kind not in "iu":
            raise InvalidCorpus(f"is an array of {array.dtype}: token ids are whole numbers", file=path)
        flat: Ids = array.reshape(-1)
        return flat
    size, offset, dtype = path.stat().st_size, 0, reading.raw
    if len(head) == 12 and (header := struct.unpack("<3i", head))[0] == _LLMC_MAGIC:
        if header[1] not in {1, 7}:
            raise InvalidCorpus(f"is of version {header[1]} of llm.c's format: 1 and 7 are read", file=path)
        # Version 1 has GPT-2's 16 bits, version 7 Llama 3's 32.
        offset, dtype = _LLMC_HEADER, np.dtype("<u2" if header[1] == 1 else "<u4")
    if (size - offset) % dtype.itemsize or size < offset:
        raise InvalidCorpus(
            f"has {size} bytes, no whole number of {dtype.itemsize}-byte ids: it was cut, or name another --dtype",
            file=path,
        )
    if size == offset:
        return np.empty(0, dtype)
    return np.memmap(path, dtype=dtype, mode="r", offset=offset)


def _cut(stream: Ids, end: int) -> Iterator[Ids]:
    """A stream after every end of document; where there is none, in pieces."""
    start, ended = 0, False
    for at in range(0, len(stream), _CHUNK):
        for stop in (np.flatnonzero(stream[at : at + _CHUNK] == end) + at + 1).tolist():
            ended = True
            yield stream[start:stop]
            start = stop
    if ended:
        yield stream[start:]
        return
    for at in range(0, len(stream), PIECE_TOKENS):
        yield stream[at : at + PIECE_TOKENS]


def _megatron(path: Path, reading: Reading) -> Iterator[Ids]:
    index = path.with_suffix(".idx")
    content = index.read_bytes()
    try:
        if content[:9] != _MEGATRON:
            raise ValueError("it does not begin with MMIDIDX")
        version, code, sequences, documents = struct.unpack_from("<QBQQ", content, 9)
        if version != 1 or code not in _MEGATRON_TYPES:
            raise ValueError(f"version {version} with numbers of type {code} is not known")
        dtype = np.dtype(_MEGATRON_TYPES[code])
        at = 9 + 8 + 1 + 8 + 8
        sizes = np.frombuffer(content, "<i4", sequences, at).astype(np.int64)
        at += 4 * sequences
        pointers = np.frombuffer(content, "<i8", sequences, at)
        at += 8 * sequences
        bounds = np.frombuffer(content, "<i8", documents, at)
        if (
            (sizes < 0).any()
            or (np.diff(bounds) < 0).any()
            or (len(bounds) and not 0 <= bounds[0] <= bounds[-1] <= sequences)
        ):
            raise ValueError("its sizes or documents are not in order")
    except (ValueError, struct.error) as error:
        raise InvalidCorpus(f"is no index of Megatron's: {error}", file=index) from None
    data = np.memmap(path, dtype=np.uint8, mode="r") if path.stat().st_size else np.empty(0, np.uint8)
    if (sequences and int((pointers + sizes * dtype.itemsize).max()) > len(data)) or (pointers < 0).any():
        raise InvalidCorpus(f"has {len(data)} bytes, fewer than {index.name} tells of: it was cut", file=path)
    for first, last in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        parts = [
            np.frombuffer(data[pointers[i] : pointers[i] + sizes[i] * dtype.itemsize].tobytes(), dtype)
            for i in range(first, last)
        ]
        if parts:
            yield _ended(np.concatenate(parts), reading.end_of_document)


def _rows(path: Path, reading: Reading) -> Iterator[Ids]:
    try:
        if path.suffix == ".parquet":
            frame = pl.scan_parquet(path)
        else:
            with path.open("rb") as file:
                whole = file.read(6) == b"ARROW1"
            frame = pl.scan_ipc(path) if whole else pl.read_ipc_stream(path).lazy()
        schema = frame.collect_schema()
        column = reading.column or next((name for name in COLUMNS if name in schema), "")
        if column not in schema:
            asked = f"no column {column!r}" if column else f"none of the columns {', '.join(COLUMNS)}"
            raise InvalidCorpus(f"has {asked}: choose with --field from {', '.join(schema)}", file=path)
        kind = schema[column]
        if not (isinstance(kind, pl.List | pl.Array) and kind.inner is not None and kind.inner.is_integer()):
            raise InvalidCorpus(f"has {kind} in {column!r}: token ids are lists of whole numbers", file=path)
        rows = frame.select(pl.col(column).cast(pl.List(pl.Int64))).collect()[column]
    except pl.exceptions.PolarsError as error:
        raise InvalidCorpus(f"cannot be read: {str(error).splitlines()[0]}", file=path) from None
    for row in rows:
        if row is not None and len(row):
            if row.null_count():
                raise InvalidCorpus(f"has a row in {column!r} with a gap in its ids", file=path)
            yield _ended(row.to_numpy(), reading.end_of_document)


def _ended(ids: Ids, end: int) -> Ids:
    return ids if not len(ids) or ids[-1] == end else np.append(ids, np.array([end], dtype=ids.dtype))


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidCorpus(f"is no file of datasets': {error}", file=path) from None
    if not isinstance(found, dict):
        raise InvalidCorpus("is no file of datasets': it holds no object", file=path)
    return found


def _inside(folder: Path, name: str) -> Path:
    """A file that a folder's own list names: nothing in it may point elsewhere."""
    path = folder / name
    if not name or Path(name).name != name or not path.exists():
        raise InvalidCorpus(f"lists {name!r}, which is not in it", file=folder)
    return path
