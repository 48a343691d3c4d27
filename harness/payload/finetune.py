"""The fine-tune from import to greedy translations, with evidence taken on the way."""

from dataclasses import dataclass
from typing import Any

from . import compat
from .afterwards import Saved, Saver
from .backend import Backend, Loaded
from .events import EventLog
from .faults import FaultContext
from .job import Job, read_rows
from .phases import Phases
from .stack import Stack, import_stack


@dataclass(frozen=True)
class Ready:
    """A model with its adapter, and what is about to train it."""

    backend: Backend
    loaded: Loaded
    fault: FaultContext


def load(job: Job, events: EventLog, phases: Phases, stack: Stack | None = None) -> Ready:
    """Import the libraries, put the job's fault in place, and load the model.

    Args:
        job: What to do.
        events: Where figures go.
        phases: Measures the stretches.
        stack: The libraries where they are imported already; then there is no import phase.
    """
    if stack is None:
        with phases.phase("import"):
            stack = import_stack(job.family, job.hardware)
    events.emit("replaced", parts=stack.replaced)
    fault = FaultContext.load(job)
    with phases.phase("load"):
        loaded = stack.backend.load(job)
        events.emit("replaced", parts=compat.mend(loaded.model))
        fault.model_ready(loaded.model)
    return Ready(stack.backend, loaded, fault)


def run(job: Job, events: EventLog, phases: Phases, stack: Stack | None = None) -> list[Saved]:
    """Run the job; every figure leaves through `events`.

    Args:
        job: What to do.
        events: Where figures go.
        phases: Measures the stretches.
        stack: As `load` takes it.

    Returns:
        What fresh processes shall start from, if the job asks for any.
    """
    ready = load(job, events, phases, stack)
    from .evidence import Evidence

    backend, loaded = ready.backend, ready.loaded
    evidence = Evidence(job, events, phases)
    saver = Saver(job, loaded)
    with phases.phase("data"):
        texts = rendered(job, loaded.tokenizer)
        trainer = backend.trainer(job, loaded, texts, evidence.callbacks())
        evidence.attach(trainer, loaded, texts)
        ready.fault.trainer_ready(trainer)
    with phases.phase("train"):
        trainer.train()
    evidence.finish(trainer)
    with phases.phase("probe"):
        evidence.probe()
    if job.recipe["generate_rows"]:
        with phases.phase("generate"):
            rows = read_rows(job.eval_file)[: job.recipe["generate_rows"]]
            _translate(job, backend, loaded, rows, events)
    return saver.save(backend, trainer, events, phases)


def rendered(job: Job, tokenizer: Any) -> dict[str, list[str]]:
    """Return the `train` and `eval` rows as texts in the tokenizer's chat template."""
    files = {"train": job.train_file, "eval": job.eval_file}
    return {
        split: [_render(row, tokenizer, job) for row in read_rows(file)]
        for split, file in files.items()
    }


def _messages(row: dict[str, str], job: Job) -> list[dict[str, Any]]:
    return [{"role": "user", "content": job.recipe["instruction"] + row["source"]}]


def _template(messages: list[dict[str, Any]], tokenizer: Any, **options: Any) -> str:
    text: str = tokenizer.apply_chat_template(messages, tokenize=False, **options)
    # The tokenizer adds it again: two BOS tokens were a real regression (unsloth-zoo#959).
    return text.removeprefix(tokenizer.bos_token)


def _render(row: dict[str, str], tokenizer: Any, job: Job) -> str:
    answer = {"role": "assistant", "content": row["target"]}
    return _template([*_messages(row, job), answer], tokenizer)


def _translate(
    job: Job, backend: Backend, loaded: Loaded, rows: list[dict[str, str]], events: EventLog
) -> None:
    import torch

    tokenizer = loaded.tokenizer
    side = tokenizer.padding_side
    backend.prepare_generation(loaded)
    prompts = [
        _template(_messages(row, job), tokenizer, add_generation_prompt=True) for row in rows
    ]
    tokenizer.padding_side = "left"
    batch = tokenizer(prompts, return_tensors="pt", padding=True).to(loaded.model.device)
    if not compat.takes_token_type_ids(loaded.model):
        batch.pop("token_type_ids", None)
    stop = [tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<end_of_turn>")]
    with torch.inference_mode():
        output = loaded.model.generate(
            **batch,
            max_new_tokens=job.recipe["max_new_tokens"],
            do_sample=False,
            use_cache=True,
            eos_token_id=stop,
            pad_token_id=tokenizer.pad_token_id,
        )
    # Unsloth has turned it too, and it would be saved with the tokenizer.
    tokenizer.padding_side = side
    new_tokens = output[:, batch["input_ids"].shape[1] :]
    events.emit(
        "translations",
        rows=[
            {"source": row["source"], "reference": row["target"], "hypothesis": text.strip()}
            for row, text in zip(
                rows, tokenizer.batch_decode(new_tokens, skip_special_tokens=True), strict=True
            )
        ],
    )
