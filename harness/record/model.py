"""What was trained: dtypes, weights, adapter, shape, and the code that ran."""

from harness.record.data import Count, Data, Number, PlainData


class Precision(Data):
    """The dtypes that were really used, as seen by hooks (`float32`, `bfloat16`, `uint8` ...)."""

    weights: dict[str, Count] = {}
    """Frozen parameters of the language model: dtype -> number of tensors."""
    vision_weights: dict[str, Count] = {}
    """Frozen parameters of a vision tower and its projector, which rows of text do not reach."""
    lora: dict[str, Count] = {}
    """Trainable parameters: dtype -> number of tensors."""
    activations: dict[str, Count] = {}
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


class LoraModules(Data):
    """Layers of the language model that one projection is adapted in, all with the same settings."""

    module: str
    """Last part of the name, `q_proj`."""
    layers: Count
    r: Count
    scaling: float
    """What the product of A and B is multiplied with."""
    dropout: float


class Adapter(Data):
    """What training did to the LoRA parameters."""

    trainable_parameters: Count
    digest_before: str
    digest_after: str
    lora_b_tensors: Count
    lora_b_moved: Count
    """How many lora_B tensors differ from their value before training."""
    lora_b_frozen: Count | None = None
    """How many of them do not train."""
    finite: bool
    """Whether every adapter value is finite after training."""
    max_abs_update: Number = None
    lora: list[LoraModules] = []
    """Where LoRA is, and how; empty in a record that is older than this evidence."""


class BaseWeights(Data):
    """The frozen base beside its checkpoint, and where the trainable tensors are."""

    frozen: dict[str, Count]
    """Frozen tensors by part: `language` or `vision` (the tower and its projector)."""
    trainable: dict[str, Count]
    """Trainable tensors by part."""
    checkpoint_tensors: Count
    """Tensors in the checkpoint's safetensors files; 0 where it has none to compare with."""
    equal: Count
    """Frozen tensors with the checkpoint's values, in whatever dtype."""
    quantised: Count
    """Frozen tensors that are packed, and so not compared."""
    differing: list[str]
    """Frozen tensors with other values than the checkpoint's."""
    not_in_checkpoint: list[str]
    """Frozen tensors that the checkpoint has no values for."""
    not_loaded: list[str]
    """The checkpoint's tensors that the model has no place for."""
    changed: list[str]
    """Frozen tensors that are not bit for bit what they were before training."""


class ModelShape(Data):
    """What of a Gemma-3 decoder decides its arithmetic, from its config.json."""

    matrix_parameters: Count
    """Of every matrix that each token is multiplied with: the layers' and the output head, which is the
    embedding."""
    layers: Count
    query_channels: Count
    """Of all query heads of a layer."""
    sliding_window: Count
    """Tokens."""


class ExecutedPath(Data):
    """What ran, before any number is compared."""

    trainer_class: str
    optimizer_class: str
    loss_function: str
    attention_implementation: str
    model_class: str
    model_inputs: list[str] = []
    """What the model is called with in training, by name."""
    gradient_checkpointing: bool
    requested: PlainData = {}
    """Training arguments as they were asked for, under the release's names."""
    arguments: PlainData
    """Effective training arguments, as plain JSON values."""
    environment: dict[str, str]
    """Environment variables of the libraries under test, as the run ended."""
    packages: dict[str, str]
    """Distribution -> version, by importlib.metadata."""
    files: dict[str, str]
    """Package under test -> `__file__`, relative to the environment, or said to be outside it."""
