"""Rows taken out of batches by hand, in one call of a stack's interpreter: nothing is trained."""

import json
import subprocess
from typing import Any

import pytest

from harness.locations import PACKAGE
from harness.stacks import environments
from harness.stacks.stack import load_stack

# A tokenizer of one token a character: 1 is EOS, 2 is BOS, letters are their code points.
PREAMBLE = """
import json, sys
sys.path.append({package!r})
import torch
from payload.backend import RESPONSE_PART
from payload.evidence.logits import largest_difference, summed_cross_entropy
from payload.evidence.rows import RowsEvidence
from payload.evidence.sequences import sequences
class Tokenizer:
    bos_token_id, eos_token_id = 2, 1
    def __call__(self, text):
        return {{"input_ids": [2, *map(ord, text)]}}
tokenizer = Tokenizer()
def padded(*rows, masked=0):
    length = max(map(len, rows))
    return {{
        "input_ids": torch.tensor([[*r, *[0] * (length - len(r))] for r in rows]),
        "labels": torch.tensor(
            [[*[-100] * masked, *r[masked:], *[-100] * (length - len(r))] for r in rows]),
        "attention_mask": torch.tensor([[*[1] * len(r), *[0] * (length - len(r))] for r in rows]),
    }}
def ids(text, eos=False):
    return tokenizer(text)["input_ids"] + [1] * eos
asked = "q" + RESPONSE_PART + "a"
def counted(texts, batch, **recipe):
    recipe = {{"max_seq_length": 128, "responses_only": False, **recipe}}
    evaluation = [asked] if recipe["responses_only"] else ["z"]
    rows = RowsEvidence({{"train": texts, "eval": evaluation}}, tokenizer, recipe)
    rows.see("train", batch)
    return rows.result()["train"]
every = {{}}
"""

# What each name in `found` is.
BODIES = {
    "layouts": """
one, two = ids("abc"), ids("de")
flat = {"input_ids": torch.tensor([one + two]), "labels": torch.tensor([one + two]),
        "position_ids": torch.tensor([[0, 1, 2, 3, 0, 1, 2]])}
found = [[s.ids.tolist() for s in sequences(b)] for b in (padded(one, two), flat)]
""",
    "known": 'found = counted(["abc", "de"], padded(ids("abc", eos=True), ids("de")))',
    "two BOS": 'found = counted(["abc"], padded([2] + ids("abc")))',
    "unknown": 'found = counted(["abc"], padded(ids("xyz")))',
    "of the other split": 'found = counted(["abc"], padded(ids("z")))',
    "cut": 'found = counted(["abcdef"], padded(ids("abcdef")[:4]), max_seq_length=4)',
    "not cut": 'found = counted(["abcdef"], padded(ids("abcdef")), max_seq_length=4)',
    "prompt": "found = counted([asked], padded(ids(asked), masked=len(asked)), responses_only=True)",
    "prompt less one": "found = counted([asked], padded(ids(asked), masked=len(asked) - 1), responses_only=True)",
    "rolled": """
batch = padded(ids("abc"))
batch["labels"] = batch["labels"].roll(-1, 1)
found = counted(["abc"], batch)
""",
    "chunks": """
torch.manual_seed(0)
logits, targets = torch.randn(600, 7), torch.randint(7, (600,))
targets[::3] = -100
other = logits.clone()
other[3, 3] = float("nan")
found = [summed_cross_entropy(logits, targets),
         torch.nn.functional.cross_entropy(logits.double(), targets, reduction="sum").item(),
         str(largest_difference(logits, other)[0])]
""",
}


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """Run every body; return what each leaves in `found`, by name."""
    stack = load_stack("reference-2026.10.9", "cpu")
    if not environments.is_built(stack):
        pytest.skip("reference-2026.10.9 is not built; run one of its cells first")
    bodies = [f"{body}\nevery[{name!r}] = found" for name, body in BODIES.items()]
    preamble = PREAMBLE.format(package=str(PACKAGE))
    script = "\n".join([preamble, *bodies, "print(json.dumps(every))"])
    done = subprocess.run(
        [environments.ensure(stack), "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    every: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return every


def test_padded_and_packed_batches_give_the_same_rows(found: dict[str, Any]) -> None:
    padded, packed = found["layouts"]

    assert padded == packed == [[2, 97, 98, 99], [2, 100, 101]]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("known", {"texts": 2, "rows": 2, "unknown": 0, "missing": 0, "supervised": 6}),
        ("known", {"bos_min": 1, "bos_max": 1, "longest": 5, "longest_text": 4, "masked": 0}),
        ("two BOS", {"bos_max": 2, "unknown": 0}),
        ("unknown", {"unknown": 1, "missing": 1, "of_other_split": 0}),
        ("of the other split", {"unknown": 1, "of_other_split": 1}),
        ("cut", {"unknown": 0, "longest": 4, "longest_text": 7}),
        ("not cut", {"unknown": 1, "longest": 7}),
        ("rolled", {"wrong_labels": 4}),
    ],
)
def test_rows_are_held_against_the_texts(
    found: dict[str, Any], name: str, expected: dict[str, int]
) -> None:
    assert expected.items() <= found[name].items()


def test_masked_prompts_are_counted_from_the_second_token_on(found: dict[str, Any]) -> None:
    right, wrong = found["prompt"], found["prompt less one"]

    assert right["masked"] == right["masked_expected"] == right["longest"] - 2
    assert wrong["masked"] == wrong["masked_expected"] - 1


def test_chunks_sum_to_the_whole_and_a_nan_is_kept(found: dict[str, Any]) -> None:
    chunked, whole, moved = found["chunks"]

    assert chunked == pytest.approx(whole, rel=1e-6)
    assert moved == "nan"
