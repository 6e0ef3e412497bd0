"""Released suites of models: how their revisions are named, and how many tokens a model had read at each.

A pattern is only here if its source says what a step is worth; models of no known family are evaluated all the same,
and their tokens are given with --columns. Everything is told by names: nothing is asked of the network.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

GEMSTONES_BATCH = 2048 * 2048
"""Tokens of a step of the Gemstones: 2,048 sequences of 2,048 (model cards: "a global batch size of 2048")."""
GEMSTONES_OWNER = "tomg-group-umd"
GEMSTONES_EVERY = 477
"""Steps between released checkpoints, 2 billion tokens (model cards)."""
GEMSTONES_STEPS = 83_475
"""Of a main run; its last checkpoint is the revision `main`."""
LR_ABLATION_STEPS = 23_840
"""Of a run at half the learning rate: the last row of the published ablation, 100B tokens (model cards)."""
GEMSTONES_SHAPES = (
    "256x23", "256x27", "256x71", "256x80", "384x13", "384x36", "512x11", "512x12", "512x13", "512x14", "512x16",
    "768x3", "768x45", "1024x28", "1280x15", "1280x36", "1536x50", "1792x7", "1792x18", "2048x27", "2560x8",
    "3072x12",
)  # fmt: skip
"""Those of the 22 main runs."""
COOLED = (
    (2385, 2622), (4770, 5246), (7155, 7870), (9540, 10493), (11925, 13116), (14310, 15740), (16695, 18364),
    (19080, 20987), (21465, 23610),
)  # fmt: skip
"""First and last steps of the cooldowns: from 10B to 90B tokens on (model cards), ends as in the published table."""
AMBER_TOKENS = 1_259.13e9
"""Of Amber's 360 chunks together (model card, table "Data Mix")."""


@dataclass(frozen=True)
class Read:
    """What the name of a model and of a revision tell of a checkpoint."""

    tokens: float
    step: int | None = None
    kind: str = ""
    """The run's family in the sense of a run table: main, lr-ablation, cooldown."""
    rounded: str = ""
    """How the tokens are rounded, where they are."""


@dataclass(frozen=True)
class Family:
    """Models whose revisions are read alike."""

    name: str
    model: re.Pattern[str]
    """Matches the whole name on the hub."""
    revisions: str
    """How revisions are written, for people."""
    tokens: str
    """What a revision is worth, for people."""
    source: str
    """Where that is said."""
    read: Callable[[re.Match[str], str], Read | None] = field(repr=False)
    """Of a matched model and a revision, or None for a revision that says nothing."""


def _step(pattern: str, revision: str) -> int | None:
    found = re.fullmatch(pattern, revision)
    return int(found[1]) if found else None


def _gemstones(model: re.Match[str], revision: str) -> Read | None:
    variant = model[3] or ""
    if cooled := re.fullmatch(r"step_(\d+)_cooldown_(\d+)", revision):
        return Read(int(cooled[2]) * GEMSTONES_BATCH, int(cooled[2]), "cooldown")
    last = {"": GEMSTONES_STEPS, "_lr_ablation": LR_ABLATION_STEPS}
    # The main branch of a cooldown is that from 90 to 99 billion tokens by the card; no step is stated.
    step = _step(r"step_(\d+)", revision) if revision != "main" else last.get(variant)
    if step is None:
        return None
    return Read(step * GEMSTONES_BATCH, step, variant.lstrip("_").replace("_", "-") or "main")


def _pythia(model: re.Match[str], revision: str) -> Read | None:
    step = 143_000 if revision == "main" else _step(r"step(\d+)", revision)
    return None if step is None else Read(step * 2_097_152, step)


def _olmo(model: re.Match[str], revision: str) -> Read | None:
    found = re.fullmatch(r"(?:stage1-)?step(\d+)-tokens(\d+)B", revision)
    if not found or (int(found[1]) and not int(found[2])):
        return None  # fewer than a billion, and no more is said
    return Read(int(found[2]) * 1e9, int(found[1]), rounded="as the revision names them, whole billions")


def _amber(model: re.Match[str], revision: str) -> Read | None:
    number = 359 if revision == "main" else _step(r"ckpt_(\d{3})", revision)
    if number is None or number > 359:
        return None
    return Read((number + 1) * AMBER_TOKENS / 360, rounded="as equal shares of the 360 chunks of 1,259.13B")


_SMOLLM2_BATCH = {"135M": 1_048_576, "360M": 1_572_864, "1.7B": 2_097_152}


def _smollm2(model: re.Match[str], revision: str) -> Read | None:
    step = _step(r"step-(\d+)", revision)
    return None if step is None else Read(step * _SMOLLM2_BATCH[model[1]], step)


def _smollm3(model: re.Match[str], revision: str) -> Read | None:
    step = _step(r"stage[123]-step-(\d+)", revision)
    return None if step is None else Read(step * 2_359_296, step)


FAMILIES: tuple[Family, ...] = (
    Family(
        "Gemstones",
        re.compile(r"(?:tomg-group-umd/)?Gemstone-(\d+)x(\d+)(_lr_ablation|_cooldown)?"),
        "`step_00002385`; cooled down `step_00002385_cooldown_00002622`; `main`",
        "step x 2048²; of a cooldown, the second step; `main` is step 83,475, of an ablation 23,840",
        "https://huggingface.co/tomg-group-umd/Gemstone-256x23",
        _gemstones,
    ),
    Family(
        "Pythia",
        re.compile(r"(?:EleutherAI/)?pythia-(?!.*-v0)(?!intervention).+"),
        "`step512`; `main`",
        "step x 2,097,152; `main` is step 143,000",
        "https://arxiv.org/abs/2304.01373, §2.2; https://huggingface.co/EleutherAI/pythia-70m",
        _pythia,
    ),
    Family(
        "OLMo",
        re.compile(r"(?:allenai/)?OLMo-.+"),
        "`step1000-tokens4B`, `stage1-step1000-tokens5B`",
        "as the revision says, in whole billions",
        "https://huggingface.co/allenai/OLMo-1B-hf, https://huggingface.co/allenai/OLMo-2-0425-1B",
        _olmo,
    ),
    Family(
        "Amber",
        re.compile(r"(?:LLM360/)?Amber"),
        "`ckpt_000` to `ckpt_358`; `main`",
        "(number + 1) x 1,259.13B / 360; `main` is number 359",
        "https://huggingface.co/LLM360/Amber",
        _amber,
    ),
    Family(
        "SmolLM2",
        re.compile(r"(?:HuggingFaceTB/)?SmolLM2-(135M|360M|1\.7B)-intermediate-checkpoints"),
        "`step-125000`",
        "step x 1,048,576 (135M), 1,572,864 (360M), 2,097,152 (1.7B)",
        "https://huggingface.co/HuggingFaceTB/SmolLM2-1.7B-intermediate-checkpoints and its siblings",
        _smollm2,
    ),
    Family(
        "SmolLM3",
        re.compile(r"(?:HuggingFaceTB/)?SmolLM3-3B-checkpoints"),
        "`stage1-step-40000`",
        "step x 2,359,296",
        "https://huggingface.co/HuggingFaceTB/SmolLM3-3B-checkpoints",
        _smollm3,
    ),
)
"""Known families; a model is of the first that matches its name."""


def read(model: str, revision: str) -> tuple[Family, Read] | None:
    """The family of a model, by its name on the hub or that of a folder, and what a revision of it tells.

    >>> family, checkpoint = read("tomg-group-umd/Gemstone-256x23", "step_00002385_cooldown_00002622")
    >>> family.name, checkpoint.kind, f"{checkpoint.tokens:,}"
    ('Gemstones', 'cooldown', '10,997,465,088')
    >>> read("EleutherAI/pythia-70m", "step512")[1].tokens
    1073741824
    >>> read("gpt2", "main")
    """
    for family in FAMILIES:
        if (matched := family.model.fullmatch(model)) is not None:
            checkpoint = family.read(matched, revision)
            return None if checkpoint is None else (family, checkpoint)
    return None


def thinned(tokens: Mapping[str, float], every: float) -> list[str]:
    """The names whose tokens are nearest to each multiple of `every`, in order of tokens.

    A multiple of which none is within a quarter of `every` has no name.

    >>> thinned({"a": 2.0, "b": 9.5, "c": 10.1, "d": 19.0}, 10)
    ['c', 'd']
    """
    names = sorted(tokens, key=lambda name: (tokens[name], name))
    if not names:
        return []
    chosen: dict[str, None] = {}
    for multiple in range(1, int(tokens[names[-1]] / every + 0.5) + 1):
        near = min(names, key=lambda name: abs(tokens[name] - multiple * every))
        if abs(tokens[near] - multiple * every) < every / 4:
            chosen[near] = None
    return list(chosen)


@dataclass(frozen=True)
class Released:
    """Models on the hub that go by one name here."""

    name: str
    description: str
    hub: str
    """`{shape}` stands for WIDTHxDEPTH, `{variant}` for a variant's ending."""
    variants: Mapping[str, str]
    """Ending of the hub's name by family of runs."""
    shapes: tuple[str, ...]
    licence: str
    revisions: Callable[[str], Sequence[str]] = field(repr=False)
    """Names of the revisions of a family of runs, by tokens."""

    def model(self, shape: str, variant: str = "main") -> str:
        """The name on the hub.

        >>> RELEASED["gemstones"].model("256x23", "cooldown")
        'tomg-group-umd/Gemstone-256x23_cooldown'
        """
        return self.hub.format(shape=shape, variant=self.variants[variant])


def _released_revisions(kind: str) -> list[str]:
    """Of a Gemstone's runs of a kind, the newest last."""
    if kind == "cooldown":
        return [f"step_{start:08d}_cooldown_{end:08d}" for start, end in COOLED]
    last = GEMSTONES_STEPS if kind == "main" else LR_ABLATION_STEPS
    return [f"step_{step:08d}" for step in range(GEMSTONES_EVERY, last, GEMSTONES_EVERY)] + ["main"]


RELEASED: Mapping[str, Released] = MappingProxyType(
    {
        "gemstones": Released(
            "gemstones",
            "the released Gemstones: 22 shapes, a checkpoint every 2B tokens, half the learning rate, cooled down",
            f"{GEMSTONES_OWNER}/Gemstone-{{shape}}{{variant}}",
            MappingProxyType({"main": "", "lr-ablation": "_lr_ablation", "cooldown": "_cooldown"}),
            GEMSTONES_SHAPES,
            "Apache-2.0",
            _released_revisions,
        )
    }
)
"""Names that `gemstones evaluate` takes for many models."""


def markdown() -> str:
    """The table of docs/evaluate.md: known families, their revisions, what these are worth, and who says so."""
    rows = [f"| {f.name} | {f.revisions} | {f.tokens} | {f.source} |" for f in FAMILIES]
    return "\n".join(("| family | revisions | training tokens | source |", "|---|---|---|---|", *rows))
