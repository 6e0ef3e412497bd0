"""Models on the Hugging Face hub, through `huggingface_hub`: revisions as commits, and the files of one commit.

Offline (HF_HUB_OFFLINE, GEMSTONES_OFFLINE) the cache is asked instead. Of a model's files only configuration, tokenizer
and safetensors are fetched: no pickle, no code.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from gemstones.errors import Failure, InvalidRequest, Unavailable, extra
from gemstones.runs.one_line import listed, one_line

T = TypeVar("T")
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_.-]+)?")
COMMIT = re.compile(r"[0-9a-f]{40}")
FILES = (
    "*.safetensors", "*.safetensors.index.json", "config.json", "generation_config.json", "tokenizer*", "vocab*",
    "merges.txt", "special_tokens_map.json", "added_tokens.json", "spiece.model", "sentencepiece*",
)  # fmt: skip
"""What is fetched, of the top folder."""


def revisions(model: str) -> Mapping[str, str]:
    """Branches and tags of a model on the hub, and the commit of each; offline those in the cache.

    Raises `InvalidRequest` for a model that is not there, `Unavailable` where the hub cannot be asked.
    """
    hub = _hub()
    if offline():
        return _cached(hub, model)
    refs = _asked(model, lambda: hub.HfApi().list_repo_refs(model))
    return {ref.name: ref.target_commit for ref in (*refs.tags, *refs.branches)}


def fetch(model: str, commit: str) -> Path:
    """The folder of a commit's files in the cache, downloaded if need be; files that are there are not asked for again.

    Raises `InvalidRequest` for a model without safetensors, `Unavailable` where it cannot be had.
    """
    hub = _hub()
    without = offline()
    if not without:
        info = _asked(model, lambda: hub.HfApi().model_info(model, revision=commit))
        files = [file.rfilename for file in info.siblings or ()]
        if not any(name.endswith(".safetensors") and "/" not in name for name in files):
            pickles = [name for name in files if name.endswith((".bin", ".pt", ".pth"))]
            raise InvalidRequest(
                f"model {model} at {commit[:12]} has no weights in safetensors"
                f"{f', only {listed(pickles, 2)}' if pickles else ''}: pickles are not opened, convert them where you "
                "trust them (save_pretrained), and evaluate that folder"
            )
    folder = _asked(
        model,
        lambda: hub.snapshot_download(
            model,
            revision=commit,
            allow_patterns=list(FILES),
            ignore_patterns=["*/*"],
            local_files_only=without,
        ),
    )
    return Path(folder)


def offline() -> bool:
    """Whether nothing is to be asked of the network."""
    names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "GEMSTONES_OFFLINE")
    return any(
        os.environ.get(name, "").strip().lower() not in ("", "0", "false", "no", "off") for name in names
    )


def _hub() -> Any:
    with extra("export", "models of the Hugging Face hub"):
        import huggingface_hub
        import huggingface_hub.constants
    return huggingface_hub


def _cached(hub: Any, model: str) -> Mapping[str, str]:
    folder = Path(hub.constants.HF_HUB_CACHE) / f"models--{model.replace('/', '--')}"
    found: dict[str, str] = {}
    refs = folder / "refs"
    for path in sorted(refs.rglob("*")) if refs.is_dir() else []:
        if path.is_file() and COMMIT.fullmatch(commit := path.read_text().strip()):
            found[path.relative_to(refs).as_posix()] = commit
    for path in sorted((folder / "snapshots").glob("*")):
        if COMMIT.fullmatch(path.name) and path.name not in found.values():
            found[path.name] = path.name
    if not found:
        raise Unavailable(
            f"model {model} is not in the cache of the hub ({one_line(folder, 120)}) and no network may be asked: "
            "unset HF_HUB_OFFLINE, or fetch it where there is one (hf download)"
        )
    return found


def _asked(model: str, ask: Callable[[], T]) -> T:
    """What the hub answers; its errors in one line."""
    from huggingface_hub import errors

    try:
        return ask()
    except errors.GatedRepoError:
        raise InvalidRequest(
            f"model {model} is gated: accept its terms on https://huggingface.co/{model} and log in (hf auth login)"
        ) from None
    except (errors.RepositoryNotFoundError, errors.HFValidationError):
        raise InvalidRequest(
            f"model {model} is no folder here and no model on the hub that you may see: correct the name, or log in "
            "(hf auth login)"
        ) from None
    except errors.RevisionNotFoundError:
        raise InvalidRequest(f"model {model} has no such revision: choose another --revision") from None
    except errors.LocalEntryNotFoundError as error:
        raise Unavailable(f"model {model} cannot be had: {one_line(error, 120)}") from None
    except MemoryError:
        raise
    except Exception as error:  # of the network's many layers
        if isinstance(error, OSError) and error.errno is not None:
            raise Failure(f"model {model} cannot be fetched: {one_line(error.strerror or error)}") from None
        raise Unavailable(
            f"model {model} cannot be asked for on the hub ({type(error).__name__}: {one_line(error, 100)}): try "
            "again, or set HF_HUB_OFFLINE=1 to use what is in the cache"
        ) from None
