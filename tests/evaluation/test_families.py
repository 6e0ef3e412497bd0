"""What names of released models tell, against what their cards say."""

from __future__ import annotations

from pathlib import Path

import pytest

from gemstones.errors import InvalidRequest
from gemstones.evaluation.targets import Wanted, find_targets
from gemstones.runs import families, load
from gemstones.runs.families import RELEASED, read, thinned
from tests.cli.conftest import Cli, cli

__all__ = ["Cli", "cli"]


@pytest.mark.parametrize(
    ("model", "revision", "tokens", "kind"),
    [
        ("tomg-group-umd/Gemstone-256x23", "step_00002385", 2385 * 2048**2, "main"),
        ("tomg-group-umd/Gemstone-256x23", "main", 83_475 * 2048**2, "main"),
        ("tomg-group-umd/Gemstone-1536x50_lr_ablation", "step_00000477", 477 * 2048**2, "lr-ablation"),
        (
            "tomg-group-umd/Gemstone-256x23_cooldown",
            "step_00002385_cooldown_00002622",
            2622 * 2048**2,
            "cooldown",
        ),
        ("EleutherAI/pythia-1.4b-deduped", "step143000", 299_892_736_000, ""),
        ("EleutherAI/pythia-70m", "main", 299_892_736_000, ""),
        ("allenai/OLMo-1B-hf", "step738020-tokens3094B", 3094e9, ""),
        ("allenai/OLMo-2-0425-1B", "stage1-step10000-tokens21B", 21e9, ""),
        ("LLM360/Amber", "ckpt_179", 1259.13e9 / 2, ""),
        ("LLM360/Amber", "main", 1259.13e9, ""),
        ("HuggingFaceTB/SmolLM2-1.7B-intermediate-checkpoints", "step-125000", 125_000 * 2_097_152, ""),
        ("HuggingFaceTB/SmolLM2-135M-intermediate-checkpoints", "step-240000", 240_000 * 1_048_576, ""),
        ("HuggingFaceTB/SmolLM3-3B-checkpoints", "stage1-step-40000", 40_000 * 2_359_296, ""),
    ],
)
def test_tokens(model: str, revision: str, tokens: float, kind: str) -> None:
    found = read(model, revision)
    assert found is not None
    assert (found[1].tokens, found[1].kind) == (tokens, kind)


@pytest.mark.parametrize(
    ("model", "revision"),
    [
        ("tomg-group-umd/Gemstone-256x23_cooldown", "main"),  # which cooldown it is, no name says
        ("tomg-group-umd/Gemstone-256x23", "refs/pr/1"),
        ("EleutherAI/pythia-6.9b-v0", "step1000"),  # another batch size
        ("EleutherAI/pythia-70m", "step143000-x"),
        ("allenai/OLMo-1B-hf", "main"),
        ("LLM360/Amber", "ckpt_360"),
        ("someone/pythia-70m", "step1000"),
        ("gpt2", "main"),
    ],
)
def test_nothing_is_guessed(model: str, revision: str) -> None:
    assert read(model, revision) is None


@pytest.mark.published_data
def test_released_gemstones_are_those_of_the_published_runs() -> None:
    runs = load("gemstones").frame
    for family, variant in (("main", "main"), ("lr-ablation", "lr-ablation"), ("cooldown", "cooldown")):
        rows = runs.filter(runs["family"] == family)
        tokens = {
            found[1].tokens
            for revision in RELEASED["gemstones"].revisions(variant)
            if (found := read(RELEASED["gemstones"].model("256x23", variant), revision)) is not None
        }
        assert tokens <= set(rows["tokens"].to_list()), family
    main = runs.filter(runs["family"] == "main")
    assert {f"{w}x{d}" for w, d in main.select("width", "depth").rows()} == {*RELEASED["gemstones"].shapes}
    assert len(RELEASED["gemstones"].revisions("main")) == main.height / 22


def test_every_10B_are_the_checkpoints_of_the_benchmarks() -> None:  # noqa: N802
    named = find_targets(["gemstones"], Wanted(shapes=("256x23", "512x12"), every=10e9), pinned=False)
    assert len(named) == 70
    assert [target.revision for target in named[:2]] == ["step_00002385", "step_00004770"]
    assert (named[34].revision, named[35].model) == ("main", "tomg-group-umd/Gemstone-512x12")


def test_naming_them(cli: Cli) -> None:
    told = cli(
        "evaluate", "gemstones", "--shapes", "256x23", "--every", "50B", "--variant", "cooldown", "--json"
    ).json
    assert [one["revision"] for one in told["models"]] == [
        "step_00011925_cooldown_00013116",
        "step_00021465_cooldown_00023610",  # 99B, nearest to 100B
    ]
    assert told["models"][0]["training_tokens"] == 13_116 * 2048**2 and told["rows"] == []
    assert "tomg-group-umd/Gemstone-{shape}{variant}" in cli("data", "list").out
    (models,) = cli("data", "list", "--json").json["models"]
    assert "3072x12" in models["shapes"] and models["variants"]["lr-ablation"] == "_lr_ablation"


def test_thinned() -> None:
    assert thinned({}, 1.0) == []
    assert thinned({"late": 25.0, "a": 1.0, "b": 9.0, "c": 11.0}, 10.0) == ["b"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("gemstones --shapes 256x24", "shape '256x24' is none of gemstones: choose from 256x23"),
        ("gemstones --shapes 256x23,", "must be WIDTHxDEPTH between commas"),
        ("gemstones --every 500B", "no revision is told to be at a multiple of 5e+11 tokens"),
        ("gemstones --revision step_1", "has no revision 'step_1': it has step_00000477"),
        ("gpt2 --variant cooldown", "variant cooldown is one of released models"),
        ("./nowhere", "model './nowhere' does not exist"),
        ("gemstones --every ten", "every 'ten' is not a number"),
        ("gemstones --output x.parquet", "there is nothing to write without a text"),
    ],
)
def test_wrong_names(
    cli: Cli, words: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = cli("evaluate", *words.split())
    assert (outcome.status, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert said in outcome.err and not [*tmp_path.iterdir()]


def test_no_model() -> None:
    with pytest.raises(InvalidRequest, match="no model was given"):
        find_targets([], Wanted())


def test_the_page_has_the_families() -> None:
    page = (Path(__file__).parents[2] / "docs" / "evaluate.md").read_text("utf-8")
    assert families.markdown() in page
