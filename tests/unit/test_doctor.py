"""What the doctor says: shapes against published totals, memory laws, and advice that holds."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from harness.checks import Context
from harness.checks.precision import judge
from harness.cpu_info import Cpu
from harness.doctor.diagnosis import Diagnosis, as_dict, diagnose, render
from harness.doctor.memory_model import NF4_BITS, Run, Widths, estimate, layer_bytes
from harness.doctor.precision_advice import recommend
from harness.errors import ConfigError, HardwareError, InputError
from harness.hardware import Machine, describe_gpu
from harness.models import tiny_gemma3
from harness.models.gemma3 import architecture, published
from harness.nvml import Device, GpuProcess
from harness.verdict import Outcome
from tests.unit.records import LAYERS, make_record

GIB = 1 << 30
RUN = Run(batch_size=2, seq_len=1024, load_in_4bit=False, gradient_checkpointing=False, lora_r=8)
WIDTHS = Widths(weights=2, activations=2, on_gpu=True)
# Totals of the published checkpoints (model cards of google/gemma-3-*), vision tower included.
PUBLISHED = {"270m": 268e6, "1b": 1.0e9, "4b": 4.3e9, "12b": 12.2e9, "27b": 27.4e9}

MINIMAL: dict[str, Any] = {
    "model_type": "gemma3_text",
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "intermediate_size": 4,
}


def machine(memory: int = 32 * GIB, *, gpu_free: int | None = None, bf16: bool = False) -> Machine:
    cpu = Cpu("Example CPU", cores=8, physical_cores=4, memory_bytes=memory, bf16=bf16)
    if gpu_free is None:
        return Machine(cpu)
    device = Device(
        uuid="GPU-1",
        name="Tesla T4",
        compute_capability="7.5",
        memory_bytes=15 * GIB,
        memory_free_bytes=gpu_free,
        driver="580.65",
        sm_clock_mhz=None,
        max_sm_clock_mhz=None,
        foreign_processes=(GpuProcess(4321, None),) if gpu_free < 15 * GIB else (),
    )
    return Machine(cpu, (describe_gpu(device),))


def shown(diagnosis: Diagnosis) -> str:
    console = Console(width=200, file=io.StringIO())
    with console.capture() as capture:
        console.print(render(diagnosis))
    return capture.get()


class TestArchitecture:
    @pytest.mark.parametrize("size", PUBLISHED)
    def test_parameters_match_the_published_total(self, size: str) -> None:
        assert published()[size].parameters == pytest.approx(PUBLISHED[size], rel=0.02)

    def test_the_vision_tower_matches_the_published_417_million(self) -> None:
        shapes = published()["4b"]
        projector = 1152 * 2560 + 1152

        assert shapes.vision_parameters - projector == pytest.approx(417e6, rel=0.01)

    def test_the_tiny_fixture_is_counted_tensor_by_tensor(self, tmp_path: Path) -> None:
        (tmp_path / "config.json").write_text(json.dumps(tiny_gemma3.config()))
        tensors = tiny_gemma3._tensors(tiny_gemma3.VARIANTS["mild"])

        assert architecture(tmp_path).parameters == sum(value.size for _, value in tensors)

    def test_lora_counts_both_factors_of_every_matrix(self) -> None:
        # 84 tensors, 147,456 parameters: what peft reports for r=8 on 6 layers of this shape.
        shapes = published()["270m"].model_copy(
            update={
                "hidden_size": 128,
                "num_hidden_layers": 6,
                "head_dim": 64,
                "intermediate_size": 512,
            }
        )

        assert shapes.lora_parameters(8) == 147_456

    @pytest.mark.parametrize("name", ["4b", "4B", "gemma-3-4b-it", "google/gemma-3-4b-pt"])
    def test_a_size_is_known_by_its_names(self, name: str) -> None:
        assert architecture(name) is published()["4b"]

    def test_a_nested_config_gets_the_defaults_of_transformers(self, tmp_path: Path) -> None:
        # The published 4b leaves heads, head_dim and vocabulary to Gemma3TextConfig's defaults.
        config = {
            "model_type": "gemma3",
            "text_config": {
                "model_type": "gemma3_text",
                "hidden_size": 2560,
                "intermediate_size": 10240,
                "num_hidden_layers": 34,
                "sliding_window": 1024,
            },
            "vision_config": {"hidden_size": 1152, "model_type": "siglip_vision_model"},
        }
        (tmp_path / "config.json").write_text(json.dumps(config))

        assert architecture(tmp_path).parameters == published()["4b"].parameters

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (None, "needs a config.json"),
            ("{", "needs a config.json"),
            ("[]", "model_type = None"),
            ('{"model_type": "llama"}', "'llama'"),
            ('{"model_type": "gemma3", "text_config": 3}', "model_type"),
            ('{"model_type": "gemma3_text"}', "hidden_size is missing"),
            (json.dumps(MINIMAL | {"hidden_size": -1}), "hidden_size = -1"),
            (json.dumps(MINIMAL | {"hidden_size": "8"}), "hidden_size = '8'"),
            (json.dumps(MINIMAL | {"head_dim": 0}), "head_dim = 0"),
        ],
    )
    def test_an_unusable_checkpoint_is_an_input_error(
        self, tmp_path: Path, content: str | None, message: str
    ) -> None:
        if content is not None:
            (tmp_path / "config.json").write_text(content)

        with pytest.raises(InputError, match=message):
            architecture(tmp_path)

    def test_an_unknown_size_lists_the_known_ones(self) -> None:
        with pytest.raises(InputError, match=r"'7b'.*270m, 1b, 4b"):
            architecture("7b")


class TestMemoryModel:
    def test_each_part_is_its_formula(self) -> None:
        shapes = published()["1b"]
        parts = {part.name: part.bytes for part in estimate(shapes, RUN, WIDTHS).parts}
        norms, others = 2 * (4 * 1152 + 1024 + 256), 2 * 1152 + 4 * 1024 + 4 * 6912 + 7 * 8
        layer = 4 * norms + 2 * others

        assert layer_bytes(shapes, RUN, 2) == layer
        assert parts["frozen weights"] == 2 * 999_885_952
        assert parts["LoRA, gradients, AdamW"] == 16 * shapes.lora_parameters(8)
        assert parts["activations"] == 2048 * 26 * layer
        assert parts["logits and loss"] == 2048 * 262_144 * (2 + 12)
        assert parts["workspace and reserve"] == GIB + int(
            0.05 * sum(size for name, size in parts.items() if name != "workspace and reserve")
        )

    def test_the_estimate_is_near_and_not_below_a_measured_peak(self) -> None:
        # Peak RSS of transformers 5.17 + peft 0.21 in float32 on a CPU, two steps, sdpa: 2.73 GiB.
        shapes = published()["270m"].model_copy(update={"vocab_size": 4096})
        run = replace(RUN, batch_size=1)

        total = estimate(shapes, run, Widths(weights=4, activations=4, on_gpu=False)).total_bytes

        assert 2.73 <= total / GIB < 1.25 * 2.73

    def test_nf4_quantises_the_linear_layers_only(self) -> None:
        shapes = published()["4b"]
        weights = estimate(shapes, replace(RUN, load_in_4bit=True), WIDTHS).parts[0].bytes
        kept = shapes.embedding_parameters + shapes.norm_parameters + shapes.vision_parameters

        assert weights == 2 * kept + int(shapes.linear_parameters * NF4_BITS / 8)

    def test_eager_attention_keeps_scores_quadratic_in_the_length(self) -> None:
        shapes = published()["1b"]

        def scores(length: int) -> int:
            run = replace(RUN, seq_len=length)
            eager = estimate(shapes, replace(run, attention="eager"), WIDTHS).parts[2].bytes
            return eager - estimate(shapes, run, WIDTHS).parts[2].bytes

        assert scores(2048) == 4 * scores(1024) > 0

    @given(
        st.sampled_from(sorted(PUBLISHED)),
        st.integers(1, 64),
        st.integers(1, 8192),
        st.booleans(),
        st.booleans(),
        st.integers(1, 256),
    )
    def test_more_of_anything_never_takes_less(
        self, size: str, batch: int, length: int, quantised: bool, checkpointed: bool, r: int
    ) -> None:
        shapes = published()[size]
        run = Run(batch, length, quantised, checkpointed, r)
        total = estimate(shapes, run, WIDTHS).total_bytes

        for more in (
            replace(run, batch_size=batch + 1),
            replace(run, seq_len=length + 1),
            replace(run, lora_r=r + 1),
            replace(run, attention="eager"),
        ):
            assert estimate(shapes, more, WIDTHS).total_bytes > total
        kept = [
            estimate(shapes, replace(run, gradient_checkpointing=g), WIDTHS).parts[2].bytes
            for g in (False, True)
        ]
        assert kept[1] < kept[0]
        weights = [
            estimate(shapes, replace(run, load_in_4bit=q), WIDTHS).parts[0].bytes
            for q in (False, True)
        ]
        assert weights[1] < weights[0]


class TestPrecisionAdvice:
    @pytest.mark.parametrize(
        ("device", "bf16"), [("gpu", True), ("gpu", False), ("cpu", True), ("cpu", False)]
    )
    def test_what_the_doctor_recommends_passes_the_check(self, device: Any, bf16: bool) -> None:
        advice = recommend(device, bf16)
        capability = None if device == "cpu" else ("8.0" if bf16 else "7.5")
        subject = make_record(
            dtype_request=advice.request,
            hardware={"compute_capability": capability, "bf16": bf16},
            precision={
                "weights": {advice.weights: 43, "float32": 37},
                "activations": {advice.activations: LAYERS},
                "logits": "not materialised",
                "autocast": advice.autocast,
                "args_bf16": advice.autocast == "bfloat16",
                "args_fp16": False,
                "force_float32": "1",
            },
        )

        assert judge(subject, Context()).outcome is Outcome.PASS

    def test_float16_autocast_is_never_recommended(self) -> None:
        advice = [recommend(d, b) for d in ("cpu", "gpu") for b in (True, False)]

        assert {a.autocast for a in advice} == {"bfloat16", "off"}


class TestDiagnose:
    def test_a_small_model_fits_a_cpu(self) -> None:
        diagnosis = diagnose(machine(), model="270m", batch_size=1, seq_len=256)

        assert diagnosis.fits
        assert diagnosis.suggestions == ()
        assert diagnosis.subject.slug == "cpu"

    def test_the_first_gpu_is_the_default(self) -> None:
        assert diagnose(machine(gpu_free=15 * GIB), model="270m").subject.slug == "t4"

    def test_memory_that_others_hold_is_not_available(self) -> None:
        diagnosis = diagnose(machine(gpu_free=1 * GIB), model="270m", batch_size=1, seq_len=64)

        assert not diagnosis.fits
        assert diagnosis.subject.available_bytes == 1 * GIB
        assert "4321" in " ".join(diagnosis.subject.notes)

    @pytest.mark.parametrize("slug", ["h100", "h100-emulated"])
    def test_a_card_that_is_not_here_is_answered_from_its_profile(self, slug: str) -> None:
        subject = diagnose(machine(), hardware=slug, model="1b").subject

        assert (subject.slug, subject.present, subject.bf16) == ("h100", False, True)
        assert subject.notes

    def test_a_card_shown_over_another_is_answered_from_its_profile(self) -> None:
        host = machine(gpu_free=1 * GIB)

        subject = diagnose(host, hardware="t4-over-t4", model="270m").subject

        assert (subject.slug, subject.available_bytes) == ("t4", 15 * GIB)
        assert "emulation trains on Tesla T4" in subject.notes[0]

    def test_a_t4_is_told_about_gemma3_and_float16(self) -> None:
        text = shown(diagnose(machine(), hardware="t4", model="1b", batch_size=1, seq_len=256))

        assert "UNSLOTH_FORCE_FLOAT32=1" in text
        assert "65504" in text

    def test_what_does_not_fit_is_given_numbers_and_ways_out(self) -> None:
        diagnosis = diagnose(
            machine(), hardware="t4", model="4b", batch_size=4, gradient_checkpointing=False
        )
        text = shown(diagnosis)

        assert not diagnosis.fits
        assert "Does not fit" in text
        assert "gradient checkpointing on" in text
        assert "load in 4 bit" in text
        assert "card with bfloat16" in text
        assert "not a measurement" in text

    def test_nothing_helps_is_said(self) -> None:
        diagnosis = diagnose(machine(1 * GIB), model="27b", batch_size=512, seq_len=131072)

        assert diagnosis.suggestions == ()
        assert "Nothing known to the harness would fit" in shown(diagnosis)

    @given(
        st.sampled_from(sorted(PUBLISHED)),
        st.sampled_from(["cpu", "p100", "t4", "l4", "a100", "h200"]),
        st.integers(1, 64),
        st.integers(1, 8192),
        st.booleans(),
        st.booleans(),
    )
    def test_every_suggestion_fits_when_it_is_asked_for(
        self, size: str, slug: str, batch: int, length: int, quantised: bool, checkpointed: bool
    ) -> None:
        host = machine(24 * GIB)
        diagnosis = diagnose(
            host,
            hardware=slug,
            model=size,
            batch_size=batch,
            seq_len=length,
            load_in_4bit=quantised,
            gradient_checkpointing=checkpointed,
        )

        assert not (diagnosis.fits and diagnosis.suggestions)
        for suggestion in diagnosis.suggestions:
            run = suggestion.run
            again = diagnose(
                host,
                hardware=suggestion.hardware,
                model=suggestion.model,
                batch_size=run.batch_size,
                seq_len=run.seq_len,
                load_in_4bit=run.load_in_4bit,
                gradient_checkpointing=run.gradient_checkpointing,
            )
            assert again.fits
            assert again.memory.total_bytes == suggestion.total_bytes
            assert suggestion.change

    @pytest.mark.parametrize("name", ["batch_size", "seq_len", "lora_r"])
    def test_sizes_below_one_are_refused(self, name: str) -> None:
        with pytest.raises(ConfigError, match=f"{name} = 0"):
            diagnose(machine(), **{name: 0})  # type: ignore[arg-type]

    def test_unknown_hardware_is_refused(self) -> None:
        with pytest.raises(HardwareError, match="t5"):
            diagnose(machine(), hardware="t5")

    def test_the_json_form_is_plain(self) -> None:
        diagnosis = diagnose(machine(gpu_free=4 * GIB), model="4b")

        data = json.loads(json.dumps(as_dict(diagnosis)))

        assert data["fits"] is False
        assert data["memory"]["total_bytes"] == sum(p["bytes"] for p in data["memory"]["parts"])
        assert data["hardware"]["slug"] == "t4"
        assert data["suggestions"][0]["total_bytes"] <= data["suggestions"][0]["available_bytes"]
