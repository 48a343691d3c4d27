"""The same fine-tune through plain transformers + peft: no Unsloth, no TRL."""

from collections.abc import Callable
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, prepare_model_for_kbit_training
from transformers import (
    AutoTokenizer,
    BitsAndBytesConfig,
    Trainer,
    TrainingArguments,
    set_seed,
)

from . import compat
from .backend import (
    RESPONSE_PART,
    Loaded,
    is_adapter,
    merge_by_peft,
    requested_dtype,
    training_arguments,
)
from .job import Job

IGNORED = -100


def load(job: Job) -> Loaded:
    """Load the checkpoint and wrap the same modules with LoRA."""
    recipe, lora = job.recipe, job.recipe["lora"]
    model = _from_pretrained(job, job.model_dir, load_in_4bit=job.request["load_in_4bit"])
    tokenizer = AutoTokenizer.from_pretrained(job.model_dir)
    if job.request["load_in_4bit"]:
        model = prepare_model_for_kbit_training(
            model, use_gradient_checkpointing=recipe["gradient_checkpointing"]
        )
    set_seed(recipe["seed"])
    config = LoraConfig(
        r=lora["r"],
        lora_alpha=lora["alpha"],
        lora_dropout=lora["dropout"],
        target_modules=_language_layers(lora["target_modules"]),
        bias="none",
        task_type="CAUSAL_LM",
    )
    return Loaded(get_peft_model(model, config), tokenizer)


def reopen(job: Job, folder: str) -> Loaded:
    """Load a merged checkpoint, or a saved adapter on its base."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if not is_adapter(folder):
        return Loaded(_from_pretrained(job, folder, load_in_4bit=False), tokenizer)
    base = _from_pretrained(job, job.model_dir, load_in_4bit=job.request["load_in_4bit"])
    return Loaded(PeftModel.from_pretrained(base, folder), tokenizer)


def merge(job: Job, loaded: Loaded, folder: str) -> str:
    """Merge as peft does it."""
    return merge_by_peft(loaded, folder)


def trainer(job: Job, loaded: Loaded, texts: dict[str, list[str]], callbacks: list[Any]) -> Any:
    """Build transformers' Trainer over the same tokens that TRL would make of the texts."""
    if job.recipe["packing"]:
        raise ValueError("packing is TRL's: the reference trains one row beside the other")
    arguments = training_arguments(job)
    if job.request["load"] == "auto" and "bf16" not in arguments:
        arguments["bf16"] = job.hardware["bf16"]
    if job.device == "cpu":
        arguments["use_cpu"] = True
    rows = {
        split: [_tokenize(text, loaded.tokenizer, job) for text in texts[split]]
        for split in ("train", "eval")
    }
    loaded.requested = compat.accepted(TrainingArguments.__init__, arguments)
    return Trainer(
        model=loaded.model,
        **compat.accepted(Trainer.__init__, {"processing_class": loaded.tokenizer}),
        train_dataset=rows["train"],
        eval_dataset=rows["eval"],
        args=TrainingArguments(**loaded.requested),
        data_collator=_collator(loaded, job.recipe["pad_to_multiple_of"] or 1),
        callbacks=callbacks,
    )


def prepare_generation(loaded: Loaded) -> None:
    """Switch dropout off; plain transformers needs no more."""
    loaded.model.eval()


def _from_pretrained(job: Job, folder: str, *, load_in_4bit: bool) -> Any:
    dtype = _dtype(job)
    options: dict[str, Any] = {"dtype": dtype, "attn_implementation": job.recipe["attention"]}
    if load_in_4bit:
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
    return compat.model_class(folder).from_pretrained(
        folder, device_map=job.device, **compat.loading_options(options)
    )


def _dtype(job: Job) -> torch.dtype:
    # Without Unsloth nothing chooses: take what the hardware computes natively.
    requested = requested_dtype(job)
    if requested is not None:
        return requested
    return torch.bfloat16 if job.hardware["bf16"] else torch.float32


def _language_layers(modules: list[str]) -> str:
    """Return peft's pattern for `modules` of the decoder; a vision tower has some of the names too."""
    return rf"(?!.*vision).*\.({'|'.join(modules)})"


def _tokenize(text: str, tokenizer: Any, job: Job) -> dict[str, list[int]]:
    # TRL ends each row with the eos token and cuts at max_length; so must this side.
    tokens = tokenizer(text)["input_ids"]
    if tokens[-1] != tokenizer.eos_token_id:
        tokens = [*tokens, tokenizer.eos_token_id]
    tokens = tokens[: job.recipe["max_seq_length"]]
    labels = list(tokens)
    if job.recipe["responses_only"]:
        prompt = text[: text.index(RESPONSE_PART) + len(RESPONSE_PART)]
        masked = min(len(tokenizer(prompt)["input_ids"]), len(tokens))
        labels[:masked] = [IGNORED] * masked
    return {"input_ids": tokens, "labels": labels}


def _collator(
    loaded: Loaded, multiple: int
) -> Callable[[list[dict[str, list[int]]]], dict[str, torch.Tensor]]:
    pad_id, typed = loaded.tokenizer.pad_token_id, compat.takes_token_type_ids(loaded.model)

    def collate(batch: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
        padded = _pad(batch, pad_id, multiple)
        if typed:
            # Text only: 1 would be an image's token.
            padded["token_type_ids"] = torch.zeros_like(padded["input_ids"])
        return padded

    return collate


def _pad(batch: list[dict[str, list[int]]], pad_id: int, multiple: int) -> dict[str, torch.Tensor]:
    length = max(len(row["input_ids"]) for row in batch)
    length = -(-length // multiple) * multiple

    def padded(name: str, value: int) -> torch.Tensor:
        return torch.tensor([row[name] + [value] * (length - len(row[name])) for row in batch])

    lengths = torch.tensor([[len(row["input_ids"])] for row in batch])
    return {
        "input_ids": padded("input_ids", pad_id),
        "labels": padded("labels", IGNORED),
        "attention_mask": (torch.arange(length)[None, :] < lengths).long(),
    }
