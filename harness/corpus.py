"""The text: translation pairs, split so that no evaluation phrase occurs in training."""

import csv
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from harness.errors import InputError
from harness.locations import FIXTURES
from harness.recipe import Recipe

LATIN_ITALIAN = FIXTURES / "corpus" / "latin_italian.tsv"
_COLUMNS = (("source", "target"), ("latin", "italian"))


@dataclass(frozen=True)
class Pair:
    """A phrase and its translation."""

    source: str
    target: str


@dataclass(frozen=True)
class Split:
    """Training and evaluation pairs without a phrase in common."""

    train: tuple[Pair, ...]
    evaluation: tuple[Pair, ...]

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write train.jsonl and eval.jsonl, the payload's input."""
        paths = (folder / "train.jsonl", folder / "eval.jsonl")
        for path, pairs in zip(paths, (self.train, self.evaluation), strict=True):
            lines = (json.dumps(vars(pair), ensure_ascii=False) + "\n" for pair in pairs)
            path.write_text("".join(lines), encoding="utf-8")
        return paths


def data_file(recipe: Recipe) -> Path:
    """Return the file that a recipe's `data` names.

    Raises:
        InputError: The path does not exist.
    """
    if recipe.data == "fixture:latin-italian":
        return LATIN_ITALIAN
    path = Path(recipe.data).expanduser().resolve()
    if not path.is_file():
        raise InputError(
            f"no data file at {path} (from {recipe.data!r}). Give a .tsv with columns source and "
            "target, a .jsonl with those fields, or leave --data out for the Latin-Italian corpus."
        )
    return path


def read_pairs(path: Path) -> list[Pair]:
    """Read .jsonl or .tsv rows with `source` and `target` (or `latin` and `italian`).

    Raises:
        InputError: Wrong columns, an empty field, not UTF-8; the message names the line.
    """
    try:
        with path.open(encoding="utf-8", newline="") as handle:
            if path.suffix == ".jsonl":
                rows = [json.loads(line) for line in handle if line.strip()]
            else:
                rows = list(csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}.") from error
    pairs = []
    for number, row in enumerate(rows, start=1):
        found = next(
            (c for c in _COLUMNS if isinstance(row, dict) and all(row.get(k) for k in c)), None
        )
        if found is None:
            raise InputError(
                f"{path}, row {number}: needs non-empty fields source and target, has {row!r}."
            )
        pairs.append(Pair(str(row[found[0]]), str(row[found[1]])))
    return pairs


def split_pairs(pairs: list[Pair], recipe: Recipe) -> Split:
    """Split by hash, so that a pair's side does not depend on the other pairs' order.

    Phrases are compared without case and punctuation; every copy of a phrase lands on one side.

    Raises:
        InputError: Not enough distinct phrases for the recipe's rows.
    """
    distinct: dict[str, list[Pair]] = {}
    for pair in pairs:
        distinct.setdefault(normalised(pair.source), []).append(pair)
    groups = [distinct[key] for key in sorted(distinct, key=_rank)]
    wanted = recipe.eval_rows + (recipe.train_rows or 1)
    if len(groups) < wanted:
        raise InputError(
            f"recipe {recipe.name!r} needs {recipe.eval_rows} evaluation and "
            f"{recipe.train_rows or 'some'} training phrases, {len(groups)} distinct ones were given. "
            "Use a smaller --scale, or more data."
        )
    kept = _evaluation_phrases(recipe, len(groups))
    evaluation = [group[0] for group in groups[:kept]]
    train = [
        Pair(recipe.train_prefix + pair.source, pair.target)
        for group in groups[kept:]
        for pair in group
    ]
    return Split(
        tuple(_rows(train, recipe.train_rows, recipe.pairs_per_row)),
        tuple(_rows(evaluation, recipe.eval_rows, recipe.pairs_per_row)),
    )


def _evaluation_phrases(recipe: Recipe, phrases: int) -> int:
    # Long rows repeat their side's phrases: no more than a quarter of all is kept for evaluation.
    return max(recipe.eval_rows, min(recipe.eval_rows * recipe.pairs_per_row, phrases // 4))


def _rows(pairs: list[Pair], rows: int | None, per_row: int) -> list[Pair]:
    """Join `per_row` pairs into each row, starting over at the end of `pairs`."""
    if per_row == 1:
        return pairs[:rows]
    taken = [
        [pairs[(row * per_row + i) % len(pairs)] for i in range(per_row)]
        for row in range(rows or len(pairs) // per_row)
    ]
    return [
        Pair("\n".join(p.source for p in row), "\n".join(p.target for p in row)) for row in taken
    ]


def normalised(phrase: str) -> str:
    """Return the phrase in lower case, letters and digits only, single spaces."""
    return " ".join(re.findall(r"\w+", phrase.lower()))


def _rank(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
