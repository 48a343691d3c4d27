"""Model FLOPs utilisation: the arithmetic that a fine-tune needs, over what the card could do.

Per token, with N the parameters of the frozen matrices and n those of LoRA:

- frozen matrices: 2N forward and 2N backward to their inputs; they have no gradient of their own: 4N
- LoRA: 2n forward, 2n to the inputs, 2n for the gradient: 6n
- attention, queries on keys and weights on values: 4 s q a layer forward and twice that backward,
  12 s q, for q query channels and s keys that a token sees, not halved for the causal mask

Recomputation under gradient checkpointing, the optimizer, norms and dequantisation are no model FLOPs.

Source:
    A. Chowdhery et al., PaLM, arXiv:2204.02311, appendix B (6N + 12 L H Q T, and the mask); the same
    count as D. Narayanan et al., arXiv:2104.04473, appendix, without recomputation. Full fine-tuning
    has 6N; the third of it that LoRA saves is the weights' gradient.
"""

from harness.comparison import dtype
from harness.figures import rounded, steady_steps, throughput_figures
from harness.profiles import load_profiles
from harness.record import ModelShape, Record

_FULL_ATTENTION_EVERY = 6
"""One layer of six sees all tokens, the others a window (Gemma 3 report, arXiv:2503.19786, section 2)."""


def flops_per_token(model: ModelShape, trainable: int, length: float) -> float:
    """Return the floating-point operations of one training step per token.

    Args:
        model: The decoder.
        trainable: Parameters of LoRA.
        length: Tokens of a row.
    """
    full = model.layers // _FULL_ATTENTION_EVERY
    keys = full * length + (model.layers - full) * min(length, model.sliding_window)
    return 4.0 * model.matrix_parameters + 6.0 * trainable + 12.0 * model.query_channels * keys


def model_flops_utilisation(record: Record) -> float | None:
    """Return achieved over peak dense 16-bit FLOPs of the card, 0 ... 1.

    None on a CPU, for a card that is emulated or whose peak no data sheet states, for a run that
    computed in float32, and where tokens, rows or the model's shape are not in the record.
    """
    rate = throughput_figures(record).get("tokens_per_s")
    card = load_profiles().get(record.hardware.name)
    train = record.rows.get("train")
    if (
        rate is None
        or card is None
        or card.half_tflops is None
        or record.hardware.kind != "native"
        or dtype(record) not in ("bfloat16", "float16")
        or record.model is None
        or record.adapter is None
        or train is None
        or not train.rows
    ):
        return None
    steps = steady_steps(record.steps)
    rows_per_step = train.rows / len(record.steps)
    length = sum(step.tokens for step in steps) / len(steps) / rows_per_step
    each = flops_per_token(record.model, record.adapter.trainable_parameters, length)
    return rounded(rate * each / (card.half_tflops * 1e12))
