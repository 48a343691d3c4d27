import pytest

from harness.bisect.criterion import Criterion, Reading
from harness.bisect.probe import settle
from harness.bisect.search import Answer
from harness.errors import SelectionError
from harness.gate import judge_cell
from harness.record import Record
from tests.unit.records import NAN, make_record
from tests.unit.simulated_history import ended, frozen, sound

GOOD, BAD, SKIP = Answer.GOOD, Answer.BAD, Answer.SKIP


def read(record: Record, *checks: str, good: Record | None = None) -> Reading:
    return Criterion(checks, good).read(judge_cell([record], reused=False))


@pytest.mark.parametrize(
    ("record", "check", "answer"),
    [
        (sound(), "eval_loss_moves", GOOD),
        (frozen(), "eval_loss_moves", BAD),
        (frozen(), "completed", GOOD),
        (frozen(), "throughput", SKIP),  # UNCALIBRATED: no baseline
        (ended("OOM", "train", "RuntimeError", "out of memory"), "completed", BAD),
        (ended("OOM", "train", "RuntimeError", "out of memory"), "eval_loss_moves", SKIP),
        (ended("CRASHED", "load", "NameError", "name 'forward'"), "completed", BAD),
        (ended("CRASHED", "load", "NameError", "name 'forward'"), "eval_loss", SKIP),
        (ended("CRASHED", "import", "ImportError", "no name"), "completed", SKIP),
        (ended("TIMEOUT", "train", "time limit", "still running"), "completed", SKIP),
        (ended("INFRA", "build", "StackBuildError", "cannot build"), "completed", SKIP),
    ],
)
def test_one_check_answers(record: Record, check: str, answer: Answer) -> None:
    assert read(record, check).answer is answer


@pytest.mark.parametrize(
    "message",
    [
        "Unsloth: Gemma 3 only works on transformers >= 4.50.0.",
        "module transformers has no attribute Gemma3ForCausalLM",
        "The checkpoint you are trying to load has model type `gemma3` but Transformers does not",
    ],
)
def test_a_release_from_before_gemma_3_says_nothing(message: str) -> None:
    reading = read(ended("CRASHED", "load", "RuntimeError", message), "completed")
    assert (reading.answer, reading.is_broken) == (SKIP, True)


def test_one_red_check_of_several_is_bad_and_one_that_does_not_apply_is_not_missed() -> None:
    assert read(frozen(), "completed", "eval_loss_moves").answer is BAD
    reading = read(sound(), "throughput", "eval_loss_moves")
    assert reading.answer is GOOD
    assert reading.reason.startswith("eval_loss_moves: ")


def test_losses_are_held_against_the_good_ends() -> None:
    good = sound()
    assert read(sound(), "eval_loss", good=good).answer is GOOD
    assert read(sound(evaluations=[6.74, 4.73, 4.38, 4.5]), "eval_loss", good=good).answer is BAD
    assert read(sound(evaluations=[6.74, 4.73, 4.38, 4.0]), "eval_loss", good=good).answer is GOOD
    assert read(sound(evaluations=[6.74, 4.73, NAN, NAN]), "eval_loss", good=good).answer is BAD


def test_of_mixtures_the_neighbours_own_failure_is_bad_and_no_other() -> None:
    wanted = ended("CRASHED", "data", "ValueError", "does not support bf16")
    other = ended("CRASHED", "train", "NameError", "name 'x' is not defined")
    asked = Criterion(("completed",)).like(judge_cell([wanted], reused=False))
    answers = [asked.read(judge_cell([r], reused=False)).answer for r in (wanted, other, sound())]
    assert answers == [BAD, SKIP, GOOD]
    # Where the neighbour did not crash, no crash is what it did.
    asked = Criterion(("completed", "eval_loss_moves")).like(judge_cell([frozen()], reused=False))
    assert asked.read(judge_cell([other], reused=False)).answer is SKIP


def test_a_killed_run_and_a_timed_check_are_not_certain() -> None:
    assert not read(ended("CRASHED", "train", "SIGSEGV", "x"), "completed").is_certain
    assert not read(ended("TIMEOUT", "train", "time limit", "x"), "completed").is_certain
    assert not read(sound(), "throughput").is_certain
    assert read(ended("INFRA", "build", "StackBuildError", "x"), "completed").is_certain
    assert read(sound(), "completed", "eval_loss_moves").is_certain


def test_a_check_that_does_not_exist_is_refused() -> None:
    with pytest.raises(SelectionError, match="there are cell, eval_loss, completed"):
        Criterion(("eval-loss",))


def test_the_ends_make_the_question() -> None:
    cells = [judge_cell([record], reused=False) for record in (sound(), frozen())]
    narrowed = Criterion(("cell",)).between(*cells)
    assert "cell" not in narrowed.checks
    assert "eval_loss_moves" in narrowed.checks
    also_bad = judge_cell([make_record(**{"evaluations": [6.9392] * 4})], reused=False)
    left = Criterion(("cell",)).between(also_bad, cells[1])
    assert "eval_loss_moves" not in left.checks


def unsure(*answers: Answer) -> list[Reading]:
    return [Reading(answer, "why", is_certain=False) for answer in answers]


@pytest.mark.parametrize(
    ("readings", "answer"),
    [
        ([Reading(BAD, "why")], BAD),
        (unsure(BAD), None),
        (unsure(BAD, BAD), BAD),
        (unsure(BAD, GOOD), None),
        (unsure(BAD, GOOD, GOOD), GOOD),
        (unsure(BAD, SKIP, SKIP), SKIP),
        (unsure(BAD, GOOD, SKIP), SKIP),
        ([*unsure(SKIP), Reading(GOOD, "why")], GOOD),
    ],
)
def test_an_uncertain_answer_is_repeated(readings: list[Reading], answer: Answer | None) -> None:
    settled = settle(readings, 3)
    assert (settled and settled.answer) is answer


def test_a_draw_is_ambiguous_and_says_so() -> None:
    settled = settle(unsure(BAD, GOOD, SKIP), 3)
    assert settled is not None
    assert settled.reason == "ambiguous after 3 runs: 1 GOOD, 1 BAD, 1 SKIP; last: why"
