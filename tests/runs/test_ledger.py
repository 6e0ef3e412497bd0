"""A stitched ledger is that of the run as if nothing had happened, whatever did."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gemstones.errors import InvalidTable
from gemstones.runs.ledger import (
    LEDGER,
    Diverged,
    Evaluation,
    Event,
    Finished,
    Ledger,
    Rollback,
    Start,
    Step,
    Stopped,
    line_of,
    parse,
    passed_over,
    read_ledger,
    stitched,
)
from tests.runs.made_up import BATCH_TOKENS, Kill, Trainer, cooldown_of, spec_of

MAIN = spec_of()
CHILD = cooldown_of(MAIN, 10, 14)

kills = st.lists(
    st.builds(Kill, lines=st.integers(0, 50), torn=st.integers(0, 400), older=st.integers(0, 3)), max_size=8
)
bad_batches = st.frozensets(st.integers(0, 40), max_size=3)


def timeless(steps: tuple[Step, ...]) -> list[Step]:
    return [msgspec.structs.replace(step, seconds=0) for step in steps]


@settings(max_examples=150)
@given(kills=kills, bad=bad_batches, back=st.integers(0, 2), child=st.booleans(), inherited=st.integers(0, 5))
def test_no_history_shows(
    kills: list[Kill], bad: frozenset[int], back: int, child: bool, inherited: int
) -> None:
    spec = CHILD if child else MAIN
    undisturbed = Trainer(spec, bad=bad, back=back, inherited=inherited).train()
    ledger = Trainer(spec, bad=bad, back=back, inherited=inherited, seconds=0.75).train(*kills)

    own = range(spec.fork_step + 1, spec.steps + 1)
    assert [step.step for step in ledger.steps] == list(own)
    assert timeless(ledger.steps) == timeless(undisturbed.steps)
    assert ledger.evaluations == undisturbed.evaluations
    assert [evaluation.step for evaluation in ledger.evaluations] == list(spec.evaluation_steps)
    assert ledger.rollbacks == undisturbed.rollbacks
    assert (ledger.state, ledger.last_step) == ("finished", spec.steps)
    skipped = [passed_over(ledger.rollbacks, step, inherited) for step in own]
    assert skipped == [passed_over(undisturbed.rollbacks, step, inherited) for step in own]
    # What was read, batch by batch, is in the losses: none of the bad ones, none twice.
    read = [round((step.loss - 3.0 - step.step / 7) * 1e6) for step in ledger.steps]
    assert read == [step - 1 + more for step, more in zip(own, skipped, strict=True)]
    assert bad.isdisjoint(read)
    assert read == sorted(set(read))
    # Each step by the session that did it.
    order = [ledger.starts.index(session) for session in ledger.sessions]
    assert order == sorted(order)


def test_a_step_is_of_the_session_that_did_it_last() -> None:
    trainer = Trainer(MAIN)
    # Killed after steps 1 to 8 (a start, evaluations after 4 and 8, saved after 5): gone on from step 5.
    ledger = trainer.train(Kill(12))
    assert [session.time for session in ledger.sessions] == ["session 0"] * 5 + ["session 1"] * 19
    assert [event.step for event in ledger.events if isinstance(event, Step)] == [*range(1, 9), *range(6, 25)]


def test_states() -> None:
    assert stitched([]) == Ledger()
    assert (Ledger().state, Ledger().last_step, passed_over(Ledger().rollbacks, 1, 3)) == (None, 0, 3)
    trainer = Trainer(CHILD)
    begun = trainer.stop_after(1)
    assert (begun.state, begun.last_step, begun.steps) == ("begun", 10, ())
    begun = trainer.stop_after(4)
    assert (begun.state, begun.last_step) == ("begun", 12)
    stopped = stitched([*begun.events, Stopped(step=12, reason="SIGTERM")])
    assert (stopped.state, stopped.last_step) == ("stopped", 12)
    finished = trainer.train()
    assert (finished.state, finished.last_step) == ("finished", 24)


def start(step: int = 0) -> Start:
    return Start(step=step, time="", device="", matmul_flops_per_second=1, epochs=1)


def step(number: int) -> Step:
    return Step(
        step=number,
        tokens=number,
        loss=float(number),
        gradient_norm=1,
        learning_rate=1,
        seconds=1,
        utilisation=1,
    )


def evaluation(number: int, loss: float = 1.0) -> Evaluation:
    return Evaluation(step=number, tokens=number, loss=loss, sequences=1, seconds=1)


def rollback(seen: int, to: int, skipped: int) -> Rollback:
    return Rollback(step=seen, to_step=to, loss=None, reason="", skipped_batches=skipped)


def test_given_up_after_a_stretch_that_does_not_count() -> None:
    events: list[Event] = [start(), *map(step, range(1, 5)), evaluation(4), step(5), step(6), evaluation(6)]
    given_up = stitched([*events, Diverged(step=4, reason="spike")])
    assert (given_up.state, given_up.last_step) == ("diverged", 4)
    assert [e.step for e in given_up.evaluations] == [4]


def test_back_to_the_very_start() -> None:
    ledger = stitched([start(), *map(step, range(1, 6)), start(5), step(6), rollback(6, 0, 6)])
    assert (ledger.last_step, ledger.steps, ledger.sessions, ledger.state) == (0, (), (), "begun")
    assert passed_over(ledger.rollbacks, 1) == 6


def test_rollbacks_that_a_later_one_goes_back_beyond_are_out_of_force() -> None:
    history = [start(), *map(step, range(1, 9)), rollback(9, 8, 1), step(9), step(10)]
    ledger = stitched([*history, rollback(10, 4, 7)])
    assert [back.to_step for back in ledger.rollbacks] == [4]
    assert [passed_over(ledger.rollbacks, n) for n in (4, 5, 9, 20)] == [0, 7, 7, 7]
    later = stitched([*history, rollback(10, 9, 2)])
    assert [back.to_step for back in later.rollbacks] == [8, 9]
    assert [passed_over(later.rollbacks, n) for n in (8, 9, 10)] == [0, 1, 2]


def test_an_evaluation_made_again_counts_once() -> None:
    ledger = stitched([start(), step(1), evaluation(1, 2.0), start(1), evaluation(1, 2.5), step(2)])
    assert [e.loss for e in ledger.evaluations] == [2.5]


@pytest.mark.parametrize(
    ("events", "line", "what"),
    [
        ([step(1)], 1, "comes before any session"),
        ([start(), step(1), step(3)], 3, "is step 3, and follows step 1"),
        ([start(), step(1), step(1)], 3, "is step 1, and follows step 1"),
        ([start(7), step(7)], 2, "is step 7, and follows step 7"),
        ([start(), step(1), start(2)], 3, "starts after step 2, and there are 0 to 1"),
        ([start(7), step(8), start(6)], 3, "starts after step 6, and there are 7 to 8"),
        ([start(), step(1), evaluation(2)], 3, "evaluates step 2, and follows step 1"),
        ([start(), step(1), step(2), evaluation(1)], 4, "evaluates step 1, and follows step 2"),
        ([start(), step(1), rollback(2, 2, 1)], 3, "goes back to step 2, and there are 0 to 1"),
        ([start(7), step(8), rollback(9, 6, 1)], 3, "goes back to step 6, and there are 7 to 8"),
    ],
)
def test_gaps_and_leaps_name_their_line(events: list[Event], line: int, what: str) -> None:
    with pytest.raises(InvalidTable) as caught:
        stitched(events, "runs/a/ledger.jsonl")
    assert str(caught.value).startswith(f"runs/a/ledger.jsonl: line {line} {what}: ")


def test_a_line_that_was_cut_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / LEDGER
    assert read_ledger(path) == Ledger()
    trainer = Trainer(MAIN)
    trainer.stop_after(9)
    for cut in range(len(trainer.content) + 1):
        assert len(parse(trainer.content[:cut], "ledger")) == trainer.content[:cut].count(b"\n")
    path.write_bytes(trainer.content[:-1])
    assert read_ledger(path).events == trainer.ledger.events[:-1]


ACCEPTED = msgspec.json.encode(step(1)).decode()


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("", "Input data was truncated"),
        ("{", "Input data was truncated"),
        ("[]", "Expected `object`, got `array`"),
        ("\x00\x00", "JSON is malformed"),
        ("{}", "Object missing required field `event`"),
        ('{"event":"eval","step":1}', "Invalid value 'eval' - at `$.event`"),
        (ACCEPTED.replace('"loss":1.0', '"loss":NaN'), "JSON is malformed"),
        (ACCEPTED.replace('"loss":1.0', '"loss":1e999'), "Number out of range"),
        (ACCEPTED.replace('"loss":1.0', '"loss":"1"'), "Expected `float`, got `str` - at `$.loss`"),
        (ACCEPTED.replace('"loss":1.0', '"loss":null'), "Expected `float`, got `null` - at `$.loss`"),
        (ACCEPTED.replace('"step":1', '"step":-1'), "Expected `int` >= 0 - at `$.step`"),
        (ACCEPTED.replace('"step":1', '"step":1.5'), "Expected `int`, got `float` - at `$.step`"),
        (ACCEPTED.replace('"tokens":1', '"tokens":0'), "Expected `int` >= 1 - at `$.tokens`"),
        (ACCEPTED.replace('"loss"', '"losses"'), "Object contains unknown field `losses`"),
        (ACCEPTED.replace('"loss":1.0,', ""), "Object missing required field `loss`"),
        (ACCEPTED[:20] + ACCEPTED, "JSON is malformed"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, what: str) -> None:
    path = tmp_path / LEDGER
    first = msgspec.json.encode(start()).decode()
    path.write_text(f"{first}\n{ACCEPTED}\n")
    assert read_ledger(path).last_step == 1
    path.write_text(f"{first}\n{line}\n{msgspec.json.encode(Finished(step=1)).decode()}\n")
    with pytest.raises(InvalidTable) as caught:
        read_ledger(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: line 2 is no record of a ledger: {what}")
    assert "\n" not in message


@pytest.mark.parametrize("old", [1, 0])
def test_a_number_that_was_changed_is_named(tmp_path: Path, old: int) -> None:
    """Every digit of a line: none can be another without being seen. Lines of before have no checksum."""
    events: list[Event] = [start(), step(1), step(2)]
    lines = [msgspec.json.encode(event) + b"\n" for event in events[:old]]
    lines += [line_of(event) for event in events[old:]]
    path = tmp_path / LEDGER
    path.write_bytes(b"".join(lines))
    assert read_ledger(path).events == tuple(events)
    for place, byte in enumerate(lines[2]):
        if not chr(byte).isdigit():
            continue
        changed = lines[2][:place] + (b"1" if byte != ord("1") else b"2") + lines[2][place + 1 :]
        with pytest.raises(
            InvalidTable, match=r"line 3 (is not as it was written: its checksum|is no record)"
        ):
            parse(lines[0] + lines[1] + changed, "ledger")
    with pytest.raises(
        InvalidTable, match=r"line 2 is not as it was written: .*: restore the file, or delete"
    ):
        parse(lines[0] + lines[1].replace(b'"loss":1.0', b'"loss":1.5') + lines[2], "ledger")


def test_bytes_that_are_no_text_and_folders(tmp_path: Path) -> None:
    with pytest.raises(InvalidTable, match=r"line 1 is no record"):
        parse(b'{"event":"\xff"}\n', "ledger")
    (tmp_path / LEDGER).mkdir()
    with pytest.raises(InvalidTable, match="cannot be read"):
        read_ledger(tmp_path / LEDGER)


def test_numbers_come_through_unchanged() -> None:
    """Shortest exact decimals there and back, the smallest and the most awkward ones."""
    awkward = [0.1, 1 / 3, 2.5 + 2**-50, 5e-324, 1e300, 3.0000000000000004]
    events: list[Event] = [start()]
    for number, loss in enumerate(awkward, start=1):
        events.append(msgspec.structs.replace(step(number), loss=loss))
    written = b"".join(msgspec.json.encode(event) + b"\n" for event in events)
    read = stitched(parse(written, "ledger"))
    assert [s.loss.hex() for s in read.steps] == [loss.hex() for loss in awkward]
    assert MAIN.batch_tokens == BATCH_TOKENS
