"""The emulated GPU: each part in a stack's own torch, and whole cells against what a card would do."""

import json
import subprocess
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from harness.hardware import load_profiles
from harness.locations import PACKAGE
from harness.payload.emulation import Profile
from harness.stacks import environments
from harness.stacks.stack import load_stack
from harness.verdict import Outcome
from tests.integration.conftest import Judge

STACK = "unsloth-2026.10.9"
# The last release whose zoo imports torchvision unguarded, so that its stack has it.
WITH_TORCHVISION = "unsloth-2026.1.4"
T4 = {
    "name": "Tesla T4",
    "compute_capability": "7.5",
    "memory_bytes": 15 * 2**30,
    "sm_count": 40,
}
A100 = {**T4, "name": "NVIDIA A100-SXM4-40GB", "compute_capability": "8.0", "sm_count": 108}

# Importing the stack takes seconds, so once for each card; every script then runs in a fork.
SERVER = """
import json, os, sys, traceback
sys.path.insert(0, {payload!r})
import emulation
replaced = emulation.install(emulation.Profile.of({card!r}))
import torch
def answer(**values): print("ANSWER", json.dumps(values, default=str), flush=True)
for script in sys.stdin:
    child = os.fork()
    if child == 0:
        try: exec(json.loads(script), globals())
        except BaseException: print("ANSWER", json.dumps({{"raised": traceback.format_exc()}}), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    print("END", flush=True)
"""

Emulate = Callable[..., dict[str, Any]]


def interpreter(name: str) -> Path:
    """Return the Python of a stack that is built, or skip."""
    stack = load_stack(name, "cpu")
    if not environments.is_built(stack):
        pytest.skip(f"{name} is not built; run one of its cells first")
    return environments.ensure(stack)


@pytest.fixture(scope="session")
def emulate() -> Iterator[Emulate]:
    """Run a script on an emulated card in a stack's interpreter; return what it answers."""
    with ExitStack() as servers:

        @cache
        def server(card: str, stack: str) -> "subprocess.Popen[str]":
            script = SERVER.format(payload=str(PACKAGE / "payload"), card=json.loads(card))
            process = subprocess.Popen(
                [interpreter(stack), "-c", script],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            # Leaving the context closes its input, which ends it.
            return servers.enter_context(process)

        def run(body: str, card: dict[str, Any] = T4, stack: str = STACK) -> dict[str, Any]:
            process = server(json.dumps(card), stack)
            assert process.stdin is not None
            assert process.stdout is not None
            print(json.dumps(textwrap.dedent(body)), file=process.stdin, flush=True)
            # A server that died says nothing more.
            lines = list(takewhile(lambda line: line != "END\n", process.stdout))
            line = next(line for line in lines if line.startswith("ANSWER "))
            found: dict[str, Any] = json.loads(line.removeprefix("ANSWER "))
            assert "raised" not in found or "Traceback" not in found["raised"], found["raised"]
            return found

        yield run


def test_profile_reads_the_job() -> None:
    expected = Profile("Tesla T4", capability=(7, 5), memory_bytes=15 * 2**30, sm_count=40)
    assert Profile.of({**T4, "slug": "t4-emulated", "bf16": False}) == expected


def test_every_card_of_the_fixture_can_be_shown() -> None:
    cards = [card for card in load_profiles().values() if card.compute_capability is not None]
    assert cards
    for card in cards:
        assert card.sm_count
        assert card.memory_bytes


def test_profile_guesses_nothing() -> None:
    with pytest.raises(KeyError, match="sm_count"):
        Profile.of({key: value for key, value in T4.items() if key != "sm_count"})


def test_torch_answers_for_the_card(emulate: Emulate) -> None:
    body = """
    p = torch.cuda.get_device_properties("cuda:0")
    answer(available=torch.cuda.is_available(), name=torch.cuda.get_device_name(),
           capability=torch.cuda.get_device_capability(torch.device("cuda")),
           total=torch.cuda.mem_get_info()[1], sms=p.multi_processor_count,
           tries=torch.cuda.is_bf16_supported(), native=torch.cuda.is_bf16_supported(False),
           invents=hasattr(p, "L2_cache_size"), marked=torch.cuda.__dict__["_emulated"])
    """
    expected = {
        "available": True,
        "name": "Tesla T4",
        "capability": [7, 5],
        "total": 15 * 2**30,
        "sms": 40,
        "tries": True,  # as on a real T4: torch tries a bfloat16 tensor, and it works
        "native": False,
        "invents": False,
        "marked": True,
    }
    assert emulate(body) == expected
    assert emulate(body, A100) == {
        **expected,
        "name": "NVIDIA A100-SXM4-40GB",
        "capability": [8, 0],
        "sms": 108,
        "native": True,
    }


def test_cuda_tensors_are_made_on_the_cpu_in_every_thread(emulate: Emulate) -> None:
    found = emulate("""
    import threading
    x = torch.ones(2, device="cuda")
    made = [x, x.to("cuda:0"), x.to(torch.device("cuda")), x.to(0), x.cuda(), x.pin_memory(),
            torch.nn.Linear(2, 2).to("cuda").weight, torch.arange(3, device=0)]
    thread = threading.Thread(target=lambda: made.append(torch.zeros(1, device="cuda")))
    thread.start(); thread.join()
    answer(devices=[t.device.type for t in made], named=torch.device("cuda").type,
           number=torch.device(0).type)
    """)
    assert found == {"devices": ["cpu"] * 9, "named": "cuda", "number": "cuda"}


def test_autocast_of_cuda_is_computed(emulate: Emulate) -> None:
    found = emulate("""
    x = torch.randn(4, 4, device="cuda")
    name = lambda t: str(t.dtype).removeprefix("torch.")
    with torch.autocast("cuda"):
        y = x @ x
        default = name(y)
        widened = {f.__name__: name(f(y)) for f in (torch.exp, torch.rsqrt, torch.sum)}
        softmax = [name(y.softmax(-1)), name(y.softmax(-1, dtype=torch.float16))]
        with torch.autocast("cpu", enabled=False): cpu_off = name(x @ x)
        with torch.autocast("cuda", enabled=False): cuda_off = name(x @ x)
        asked = [torch.is_autocast_enabled("cuda"), torch.is_autocast_enabled("cpu")]
    with torch.autocast("cuda", dtype=torch.float32):
        wide = [name(x.half() @ x.half()), name(torch.cat([x.half(), x.half()]))]
    answer(default=default, widened=widened, softmax=softmax, cpu_off=cpu_off, cuda_off=cuda_off,
           asked=asked, wide=wide, after=name(x @ x))
    """)
    assert found == {
        "default": "float16",
        "widened": {"exp": "float32", "rsqrt": "float32", "sum": "float32"},
        "softmax": ["float32", "float16"],
        "cpu_off": "float16",  # the CPU's own autocast says nothing about tensors on cuda
        "cuda_off": "float32",
        "asked": [True, False],
        "wide": ["float32", "float16"],
        "after": "float32",
    }


def test_checkpointed_recomputation_runs_under_the_same_autocast(emulate: Emulate) -> None:
    found = emulate("""
    from torch.utils.checkpoint import checkpoint
    seen = []
    def f(x):
        y = x @ x
        seen.append(str(y.dtype))
        return y.float().sum()
    x = torch.randn(4, 4, requires_grad=True)
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        with torch.autocast("cuda", dtype=dtype): loss = checkpoint(f, x, use_reentrant=True)
        loss.backward()
    answer(seen=seen)
    """)
    expected = [f"torch.{name}" for name in ("float16", "bfloat16", "float32") for _ in range(2)]
    assert found["seen"] == expected


def test_grad_scaler_skips_an_overflowed_step_and_halves_its_scale(emulate: Emulate) -> None:
    found = emulate("""
    w = torch.ones(1, requires_grad=True)
    optimizer, scaler = torch.optim.SGD([w], 1.0), torch.amp.GradScaler("cuda")
    def step(factor):
        optimizer.zero_grad()
        scaler.scale((w * factor).sum()).backward()
        scaler.step(optimizer); scaler.update()
        return [w.item(), scaler.get_scale()]
    answer(fine=step(0.5), overflow=step(float("inf")))
    """)
    assert found == {"fine": [0.5, 65536.0], "overflow": [0.5, 32768.0]}


def test_half_products_accumulate_in_float32(emulate: Emulate) -> None:
    found = emulate("""
    # Added up in float16, 2048 + 1 stays 2048.
    ones = torch.ones(1, 4096, dtype=torch.float16)
    weight = torch.ones(4096, 1, dtype=torch.float16, requires_grad=True)
    a, b, c = (torch.randn(2, 3, 5).half(), torch.randn(2, 5, 4).half(), torch.randn(4).half())
    same = lambda x, y: bool((x == y.half()).all())
    product = ones @ weight
    product.backward()
    try: error = str(torch.mm(ones.float(), weight))
    except RuntimeError as raised: error = str(raised)
    answer(sum=product.item(), grad=float(weight.grad.sum()), dtype=str(product.dtype), error=error,
           bmm=same(a @ b, a.float() @ b.float()),
           addmm=same(torch.addmm(c, a[0], b[0], alpha=2), c.float() + 2 * (a[0].float() @ b[0].float())),
           overflow=float((ones * 65504) @ weight))
    """)
    assert found == {
        "sum": 4096.0,
        "grad": 4096.0,
        "dtype": "torch.float16",
        "error": "expected the factors to have the same dtype, but got: float32 != float16",
        "bmm": True,
        "addmm": True,
        "overflow": float("inf"),
    }


def test_the_machine_is_not_touched(emulate: Emulate) -> None:
    found = emulate("""
    import os, subprocess
    cache = os.stat("/etc/ld.so.cache").st_mtime_ns if os.path.exists("/etc/ld.so.cache") else 0
    codes = [os.system("ldconfig /usr/local"), subprocess.run(["ldconfig"]).returncode,
             subprocess.run("exit 3; ldconfig /usr/lib64-nvidia", shell=True).returncode,
             subprocess.run([b"/sbin/ldconfig", "/x"]).returncode]
    others = [os.system("exit 0"), subprocess.run(["false"]).returncode,
              subprocess.check_output(["echo", "ldconfig-free"], text=True).strip()]
    after = os.stat("/etc/ld.so.cache").st_mtime_ns if cache else 0
    answer(codes=codes, others=others, untouched=cache == after)
    """)
    assert found == {"codes": [0, 0, 0, 0], "others": [0, 1, "ldconfig-free"], "untouched": True}


def test_the_process_is_set_up_for_itself_alone(emulate: Emulate) -> None:
    found = emulate("""
    import os
    names = ("TRITON_INTERPRET", "TORCHDYNAMO_DISABLE", "CUDA_VISIBLE_DEVICES")
    @torch.compile
    def twice(x): return 2 * x
    answer(variables=[os.environ[name] for name in names],
           compiled=bool(torch._dynamo.utils.counters["stats"]), twice=twice(torch.ones(1)).item())
    """)
    assert found == {"variables": ["1", "1", "0"], "compiled": False, "twice": 2.0}


def test_streams_and_events_are_done_at_once(emulate: Emulate) -> None:
    found = emulate("""
    stream, event = torch.cuda.Stream(), torch.cuda.Event(enable_timing=True)
    with torch.cuda.device(0), torch.cuda.stream(stream) as inside:
        x = torch.ones(2, device="cuda")
        x.record_stream(stream)
        event.record()
    stream.wait_event(event); torch.cuda.current_stream().wait_stream(stream)
    torch.cuda.synchronize(); torch.cuda.empty_cache()
    answer(done=[stream.query(), event.query(), stream.record_event().query()],
           one=inside is torch.cuda.current_stream(), raw=torch._C._cuda_getCurrentRawStream(0),
           measures=hasattr(event, "elapsed_time"), sum=x.sum().item(),
           capturing=torch.cuda.is_current_stream_capturing())
    """)
    assert found == {
        "done": [True, True, True],
        "one": True,
        "raw": 0,
        "measures": False,  # a time would be made up
        "sum": 2.0,
        "capturing": False,
    }


def test_memory_statistics_claim_nothing(emulate: Emulate) -> None:
    found = emulate("""
    x = torch.ones(1000, device="cuda")
    torch.cuda.reset_peak_memory_stats()
    answer(figures=[torch.cuda.memory_allocated(), torch.cuda.max_memory_reserved()],
           stats=torch.cuda.memory_stats())
    """)
    assert found == {"figures": [0, 0], "stats": {}}


def test_random_numbers_come_from_one_generator(emulate: Emulate) -> None:
    found = emulate("""
    from torch.utils.checkpoint import checkpoint
    draw = lambda: torch.rand(3, device="cuda").tolist()
    torch.manual_seed(1); first = draw()
    torch.cuda.manual_seed_all(2); torch.cuda.set_rng_state_all(torch.cuda.get_rng_state_all())
    second = draw()
    torch.manual_seed(1); again = [draw(), draw()]
    masks = []
    def f(x):
        mask = torch.nn.functional.dropout(torch.ones(64), 0.5)
        masks.append(mask.tolist())
        return (x * mask).sum()
    x = torch.ones(64, requires_grad=True)
    checkpoint(f, x, use_reentrant=False).backward()
    answer(same=again == [first, second], masks=masks[0] == masks[1])
    """)
    assert found == {"same": True, "masks": True}


def test_a_registered_kernel_takes_an_operators_place(emulate: Emulate) -> None:
    found = emulate("""
    from emulation import dispatcher
    dispatcher.register("CPU", {"hardshrink": lambda x, lambd=0.5: x * 0 + 7})
    answer(computed=torch.nn.functional.hardshrink(torch.ones(1)).item(),
           name=str(dispatcher.operator("softmax.int")), plain=str(dispatcher.operator("exp")),
           exists=[dispatcher.exists(n) for n in ("exp", "softmax.int", "softmax.none", "none")])
    """)
    assert found == {
        "computed": 7.0,
        "name": "aten.softmax.int",
        "plain": "aten.exp.default",
        "exists": [True, True, False, False],
    }


def test_torchvision_imports_and_computes_no_boxes(emulate: Emulate) -> None:
    body = """
    import os
    import torchvision
    from torchvision.ops import nms
    try: nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
    except (NotImplementedError, RuntimeError) as error: message = str(error)
    compared = "UNSLOTH_SKIP_TORCHVISION_CHECK" not in os.environ
    answer(compared=compared, message=message, replaced=replaced)
    """
    found = emulate(body, stack=WITH_TORCHVISION)
    assert not found["compared"]
    assert "operator" in found["message"] or "ops" in found["message"], found["message"]
    assert any(part.startswith("torchvision's compiled operators") for part in found["replaced"])


def test_a_card_is_shown_over_a_gpu_that_code_is_generated_for(emulate: Emulate) -> None:
    # An emulated H100 plays the real one: what torch and Triton derive is their own.
    found = emulate(
        """
    from emulation import presented
    from triton.backends.driver import GPUDriver
    from torch._dynamo.device_interface import get_interface_for_device
    card = {**CARD, "name": "Tesla T4", "compute_capability": "7.5", "sm_count": 40}
    presented.show(emulation.Profile.of(card))
    class Driver(GPUDriver):
        is_active = get_benchmarker = get_active_torch_device = map_python_to_cpp_type = None
        def get_current_target(self): return self.get_device_capability(0)
    Driver.__abstractmethods__ = frozenset()
    inductor = get_interface_for_device("cuda")
    answer(name=torch.cuda.get_device_name(0), capability=torch.cuda.get_device_capability(),
           native=torch.cuda.is_bf16_supported(False), triton=Driver().get_current_target(),
           inductor=[inductor.get_compute_capability(), inductor.get_device_properties(0).major,
                     inductor.Worker.get_device_properties(0).multi_processor_count],
           flash=torch.backends.cuda.flash_sdp_enabled())
    """.replace("CARD", repr(A100)),
        {**A100, "compute_capability": "9.0", "sm_count": 132},
    )
    assert found == {
        "name": "Tesla T4",
        "capability": [7, 5],
        "native": False,
        "triton": [9, 0],
        "inductor": [90, 9, 132],
        "flash": False,
    }


def test_triton_kernels_run_with_their_aliases(emulate: Emulate) -> None:
    found = emulate("""
    import importlib.util, pathlib, tempfile, textwrap
    source = '''
    import triton
    import triton.language as tl
    cast = tl.cast
    @triton.jit
    def largest_plus_row(x, out, size: tl.constexpr):
        row = tl.program_id(0)
        values = tl.load(x + cast(row, tl.int64) * size + tl.arange(0, size)).to(tl.float32)
        tl.store(out + row, tl.max(values, 0) + cast(row, tl.float32))
    '''
    path = pathlib.Path(tempfile.mkdtemp()) / "kernel.py"
    path.write_text(textwrap.dedent(source))
    spec = importlib.util.spec_from_file_location("kernel", path)
    kernel = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(kernel)
    x, out = torch.arange(8.0).reshape(2, 4), torch.zeros(2)
    kernel.largest_plus_row[(2,)](x, out, 4)
    kernel.largest_plus_row[(2,)](x * 2, out, 4)
    answer(out=out.tolist())
    """)
    assert found == {"out": [6.0, 15.0]}


def test_stand_ins_are_named_and_compute_the_same(emulate: Emulate) -> None:
    found = emulate("""
    import bitsandbytes, cut_cross_entropy
    e, c = torch.randn(6, 8).half(), torch.randn(12, 8).half()
    labels = torch.tensor([1, 2, -100, 4, 5, 6])
    loss = cut_cross_entropy.linear_cross_entropy(e, c, labels)
    expected = torch.nn.functional.cross_entropy(e.float() @ c.float().T, labels)
    kernel = bitsandbytes.functional.lib.cdequantize_blockwise_fp16_nf4
    try: kernel()
    except RuntimeError as error: raised = str(error)
    packed, state = bitsandbytes.functional.quantize_4bit(torch.randn(64, 64), quant_type="nf4")
    answer(replaced=replaced, difference=(loss - expected).abs().item(), raised=raised,
           packed=str(packed.dtype))
    """)
    names = {part.split(":")[0] for part in found["replaced"]}
    assert names == {"cut_cross_entropy.linear_cross_entropy", "bitsandbytes' CUDA library"}
    assert found["difference"] < 1e-6
    assert found["raised"].startswith("cdequantize_blockwise_fp16_nf4 is a CUDA kernel")
    assert found["packed"] == "torch.uint8"


@pytest.mark.trains
def test_gradients_that_float16_rounds_to_zero_are_seen(judge: Judge) -> None:
    """The finding of reports/findings/fp16-gradient-underflow.md."""
    cell = judge(f"{STACK}/t4-emulated/auto/hot-everywhere")
    red = {v.check: v for v in cell.verdicts if v.outcome is Outcome.FAIL}
    assert set(red) == {"eval_loss_moves", "training_applied"}
    for verdict in red.values():
        assert "grad_norm is exactly 0" in verdict.diagnosis[0]
        assert "no GradScaler" in verdict.diagnosis[0]
