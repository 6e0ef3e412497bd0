"""A folder of `transformers`, or a run of ours → what scores tokens: losses, its tokenizer, and what it is.

Weights are read from safetensors alone, and no code comes from a model: what needs its own is refused. A model whose
weights are not all there (which transformers would leave random), or whose logits depend on later tokens (BERT is a
"causal" model to transformers too), is refused as well.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gemstones.errors import Failure, InvalidRequest, extra
from gemstones.evaluation.facts import Facts, bytes_per_token, facts_of, facts_of_shape
from gemstones.evaluation.scoring import scored, usable_head
from gemstones.runs.one_line import listed, one_line

if TYPE_CHECKING:
    import torch

Ids: TypeAlias = NDArray[np.int32]
DTYPES = ("float32", "bfloat16", "float16")
CONFIG = "config.json"
_TOKENIZERS = ("tokenizer.*", "vocab*", "spiece*", "sentencepiece*", "tekken*", "*.tiktoken", "*.vocab")
"""Files with a tokenizer's words; without one transformers makes up a tokenizer to which every word is unknown."""
_PROBE = 8
"""Tokens of the text that shows whether a model is causal."""
_ENCODED_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class Loaded:
    """A model in memory on a device."""

    score: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    """Inputs and targets, int64 (B, S) → negative log likelihoods in nats, float32 (B, S), 0 where none is counted."""
    encode: Callable[[Sequence[str]], list[Ids]]
    """Texts → their tokens, nothing added; text that spells a special token is text."""
    begin: int
    """The token before a document: that which begins a text, or else ends one."""
    tokenizer: str
    """SHA-256 of the tokenizer: losses per token of models with the same one compare."""
    unknown: int | None
    """The token that stands for what the tokenizer has no word for."""
    facts: Facts
    bytes_per_token: float
    """Memory of a token in a forward pass without gradients, about."""
    corpus_tokenizer: str = ""
    """SHA-256 of a run's tokenizer.json."""
    parts: tuple[Any, Any] | None = None
    """The model and the tokenizer of transformers."""


def choose_device(device: str) -> Any:
    """The device that is asked for, or the accelerator if there is one."""
    torch = _torch()
    kind = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if kind == "cpu":
        return torch.device("cpu")
    if kind.partition(":")[0] != "cuda" or not torch.cuda.is_available():
        raise InvalidRequest(
            f"device {one_line(kind, 40)!r} is not to be had here: choose cpu, or cuda where there is a GPU"
        )
    try:
        return torch.device(kind)
    except RuntimeError:
        raise InvalidRequest(
            f"device {one_line(kind, 40)!r} is unknown: choose cpu, cuda or cuda:1"
        ) from None


def read_config(folder: Path, name: str) -> dict[str, Any]:
    """`config.json` of a folder, of a model that transformers knows; nothing of it is run.

    Raises `InvalidRequest` for a folder without one, and for a model that needs code of its own.
    """
    known = require_transformers().models.auto.modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    try:
        config = json.loads((folder / CONFIG).read_bytes())
    except FileNotFoundError:
        raise InvalidRequest(
            f"model {name} has no {CONFIG}: name a folder that from_pretrained takes"
        ) from None
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"model {name}: {CONFIG} is not JSON: {one_line(error)}") from None
    kind = config.get("model_type") if isinstance(config, dict) else None
    if not isinstance(kind, str):
        raise InvalidRequest(
            f"model {name}: {CONFIG} has no model_type: name a folder that from_pretrained takes"
        )
    if kind not in known:
        if "auto_map" in config:
            raise InvalidRequest(
                f"model {name} needs code of its own ({one_line(kind, 40)}), which is never run (trust_remote_code is "
                "off): evaluate a conversion to an architecture that transformers has"
            )
        raise InvalidRequest(
            f"model {name} is of type {one_line(kind, 40)!r}, which is no causal language model of transformers "
            f"{require_transformers().__version__}"
        )
    found: dict[str, Any] = config
    return found


def load_folder(folder: Path, name: str, dtype: str, device: torch.device) -> Loaded:
    """The model in a folder as `save_pretrained` writes it, with its tokenizer.

    Raises `InvalidRequest` for what cannot be loaded as it is, in one line.
    """
    transformers, dtypes = require_transformers(), _torch()
    read_config(folder, name)
    if not any(folder.glob("*.safetensors")):
        others = [path.name for path in sorted(folder.glob("*.bin"))]
        raise InvalidRequest(
            f"model {name} has no weights in safetensors{f', only {listed(others, 2)}' if others else ''}: pickles are "
            "not opened, convert them where you trust them (save_pretrained)"
        )
    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        with quiet():
            tokenizer = _tokenizer(folder, name, local)
            model, problems = transformers.AutoModelForCausalLM.from_pretrained(
                folder, dtype=getattr(dtypes, dtype), use_safetensors=True, output_loading_info=True, **local
            )
    except (InvalidRequest, MemoryError, GeneratorExit):
        raise
    except Exception as error:  # transformers raises what its many parts raise
        raise InvalidRequest(
            f"model {name} cannot be loaded: {type(error).__name__}: {one_line(error, 200)}"
        ) from None
    lacking = sorted(map(str, [*problems.get("missing_keys", ()), *problems.get("mismatched_keys", ())]))
    if lacking:
        raise InvalidRequest(
            f"model {name} lacks weights, which would be random: {listed(lacking, 3)}: are all its files there?"
        )
    model = model.to(device).eval()

    def logits(inputs: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = model(input_ids=inputs, use_cache=False).logits
        return found

    begin = next(
        (token for token in (tokenizer.bos_token_id, tokenizer.eos_token_id) if isinstance(token, int)), None
    )
    if begin is None:
        raise InvalidRequest(
            f"model {name}: its tokenizer has no token that begins or ends a text: set bos_token in "
            "tokenizer_config.json"
        )
    encode, fingerprint = _encoder(tokenizer)
    rows = model.get_input_embeddings().weight.shape[0]
    _check_causal(logits, rows, device, name)
    return Loaded(
        scored(logits, usable_head(logits, model.get_output_embeddings(), rows, device)),
        _within(encode, rows, name),
        begin,
        fingerprint,
        tokenizer.unk_token_id if isinstance(tokenizer.unk_token_id, int) else None,
        facts_of(model),
        bytes_per_token(model.config, rows),
        parts=(model, tokenizer),
    )


def _tokenizer(folder: Path, name: str, local: dict[str, Any]) -> Any:
    """The tokenizer in a folder; `InvalidRequest` where there is none."""
    wordless = not any(path for kind in _TOKENIZERS for path in folder.glob(kind))
    try:
        tokenizer = require_transformers().AutoTokenizer.from_pretrained(folder, **local)
        found = not wordless or not tokenizer.vocab_files_names
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        if not wordless:
            raise
        found = False
    if not found:
        raise InvalidRequest(
            f"model {name} has no tokenizer (tokenizer.json): save that which it was trained with to its folder "
            "(save_pretrained)"
        )
    return tokenizer


def load_run(folder: Path, step: int | None, dtype: str, device: torch.device) -> Loaded:
    """A checkpoint of a run that `gemstones` trained, with the tokenizer of its corpus."""
    torch = _torch()
    from gemstones.runs.folders import read_run
    from gemstones.train.checkpoint import read_weights
    from gemstones.train.corpus import Corpus
    from gemstones.train.corpus.tokenizer import encode as encode_text
    from gemstones.train.corpus.tokenizer import parse_tokenizer
    from gemstones.train.model import Transformer

    run = read_run(folder)
    spec = run.spec
    if not Path(run.corpus).is_dir():
        raise InvalidRequest(
            f"run {spec.id}: its corpus {one_line(run.corpus, 80)}, which has its tokenizer, is not there: evaluate an "
            "export of it (gemstones export RUN --corpus DIR --output hf)"
        )
    corpus = Corpus.open(Path(run.corpus))
    _, weights = read_weights(folder, step)
    with torch.device("meta"):
        model = Transformer(spec.shape)
    model.load_state_dict(weights, assign=True)
    model = model.to(device=device, dtype=getattr(torch, dtype)).eval()
    tokenizer = parse_tokenizer(corpus.tokenizer.read_bytes(), corpus.tokenizer)

    def encode(texts: Sequence[str]) -> list[Ids]:
        return [np.array(encode_text(tokenizer, text), dtype=np.int32) for text in texts]

    shape = spec.shape
    memory = 4.0 * (3 * shape.vocabulary + 8 * shape.width + 3 * shape.mlp_width)
    sha256 = corpus.manifest.tokenizer.sha256
    return Loaded(
        scored(model, model.head),
        encode,
        corpus.manifest.end_of_document,
        _tokenizer_hash(tokenizer),
        None,
        facts_of_shape(shape),
        memory,
        sha256,
    )


def require_transformers() -> Any:
    """The module, untyped as its own types are wrong; `MissingExtra` where it is not installed."""
    with extra("export", "evaluating models of transformers"):
        import safetensors.torch  # noqa: F401

        return import_module("transformers")


def _torch() -> Any:
    with extra("train", "evaluating models"):
        return import_module("torch")


def _encoder(tokenizer: Any) -> tuple[Callable[[Sequence[str]], list[Ids]], str]:
    """What encodes text with a tokenizer of transformers, and the tokenizer's hash."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None and hasattr(backend, "encode_batch_fast"):
        fingerprint = _tokenizer_hash(backend)
        backend.no_truncation()
        backend.no_padding()
        backend.encode_special_tokens = True

        def encode(texts: Sequence[str]) -> list[Ids]:
            found: list[Ids] = []
            for at in range(0, len(texts), _ENCODED_AT_ONCE):
                encoded = backend.encode_batch_fast(
                    list(texts[at : at + _ENCODED_AT_ONCE]), add_special_tokens=False
                )
                found += [np.array(one.ids, dtype=np.int32) for one in encoded]
            return found

        return encode, fingerprint

    def slowly(texts: Sequence[str]) -> list[Ids]:
        return [
            np.array(
                tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"],
                dtype=np.int32,
            )
            for text in texts
        ]

    vocabulary = json.dumps(sorted(tokenizer.get_vocab().items()))
    return slowly, hashlib.sha256(f"{type(tokenizer).__name__}{vocabulary}".encode()).hexdigest()


def _tokenizer_hash(tokenizer: Any) -> str:
    """Of what it does to text: as JSON, without how it cuts and pads."""
    content = json.loads(tokenizer.to_str())
    content.pop("truncation", None)
    content.pop("padding", None)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _within(
    encode: Callable[[Sequence[str]], list[Ids]], rows: int, name: str
) -> Callable[[Sequence[str]], list[Ids]]:
    def checked(texts: Sequence[str]) -> list[Ids]:
        found = encode(texts)
        largest = max((int(ids.max()) for ids in found if len(ids)), default=0)
        if largest >= rows:
            raise InvalidRequest(
                f"model {name}: its tokenizer gives the id {largest}, its embedding has {rows} rows: the tokenizer is "
                "another model's"
            )
        return found

    return checked


def _check_causal(
    logits: Callable[[torch.Tensor], torch.Tensor], rows: int, device: torch.device, name: str
) -> None:
    import torch

    one = torch.arange(_PROBE, device=device)[None] % rows
    other = one.clone()
    other[0, -1] = (other[0, -1] + rows // 2) % rows
    with torch.inference_mode():
        try:
            first, second = logits(one)[0, :-1], logits(other)[0, :-1]
        except (RuntimeError, ValueError, TypeError, IndexError, AttributeError) as error:
            raise Failure(f"model {name} cannot be computed: {one_line(error, 200)}") from None
    if first.shape[-1] < rows and first.shape[-1] < 2:
        raise InvalidRequest(f"model {name} gives no logits over a vocabulary")
    # Rounding may differ where kernels do; what a later token does to a logit is of another size.
    most = (1e-5 if first.dtype == torch.float32 else 1e-2) * max(1.0, float(first.abs().max()))
    if float((first - second).abs().max()) > most:
        raise InvalidRequest(
            f"model {name} is not causal: its logits depend on later tokens, so it has no likelihood of a text"
        )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the bars, hints and warnings of `transformers`: what is said here is ours."""
    import warnings

    logging = require_transformers().utils.logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
