"""The rows that reach the model are the recipe's: all of them, no others, cut and labelled as asked.

Exists for Z#959 and TRL#3328 (two BOS tokens), U#8374 (max_length dropped in silence), U#2117 (labels
that are not there), and for splits that overlap.
"""

from collections.abc import Iterator
from typing import Any

from harness.checks import Context, verdict
from harness.record import Record, Rows
from harness.verdict import Outcome, Verdict

NAME = "training_data"
_OTHER = {"train": "evaluation", "evaluation": "training"}


def judge(record: Record, context: Context) -> Verdict:
    """PASS when each text came past once an epoch or evaluation, with one BOS and the right labels."""
    if not record.rows:
        reason = "the record has no count of rows; run the cell again"
        return verdict(NAME, record, Outcome.SKIPPED, reason)
    problems, causes = [], []
    for split, rows in record.rows.items():
        for problem, cause in _problems(record, split, rows):
            problems.append(f"{'training' if split == 'train' else split}: {problem}")
            causes.append(cause)
    evidence: dict[str, Any] = {split: rows.model_dump() for split, rows in record.rows.items()}
    if problems:
        return verdict(
            NAME,
            record,
            Outcome.FAIL,
            "; ".join(problems),
            diagnosis=tuple(dict.fromkeys(causes)),
            advice=("look at one batch of the trainer's own dataloader",),
            **evidence,
        )
    train = record.rows["train"]
    return verdict(
        NAME,
        record,
        Outcome.PASS,
        f"every row is one of the recipe's with one BOS token, the longest of {train.longest} tokens; "
        f"{train.supervised} tokens count in training, {train.masked} are masked",
        **evidence,
    )


def _problems(record: Record, split: str, rows: Rows) -> Iterator[tuple[str, str]]:
    if rows.rows == 0:
        yield "no row reached the model", "the trainer's data is empty, or its steps are replaced"
        return
    if (rows.bos_min, rows.bos_max) != (1, 1):
        yield (
            f"a row has {_range(rows.bos_min, rows.bos_max)} BOS tokens instead of 1",
            "template and tokenizer each add a BOS token, or neither does (Z#959, TRL#3328)",
        )
    longest = record.recipe["max_seq_length"]
    if rows.longest > longest:
        yield (
            f"the longest row has {rows.longest} tokens, the recipe allows {longest}",
            "max_seq_length does not reach the tokenization (U#8374)",
        )
    yield from _identity_problems(record, split, rows)
    yield from _label_problems(record, rows)


def _identity_problems(record: Record, split: str, rows: Rows) -> Iterator[tuple[str, str]]:
    if rows.of_other_split:
        yield (
            f"{rows.of_other_split} different rows are those of {_OTHER[split]}",
            "training and evaluation share rows: the split went wrong",
        )
    if rows.unknown > rows.of_other_split:
        unknown = rows.unknown - rows.of_other_split
        lengths = f"the longest has {rows.longest} tokens, the longest text {rows.longest_text}"
        yield (
            f"{unknown} different rows are none of the recipe's ({lengths})",
            "rows are cut, joined or rendered in another way than the recipe says",
        )
    if rows.missing:
        yield (
            f"{rows.missing} of {rows.texts} texts never came past",
            "rows are left out, or other rows took their place",
        )
    times = record.recipe["epochs"] if split == "train" else len(record.evaluations)
    wanted = {rows.texts * times, (rows.texts - rows.unsupervised_texts) * times}
    if not rows.missing and rows.rows not in wanted:
        yield (
            f"{rows.rows} rows came past, {rows.texts} texts {times} times were asked for",
            "rows repeat or are left out: epochs, sampler or the last batch",
        )


def _label_problems(record: Record, rows: Rows) -> Iterator[tuple[str, str]]:
    if rows.supervised == 0:
        yield "no token is supervised", "the labels are missing or all masked (U#2117)"
    elif rows.masked != rows.masked_expected and not rows.unknown:
        asked = "the prompts" if record.recipe["responses_only"] else "none"
        yield (
            f"{rows.masked} tokens are masked, the recipe masks {asked}: {rows.masked_expected}",
            "the labels cover another part of the rows than the recipe asks for",
        )
    if rows.wrong_labels:
        yield (
            f"{rows.wrong_labels} labels are not their own token",
            "the labels are shifted or taken from elsewhere before the trainer shifts them",
        )


def _range(low: int, high: int) -> str:
    return str(low) if low == high else f"{low} to {high}"
