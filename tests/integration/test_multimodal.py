"""The fixture with a vision tower: text-only training of the architecture of the published 4B."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.gate import CellResult
from harness.locations import PACKAGE
from harness.stacks import environments
from harness.stacks.stack import load_stack
from harness.verdict import Outcome
from tests.integration.conftest import Judge

REFERENCE = "reference-2026.10.9/cpu/float32"
EMULATED = "unsloth-2026.10.9/a100-emulated/auto"

# A base of two frozen layers under names that peft and a release would give them, and one adapter.
PREAMBLE = """
import json, sys
sys.path.append({package!r})
import torch
from pathlib import Path
from safetensors.torch import save_file
from payload.evidence.base_weights import BaseWeightsEvidence
torch.manual_seed(1)
stored = {{
    "language_model.model.embed_tokens.weight": torch.randn(8, 4).bfloat16(),
    "language_model.model.layers.0.q_proj.weight": torch.randn(4, 4).bfloat16(),
    "vision_tower.vision_model.fc1.weight": torch.randn(4, 4).bfloat16(),
}}
names = ["base_model.model.model.language_model.embed_tokens.weight",
         "base_model.model.model.language_model.layers.0.q_proj.base_layer.weight",
         "base_model.model.model.vision_tower.fc1.weight"]
class Model:
    def __init__(self):
        self.parameters = {{
            name: torch.nn.Parameter(value.float(), requires_grad=False)
            for name, value in zip(names, stored.values())
        }}
        lora = "base_model.model.model.language_model.layers.0.q_proj.lora_B.default.weight"
        self.parameters[lora] = torch.nn.Parameter(torch.zeros(4, 2))
    def named_parameters(self):
        return self.parameters.items()
model, folder = Model(), {folder!r}
def result():
    save_file(stored, Path(folder) / "model.safetensors")
    return BaseWeightsEvidence(model, folder)
"""

Evidence = Callable[[str], dict[str, Any]]


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    """Run a script that ends in `found` in a stack's interpreter; return that evidence."""
    stack = load_stack("reference-2026.10.9", "cpu")
    if not environments.is_built(stack):
        pytest.skip("reference-2026.10.9 is not built; run one of its cells first")
    python = environments.ensure(stack)

    def run(body: str) -> dict[str, Any]:
        preamble = PREAMBLE.format(package=str(PACKAGE), folder=str(tmp_path))
        script = f"{preamble}\n{body}\nprint(json.dumps(found))"
        done = subprocess.run(
            [python, "-c", script], capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stderr[-3000:]
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    return run


def test_names_of_a_release_and_of_peft_lead_to_the_checkpoint(evidence: Evidence) -> None:
    assert evidence("found = result().result()") == {
        "frozen": {"language": 2, "vision": 1},
        "trainable": {"language": 1},
        "checkpoint_tensors": 3,
        "equal": 3,
        "quantised": 0,
        "differing": [],
        "not_in_checkpoint": [],
        "not_loaded": [],
        "changed": [],
    }


@pytest.mark.parametrize(
    ("body", "field", "name"),
    [
        ("model.parameters[names[2]].normal_()", "differing", "vision_tower.fc1"),
        ("model.parameters['extra.weight'] = model.parameters[names[0]]", "not_in_checkpoint", "extra"),
        ("del model.parameters[names[2]]", "not_loaded", "vision_tower.vision_model.fc1"),
    ],
)  # fmt: skip
def test_tensor_that_is_not_the_checkpoints_is_named(
    evidence: Evidence, body: str, field: str, name: str
) -> None:
    (found,) = evidence(f"{body}\nfound = result().result()")[field]
    assert name in found


def test_change_of_one_bit_in_training_is_seen(evidence: Evidence) -> None:
    found = evidence("""
e = result()
model.parameters[names[1]].view(torch.int32)[0, 0] ^= 1
found = e.result()
""")
    assert [name.rsplit(".", 3)[-3] for name in found["changed"]] == ["q_proj"]
    assert found["differing"] == []


def test_rounding_to_another_dtype_is_no_difference(evidence: Evidence) -> None:
    found = evidence("""
model.parameters[names[1]].data = model.parameters[names[1]].data.to(torch.float8_e4m3fn).float()
model.parameters[names[0]].data = model.parameters[names[0]].data.half()
found = result().result()
""")
    assert found["equal"] == 2
    assert len(found["differing"]) == 1  # float8 is not what a checkpoint in bfloat16 rounds to


def test_packed_tensors_are_counted_apart(evidence: Evidence) -> None:
    found = evidence("""
packed = torch.nn.Parameter(torch.zeros(8, 1, dtype=torch.uint8), requires_grad=False)
model.parameters[names[1]] = packed
found = result().result()
""")
    assert (found["equal"], found["quantised"]) == (2, 1)


@pytest.fixture(scope="session")
def cells(judge: Judge) -> dict[str, CellResult]:
    ids = (f"{REFERENCE}/multimodal", f"{REFERENCE}/mild", f"{EMULATED}/multimodal")
    return {cell: judge(cell) for cell in ids}


@pytest.mark.trains
@pytest.mark.parametrize("cell_id", [f"{REFERENCE}/multimodal", f"{EMULATED}/multimodal"])
def test_text_only_training_passes_and_leaves_the_tower_alone(
    cells: dict[str, CellResult], cell_id: str
) -> None:
    cell = cells[cell_id]
    assert cell.outcome is Outcome.PASS, [v.message for v in cell.verdicts if v.outcome.is_red]
    record = cell.record
    assert record.executed is not None
    assert record.executed.model_class.endswith("Gemma3ForConditionalGeneration")
    assert record.base_weights is not None
    assert record.base_weights.frozen == {"language": 80, "vision": 39}
    assert record.base_weights.trainable == {"language": 84}
    assert record.base_weights.equal == record.base_weights.checkpoint_tensors == 119
    # Precision is judged on what trains; the tower is counted apart.
    assert sum(record.precision.weights.values()) == 80
    assert sum(record.precision.vision_weights.values()) == 39
    assert len(record.precision.max_abs_activation) == 6  # the decoder's layers, not the tower's
    assert record.translations


@pytest.mark.trains
def test_rows_of_text_are_typed_for_the_model_that_tells_images_apart(
    cells: dict[str, CellResult],
) -> None:
    inputs = {cell: result.record.executed for cell, result in cells.items()}
    multimodal, mild = inputs[f"{REFERENCE}/multimodal"], inputs[f"{REFERENCE}/mild"]
    assert multimodal is not None
    assert mild is not None
    assert set(multimodal.model_inputs) - set(mild.model_inputs) == {"token_type_ids"}


@pytest.mark.trains
def test_losses_are_those_of_the_text_only_model(cells: dict[str, CellResult]) -> None:
    multimodal, mild = (cells[f"{REFERENCE}/{r}"].record for r in ("multimodal", "mild"))
    assert multimodal.eval_losses == mild.eval_losses


@pytest.mark.trains
def test_unsloths_cpu_backend_is_red_for_the_tower_it_adapts(judge: Judge) -> None:
    cell = judge("unsloth-2026.10.9/cpu/auto/multimodal")
    red = {v.check: v for v in cell.verdicts if v.outcome.is_red}
    assert cell.record.status == "COMPLETED"
    assert set(red) == {"base_weights", "training_applied"}
    assert "12 trainable tensors are in the vision tower" in red["base_weights"].message


@pytest.mark.trains
def test_weight_drawn_anew_is_seen(judge: Judge) -> None:
    cell = judge(f"{REFERENCE}/multimodal", "reinitialised_weight")
    (verdict,) = (v for v in cell.verdicts if v.outcome.is_red)
    assert verdict.check == "base_weights"
    assert "k_proj" in verdict.message


@pytest.mark.trains
@pytest.mark.parametrize("release", ["2026.1.4", "2025.3.14"])
def test_early_reference_stacks_train_and_translate(judge: Judge, release: str) -> None:
    cell = judge(f"reference-{release}/cpu/float32/mild")
    # reports/findings/loss-counts-unshifted-labels.md
    (red,) = (v for v in cell.verdicts if v.outcome.is_red)
    assert red.check == "reported_loss"
    assert "HF#46204" in " ".join(red.diagnosis)
    assert cell.record.translations
