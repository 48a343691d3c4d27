"""The rows that reach the model in training and in evaluation, beside those that the texts give."""

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import torch

from ..backend import RESPONSE_PART
from .sequences import IGNORED, Sequence, sequences


@dataclass
class _Seen:
    """What came past in one split."""

    rows: Counter[bytes] = field(default_factory=Counter)
    bos: Counter[int] = field(default_factory=Counter)
    longest: int = 0
    supervised: int = 0
    masked: int = 0
    wrong: int = 0


@dataclass(frozen=True)
class _Text:
    """What one text gives.

    Attributes:
        tokens: How many, uncut.
        digest: Of its content after the cut.
        prompt: Tokens of that content that the recipe masks.
        is_supervised: Whether a response is left that starts with a token of its own.
    """

    tokens: int
    digest: bytes
    prompt: int
    is_supervised: bool


class RowsEvidence:
    """Counts the rows of the whole run, and compares them with the recipe's texts.

    Rows are compared by content: without BOS, and without the EOS that some trainers add to the end.
    """

    def __init__(self, texts: dict[str, list[str]], tokenizer: Any, recipe: dict[str, Any]) -> None:
        self._texts = texts
        self._tokenizer = tokenizer
        self._recipe = recipe
        self._seen = {"train": _Seen(), "eval": _Seen()}

    def see(self, split: str, inputs: Any) -> None:
        """Count a batch of `train` or `eval`."""
        seen = self._seen[split]
        for row in sequences(inputs):
            ids = row.ids.tolist()
            seen.rows[_digest(self._content(ids))] += 1
            seen.bos[ids.count(self._tokenizer.bos_token_id)] += 1
            seen.longest = max(seen.longest, len(ids))
            seen.supervised += row.supervised
            seen.masked += row.targets.numel() - row.supervised
            seen.wrong += _wrong(row)

    def result(self) -> dict[str, Any]:
        """Return the fields of `harness.record.Rows` by split: `train` and `evaluation`."""
        given = {split: [self._text(text) for text in self._texts[split]] for split in self._texts}
        return {
            name: self._compared(self._seen[split], given[split], given[other])
            for name, split, other in (("train", "train", "eval"), ("evaluation", "eval", "train"))
        }

    def _compared(self, seen: _Seen, own: list[_Text], other: list[_Text]) -> dict[str, Any]:
        prompts = {text.digest: text.prompt for text in own}
        unsupervised = {text.digest for text in own if not text.is_supervised}
        others = {text.digest for text in other} - set(prompts)
        unknown = [digest for digest in seen.rows if digest not in prompts]
        return {
            "texts": len(own),
            "rows": seen.rows.total(),
            "unsupervised_texts": sum(text.digest in unsupervised for text in own),
            # Unsloth takes out a row in which it finds no response.
            "missing": len(set(prompts) - set(seen.rows) - unsupervised),
            "unknown": len(unknown),
            "of_other_split": sum(digest in others for digest in unknown),
            "bos_min": min(seen.bos, default=0),
            "bos_max": max(seen.bos, default=0),
            "longest": seen.longest,
            "longest_text": max((text.tokens for text in own), default=0),
            "supervised": seen.supervised,
            "masked": seen.masked,
            "masked_expected": sum(prompts.get(d, 0) * count for d, count in seen.rows.items()),
            "wrong_labels": seen.wrong,
        }

    def _text(self, text: str) -> _Text:
        ids = self._tokenizer(text)["input_ids"]
        # One place is the BOS token's.
        content = self._content(ids)[: self._recipe["max_seq_length"] - 1]
        if not self._recipe["responses_only"]:
            return _Text(len(ids), _digest(content), prompt=0, is_supervised=True)
        asked = text[: text.index(RESPONSE_PART) + len(RESPONSE_PART)]
        prompt = self._tokenizer(asked)["input_ids"]
        return _Text(
            len(ids),
            _digest(content),
            prompt=min(len(prompt) - 1, len(content)),
            # The prompt's last token may hold the response's first letter.
            is_supervised=len(prompt) <= len(content) and ids[: len(prompt)] == prompt,
        )

    def _content(self, ids: list[int]) -> list[int]:
        start, end = 0, len(ids)
        while start < end and ids[start] == self._tokenizer.bos_token_id:
            start += 1
        while end > start and ids[end - 1] == self._tokenizer.eos_token_id:
            end -= 1
        return ids[start:end]


def _wrong(row: Sequence) -> int:
    return int(((row.labels != IGNORED) & (row.labels != row.ids)).sum())


def _digest(content: list[int]) -> bytes:
    data = torch.tensor(content, dtype=torch.int64).numpy().tobytes()
    return hashlib.blake2b(data, digest_size=16).digest()
