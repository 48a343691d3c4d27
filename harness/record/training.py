"""What training and evaluation were like: steps, evaluations, phases, rows, and what was computed apart."""

from harness.record.data import Amount, Count, Data, Number, Size


class Step(Data):
    """One optimizer step as the trainer logged it."""

    step: Count
    epoch: Amount
    loss: Number
    """As the trainer logged it: rounded, and 0 where `logging_nan_inf_filter` hid a NaN."""
    raw_loss: Number = None
    """What training_step returned, summed over the accumulation, before any filter."""
    grad_norm: Number = None
    learning_rate: Number = None
    """The optimizer's rate in this step, not the next step's that some releases log."""
    wall_s: Amount
    """From the start of the step's first forward to the end of the optimizer step."""
    tokens: Count
    """Non-padding tokens fed to the model in this step."""
    applied: bool | None = None
    """Whether the parameters changed: False when the scaler skipped the step, None at rate 0."""
    memory_bytes: Count | None = None
    """In use when the step is over: allocated on the GPU that computed, else handed out by malloc."""
    new_shape: bool | None = None
    """Whether one of its batches has a shape, padding included, that no step before it had."""


class BatchLoss(Data):
    """Cross-entropy of one batch, computed apart from the trainer."""

    loss: Number
    """Summed over the predicted tokens, nats."""
    tokens: Count
    """Supervised tokens that are predicted: labels after the shift."""
    labels: Count
    """Labels before the shift: with the first of each row, which nothing predicts."""
    rows: Count


class Evaluation(Data):
    """One evaluation: before training (`epoch` 0) and at the end of each epoch."""

    step: Count
    epoch: Amount
    eval_loss: Number
    """As the trainer reported it: the mean of the batch means."""
    token_loss: Number = None
    """Cross-entropy per supervised token, computed apart from the trainer from the logits."""
    perplexity: Number = None
    token_accuracy: Number = None
    """Share of supervised tokens whose arg-max is right, from the same logits."""
    tokens: Count = 0
    row_losses: list[Number] = []
    """As token_loss, of each evaluation row in order; None for a row without a supervised token."""
    wall_s: Amount = 0.0
    batches: list[BatchLoss] = []
    """What `token_loss` is made of."""


class Phase(Data):
    """A stretch of the payload: import, load, data, train, eval, probe, generate, save, and what comes after.

    `eval` lies within `train`: it is in its time, not in its peaks.
    """

    name: str
    wall_s: Amount
    peak_rss: Count | None = None
    """Highest resident set size of the process during the phase, bytes."""
    peak_gpu_allocated: Count | None = None
    peak_gpu_reserved: Count | None = None


class Scaler(Data):
    """Gradient scaling. `enabled` False: the trainer has no GradScaler."""

    enabled: bool
    applied: Count = 0
    skipped: Count = 0
    scale_first: Number = None
    scale_last: Number = None


class Rows(Data):
    """The rows that reached the model in training or in evaluation, over the whole run.

    Two rows are the same when their tokens are, without BOS and without EOS at the end.
    """

    texts: Count
    """Rows that the recipe gives."""
    unsupervised_texts: Count
    """How many of them have no response after the cut, or one that shares a token with the prompt; a
    trainer may leave these out."""
    rows: Count
    """Rows that came past: each text once an epoch or evaluation."""
    missing: Count
    """Different texts that never came past."""
    unknown: Count
    """Different rows that none of the texts gives, cut to `max_seq_length`."""
    of_other_split: Count
    """How many of those a text of the other split gives."""
    bos_min: Count
    bos_max: Count
    """BOS tokens of a row."""
    longest: Count
    """Tokens."""
    longest_text: Count
    """Tokens of the longest text, uncut."""
    supervised: Count
    """Tokens that are predicted and count."""
    masked: Count
    """Tokens after a row's first that do not count."""
    masked_expected: Count
    """Of the same rows, by the recipe: the prompts with `responses_only`, else none."""
    wrong_labels: Count
    """Labels that are not their own token."""


class ActivationBytes(Data):
    """What one forward pass over one row kept for its backward pass."""

    tokens: Count
    kept: Count
    """Bytes, parameters and buffers left out."""
    kept_logits: Count
    """How many of them have the vocabulary as last dimension."""
    peak_gpu_allocated: Count | None = None
    """Highest bytes above those before, over forward and backward."""


class ActivationMemory(Data):
    """Activation memory over sequence length, with the shapes that explain it."""

    layers: Size
    heads: Size
    hidden_size: Size
    vocab_size: Size
    points: list[ActivationBytes]
    without_loss: bool = False
    """Whether `kept` is of a forward pass without labels: the loss rules the hooks out that count."""
    problem: str | None = None
    """What ended it early."""


class Probe(Data):
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


class Translation(Data):
    """One greedy translation of an evaluation phrase."""

    source: str
    reference: str
    hypothesis: str


class TranslationScores(Data):
    """sacrebleu's figures over the translations."""

    exact_match: float
    """Share of hypotheses equal to the reference, 0 ... 1."""
    chrf: float
    """chrF2, 0 ... 100."""
    signature: str
