"""How a run ended, and what became of what it had trained."""

from typing import Literal

from harness.record.data import Count, Data, Number
from harness.record.training import Evaluation, Step


class Failure(Data):
    """Why a run did not finish."""

    phase: str
    kind: str
    """Exception class, signal name, or the limit that was hit."""
    message: str
    traceback: str = ""
    output_tail: str = ""


class Tokenizer(Data):
    """The tokenizer as its loader returned it."""

    digest: str
    """Over the vocabulary, the special tokens and the chat template."""
    eos_token: str | None = None


class Difference(Data):
    """Two sets of tensors, compared by name."""

    tensors: Count
    """Tensors in both."""
    missing: list[str] = []
    """In the one that is judged there is no such tensor."""
    unexpected: list[str] = []
    """In the one that is judged only."""
    largest: Number = None
    """Largest relative 2-norm of a difference over the tensors in both; None without any."""
    where: str = ""
    """The tensor with the largest difference."""


class Afterwards(Data):
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
    dtypes: dict[str, Count] = {}
    """Parameters, the adapter's apart: dtype -> number of tensors."""
    lora: dict[str, Count] = {}
    """Parameters of the adapter: dtype -> number of tensors."""
    files: dict[str, Count] = {}
    """Tensors in the safetensors files that were loaded: dtype -> number. A merge to 16 bit rounds,
    whatever dtype it is loaded in."""
    adapter: Difference | None = None
    """`trained`: the file against memory. `reload`: memory against the file. `resume`: the adapter at
    the end against that of the uninterrupted run."""
    adapter_digest: str | None = None
    optimizer: Difference | None = None
    """`resume`: the optimizer's state at the end against that of the uninterrupted run."""
    resumed_from: Count | None = None
    """Step of the checkpoint."""
    evaluations: list[Evaluation] = []
    steps: list[Step] = []
