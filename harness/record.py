"""The record: everything measured in one cell run, as data.

Schema-versioned, written atomically, never a pickle. Times are seconds, memory is bytes, rates are
per second; a figure that could not be measured is None, never zero.
"""

import os
import tempfile
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import from_json

from harness.errors import CorruptRecordError, StorageError, first_problem

SCHEMA_VERSION = 1

Number = float | None
"""A measured figure. Non-finite values are kept (JSON `NaN`, `Infinity`): they are findings."""


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="constants")


class Step(_Data):
    """One optimizer step as the trainer logged it."""

    step: int
    epoch: float
    loss: Number
    """As the trainer logged it: rounded, and 0 where `logging_nan_inf_filter` hid a NaN."""
    raw_loss: Number = None
    """What training_step returned, summed over the accumulation, before any filter."""
    grad_norm: Number = None
    learning_rate: Number = None
    """The optimizer's rate in this step, not the next step's that some releases log."""
    wall_s: float
    """From the start of the step's first forward to the end of the optimizer step."""
    tokens: int
    """Non-padding tokens fed to the model in this step."""
    applied: bool | None = None
    """Whether the parameters changed: False when the scaler skipped the step, None at rate 0."""
    memory_bytes: int | None = None
    """In use when the step is over: allocated on the GPU that computed, else handed out by malloc."""
    new_shape: bool | None = None
    """Whether one of its batches has a shape, padding included, that no step before it had."""


class BatchLoss(_Data):
    """Cross-entropy of one batch, computed apart from the trainer."""

    loss: Number
    """Summed over the predicted tokens, nats."""
    tokens: int
    """Supervised tokens that are predicted: labels after the shift."""
    labels: int
    """Labels before the shift: with the first of each row, which nothing predicts."""
    rows: int


class Evaluation(_Data):
    """One evaluation: before training (`epoch` 0) and at the end of each epoch."""

    step: int
    epoch: float
    eval_loss: Number
    """As the trainer reported it: the mean of the batch means."""
    token_loss: Number = None
    """Cross-entropy per supervised token, computed apart from the trainer from the logits."""
    perplexity: Number = None
    token_accuracy: Number = None
    """Share of supervised tokens whose arg-max is right, from the same logits."""
    tokens: int = 0
    row_losses: list[Number] = []
    """As token_loss, of each evaluation row in order; None for a row without a supervised token."""
    wall_s: float = 0.0
    batches: list[BatchLoss] = []
    """What `token_loss` is made of."""


class Phase(_Data):
    """A stretch of the payload: import, load, data, train, eval, probe, generate, save, and what comes after.

    `eval` lies within `train`: it is in its time, not in its peaks.
    """

    name: str
    wall_s: float
    peak_rss: int | None = None
    """Highest resident set size of the process during the phase, bytes."""
    peak_gpu_allocated: int | None = None
    peak_gpu_reserved: int | None = None


class Precision(_Data):
    """The dtypes that were really used, as seen by hooks (`float32`, `bfloat16`, `uint8` ...)."""

    weights: dict[str, int] = {}
    """Frozen parameters of the language model: dtype -> number of tensors."""
    vision_weights: dict[str, int] = {}
    """Frozen parameters of a vision tower and its projector, which rows of text do not reach."""
    lora: dict[str, int] = {}
    """Trainable parameters: dtype -> number of tensors."""
    activations: dict[str, int] = {}
    """Outputs of decoder layers in training: dtype -> number of layers."""
    logits: str | None = None
    autocast: str | None = None
    """Autocast dtype inside the training forward; `off` when disabled."""
    max_abs_activation: dict[str, Number] = {}
    """Largest |residual stream| per decoder layer over the run."""
    args_bf16: bool | None = None
    args_fp16: bool | None = None
    force_float32: str | None = None
    """Value of UNSLOTH_FORCE_FLOAT32, when the library set it."""


class Adapter(_Data):
    """What training did to the LoRA parameters."""

    trainable_parameters: int
    digest_before: str
    digest_after: str
    lora_b_tensors: int
    lora_b_moved: int
    """How many lora_B tensors differ from their value before training."""
    lora_b_frozen: int | None = None
    """How many of them do not train."""
    finite: bool
    """Whether every adapter value is finite after training."""
    max_abs_update: Number = None


class BaseWeights(_Data):
    """The frozen base beside its checkpoint, and where the trainable tensors are."""

    frozen: dict[str, int]
    """Frozen tensors by part: `language` or `vision` (the tower and its projector)."""
    trainable: dict[str, int]
    """Trainable tensors by part."""
    checkpoint_tensors: int
    """Tensors in the checkpoint's safetensors files; 0 where it has none to compare with."""
    equal: int
    """Frozen tensors with the checkpoint's values, in whatever dtype."""
    quantised: int
    """Frozen tensors that are packed, and so not compared."""
    differing: list[str]
    """Frozen tensors with other values than the checkpoint's."""
    not_in_checkpoint: list[str]
    """Frozen tensors that the checkpoint has no values for."""
    not_loaded: list[str]
    """The checkpoint's tensors that the model has no place for."""
    changed: list[str]
    """Frozen tensors that are not bit for bit what they were before training."""


class Rows(_Data):
    """The rows that reached the model in training or in evaluation, over the whole run.

    Two rows are the same when their tokens are, without BOS and without EOS at the end.
    """

    texts: int
    """Rows that the recipe gives."""
    unsupervised_texts: int
    """How many of them have no response after the cut, or one that shares a token with the prompt; a
    trainer may leave these out."""
    rows: int
    """Rows that came past: each text once an epoch or evaluation."""
    missing: int
    """Different texts that never came past."""
    unknown: int
    """Different rows that none of the texts gives, cut to `max_seq_length`."""
    of_other_split: int
    """How many of those a text of the other split gives."""
    bos_min: int
    bos_max: int
    """BOS tokens of a row."""
    longest: int
    """Tokens."""
    longest_text: int
    """Tokens of the longest text, uncut."""
    supervised: int
    """Tokens that are predicted and count."""
    masked: int
    """Tokens after a row's first that do not count."""
    masked_expected: int
    """Of the same rows, by the recipe: the prompts with `responses_only`, else none."""
    wrong_labels: int
    """Labels that are not their own token."""


class ActivationBytes(_Data):
    """What one forward pass over one row kept for its backward pass."""

    tokens: int
    kept: int
    """Bytes, parameters and buffers left out."""
    kept_logits: int
    """How many of them have the vocabulary as last dimension."""
    peak_gpu_allocated: int | None = None
    """Highest bytes above those before, over forward and backward."""


class ActivationMemory(_Data):
    """Activation memory over sequence length, with the shapes that explain it."""

    layers: int
    heads: int
    hidden_size: int
    vocab_size: int
    points: list[ActivationBytes]
    without_loss: bool = False
    """Whether `kept` is of a forward pass without labels: the loss rules the hooks out that count."""
    problem: str | None = None
    """What ended it early."""


class Probe(_Data):
    """Computed once more after training from the batches of step 1, apart from the trainer."""

    items: Number = None
    """`num_items_in_batch` that the trainer gave to step 1; None where it gave none."""
    problem: str | None = None
    """Why the rest is missing."""
    first_step: list[BatchLoss] = []
    """Micro-batches of step 1 with the adapter of before training, in eval mode, row by row."""
    train_mode_loss: Number = None
    """Mean loss of the first micro-batch with the trained adapter, in train mode without dropout."""
    eval_mode_loss: Number = None
    """The same in eval mode."""
    moved_by_later: dict[str, Number] = {}
    """By mode (`training`, `evaluation`): how far earlier logits move when the last quarter of a row
    is changed, relative to the largest logit."""
    activation_memory: ActivationMemory | None = None


class Scaler(_Data):
    """Gradient scaling. `enabled` False: the trainer has no GradScaler."""

    enabled: bool
    applied: int = 0
    skipped: int = 0
    scale_first: Number = None
    scale_last: Number = None


class ExecutedPath(_Data):
    """What ran, before any number is compared."""

    trainer_class: str
    optimizer_class: str
    loss_function: str
    attention_implementation: str
    model_class: str
    model_inputs: list[str] = []
    """What the model is called with in training, by name."""
    gradient_checkpointing: bool
    requested: dict[str, Any] = {}
    """Training arguments as they were asked for, under the release's names."""
    arguments: dict[str, Any]
    """Effective training arguments, as plain JSON values."""
    environment: dict[str, str]
    """Environment variables of the libraries under test, as the run ended."""
    packages: dict[str, str]
    """Distribution -> version, by importlib.metadata."""
    files: dict[str, str]
    """Package under test -> `__file__`, relative to the environment, or said to be outside it."""


class Translation(_Data):
    """One greedy translation of an evaluation phrase."""

    source: str
    reference: str
    hypothesis: str


class TranslationScores(_Data):
    """sacrebleu's figures over the translations."""

    exact_match: float
    """Share of hypotheses equal to the reference, 0 ... 1."""
    chrf: float
    """chrF2, 0 ... 100."""
    signature: str


class Failure(_Data):
    """Why a run did not finish."""

    phase: str
    kind: str
    """Exception class, signal name, or the limit that was hit."""
    message: str
    traceback: str = ""
    output_tail: str = ""


class Tokenizer(_Data):
    """The tokenizer as its loader returned it."""

    digest: str
    """Over the vocabulary, the special tokens and the chat template."""
    eos_token: str | None = None


class Difference(_Data):
    """Two sets of tensors, compared by name."""

    tensors: int
    """Tensors in both."""
    missing: list[str] = []
    """In the one that is judged there is no such tensor."""
    unexpected: list[str] = []
    """In the one that is judged only."""
    largest: Number = None
    """Largest relative 2-norm of a difference over the tensors in both; None without any."""
    where: str = ""
    """The tensor with the largest difference."""


class Afterwards(_Data):
    """What was found when training was over, in the run itself or in a fresh process of its stack."""

    kind: Literal["trained", "reload", "merge", "base", "resume"]
    """`trained`: the run itself as it saved. `reload`: base and saved adapter. `merge`: the merged
    checkpoint. `base`: the checkpoint without adapter, loaded as the merged one. `resume`: the run
    from its second epoch on."""
    how: str = ""
    """The call that saved or loaded it."""
    failure: Failure | None = None
    """What ended it early; the other figures are those until then."""
    tokenizer: Tokenizer | None = None
    dtypes: dict[str, int] = {}
    """Parameters, the adapter's apart: dtype -> number of tensors."""
    lora: dict[str, int] = {}
    """Parameters of the adapter: dtype -> number of tensors."""
    files: dict[str, int] = {}
    """Tensors in the safetensors files that were loaded: dtype -> number. A merge to 16 bit rounds,
    whatever dtype it is loaded in."""
    adapter: Difference | None = None
    """`trained`: the file against memory. `reload`: memory against the file. `resume`: the adapter at
    the end against that of the uninterrupted run."""
    adapter_digest: str | None = None
    optimizer: Difference | None = None
    """`resume`: the optimizer's state at the end against that of the uninterrupted run."""
    resumed_from: int | None = None
    """Step of the checkpoint."""
    evaluations: list[Evaluation] = []
    steps: list[Step] = []


class GpuConditions(_Data):
    """A GPU during one phase, from samples by NVML."""

    samples: int = Field(ge=1)
    sm_clock_mhz: Number = None
    """Median."""
    sm_clock_mhz_min: Number = None
    throttled: dict[str, int] = {}
    """Reason for a lower clock -> samples that had it."""
    temperature_c: Number = None
    """Highest, as `power_w`."""
    power_w: Number = None
    foreign_processes: int = 0
    """Processes that are not of the cell and compute on it, most at once."""


class Conditions(_Data):
    """The machine during one phase, as the harness saw it from outside."""

    phase: str
    cpu_steal: Number = None
    """Share of the machine's CPU time that the hypervisor gave to others."""
    cpu_others: Number = None
    """Share of the machine's CPU time that went to processes which the harness did not start."""
    cpu_mhz: Number = None
    """Mean clock of the CPUs."""
    gpu: GpuConditions | None = None


class ModelShape(_Data):
    """What of a Gemma-3 decoder decides its arithmetic, from its config.json."""

    matrix_parameters: int
    """Of every matrix that each token is multiplied with: the layers' and the output head, which is the
    embedding."""
    layers: int
    query_channels: int
    """Of all query heads of a layer."""
    sliding_window: int
    """Tokens."""


class StackInfo(_Data):
    """The environment the cell ran in."""

    name: str
    family: Literal["unsloth", "reference"]
    release: str
    lock_digest: str
    python: str = ""
    overrides: list[str] = []
    """Every departure from the lock, in words, with its reason."""


class HardwareInfo(_Data):
    """What the cell ran on, and what the library was shown."""

    name: str
    kind: Literal["native", "emulated"]
    device: str
    """CPU model or GPU name of the device that computed."""
    device_capability: str | None = None
    """Compute capability of the GPU that computed, where another card was shown over it."""
    compute_capability: str | None = None
    bf16: bool
    memory_bytes: int | None = None
    cores: int | None = None
    driver: str | None = None
    """Version of the GPU's driver; None without a GPU."""
    max_sm_clock_mhz: int | None = None
    """The limit of the GPU's SM clock."""
    threads: int = 1
    parallel_cells: int = 1
    """Cells that shared the machine while this one ran."""
    replaced: list[str] = []
    """Parts of the library under test that the emulation stands in for."""

    @property
    def emulation(self) -> str:
        """How to label what this hardware gave: empty, `emulated` or `emulated over NVIDIA H100`."""
        if self.kind == "native":
            return ""
        return "emulated" if self.device_capability is None else f"emulated over {self.device}"


def with_emulation(name: str, emulation: str) -> str:
    """Return a name that says how its hardware was emulated, unless it does or there is nothing to say."""
    return f"{name} ({emulation})" if emulation and "emulated" not in name else name


class Record(_Data):
    """One cell run."""

    schema_version: Literal[1] = 1
    cell_id: str
    key: str
    """Digest of all that determines the result; equal keys are repeats of one experiment."""
    repeat: int = 0
    status: Literal["COMPLETED", "CRASHED", "OOM", "TIMEOUT", "INFRA"]
    failure: Failure | None = None
    started_at: str
    duration_s: float
    harness_version: str
    fault: str | None = None
    """Name of the fault plugin that was injected; such a record never becomes a baseline."""
    extras: list[str] = []
    """What the run did beside training (`harness.experiment.Extra`); such a record never becomes a
    baseline."""
    preloaded: bool = False
    """Whether a process that had imported the stack before forked it: there is no import phase, and such a
    record never becomes a baseline."""
    dtype_request: str
    recipe: dict[str, Any]
    recipe_digest: str
    stack: StackInfo
    hardware: HardwareInfo
    phases: list[Phase] = []
    conditions: list[Conditions] = []
    """One entry for each phase that was long enough to see."""
    steps: list[Step] = []
    evaluations: list[Evaluation] = []
    executed: ExecutedPath | None = None
    precision: Precision = Field(default_factory=Precision)
    model: ModelShape | None = None
    adapter: Adapter | None = None
    base_weights: BaseWeights | None = None
    rows: dict[Literal["train", "evaluation"], Rows] = {}
    probe: Probe | None = None
    scaler: Scaler | None = None
    afterwards: list[Afterwards] = []
    translations: list[Translation] = []
    scores: TranslationScores | None = None
    data: dict[str, Any] = {}
    """Row and token counts, and digests of model, tokenizer and data files."""

    @model_validator(mode="before")
    @classmethod
    def _former_first_step(cls, data: Any) -> Any:
        # Until there was a second extra, the first had a field of its own.
        if isinstance(data, dict) and "first_step" in data:
            data = dict(data)
            if data.pop("first_step"):
                data.setdefault("extras", ["first_step"])
        return data

    @property
    def eval_losses(self) -> list[float]:
        """Reported evaluation losses in order, a missing one as NaN."""
        return [float("nan") if e.eval_loss is None else e.eval_loss for e in self.evaluations]


def write_json_atomically(path: Path, text: str) -> None:
    """Write `text` so that a reader sees the old file or the whole new one.

    Raises:
        StorageError: The folder is not writable or the disk is full; nothing half-written stays.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as handle:
            temporary = Path(handle.name)
            handle.write(text)
            handle.flush()
            os.fsync(handle.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise StorageError(
            f"cannot write {path}: {error.strerror}. Free some space or choose another folder; "
            "records written so far are kept."
        ) from error


def write_record(record: Record, path: Path) -> None:
    """Write one record atomically as JSON."""
    write_json_atomically(path, record.model_dump_json(indent=1) + "\n")


def read_record(path: Path) -> Record:
    """Read and validate one record.

    Raises:
        CorruptRecordError: Truncated, not a record, or of a schema this version does not know.
    """
    try:
        data = from_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CorruptRecordError(
            f"{path} is not a readable record ({error}). Delete it and run its cell again."
        ) from error
    version = data.get("schema_version") if isinstance(data, dict) else None
    if version != SCHEMA_VERSION:
        raise CorruptRecordError(
            f"{path} has schema_version {version!r}; this harness reads {SCHEMA_VERSION}. "
            "Read it with the release that wrote it, or delete it and run its cell again."
        )
    try:
        return Record.model_validate(data)
    except ValidationError as error:
        problem = first_problem(error)
        raise CorruptRecordError(
            f"{path} is not a valid record: {problem.where}: {problem.reason}. Delete it and run its cell again."
        ) from error
