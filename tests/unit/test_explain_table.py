import io

import numpy as np
from rich.console import Console

from harness.explain.explanation import explain
from harness.explain.table import render
from tests.unit.first_steps import changed, first_step


def text(every: bool = False) -> str:
    step = first_step()
    b = step
    for key in ("layers.1.mlp", "layers.1"):
        value = step.tensors[f"training/activation/{key}"]
        b = changed(b, f"training/activation/{key}", value * np.float32(1.1))
    console = Console(file=io.StringIO(), width=200)
    console.print(render(explain(step, b), "this", "that", every=every))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_sentence_comes_first() -> None:
    assert text().startswith("First difference: training, layers.1.mlp (float32) deviates by 0.091")


def test_only_the_layer_where_it_starts_is_unfolded() -> None:
    lines = text().splitlines()
    training = [line for line in lines if "training" in line]
    assert any("layers.0, 4 tensors" in line and "same" in line for line in training)
    assert any("layers.1.mlp" in line and "DIFFERS" in line for line in training)
    assert any("layers.1.self_attn" in line and "same" in line for line in training)
    assert not any("layers.1.self_attn" in line for line in lines if "evaluation" in line)


def test_all_of_it_on_demand() -> None:
    assert "tensors" not in text(every=True)
    assert "layers.0.self_attn" in text(every=True)
