"""The fine-tune of unslothai/unsloth#2032 through the real Unsloth and TRL."""

import unsloth  # noqa: F401  # isort: skip - patches what is imported after it
from typing import Any

import torch
from datasets import Dataset
from transformers import ProcessorMixin
from trl import SFTConfig, SFTTrainer
from unsloth import FastModel
from unsloth.chat_templates import train_on_responses_only

from . import compat
from .backend import (
    INSTRUCTION_PART,
    RESPONSE_PART,
    Loaded,
    is_adapter,
    merge_by_peft,
    requested_dtype,
    training_arguments,
)
from .job import Job

_ATTENTION = {"q_proj", "k_proj", "v_proj", "o_proj"}
_MLP = {"gate_proj", "up_proj", "down_proj"}


def load(job: Job) -> Loaded:
    """Load through `FastModel`, with LoRA on the language layers only."""
    recipe, lora = job.recipe, job.recipe["lora"]
    loaded = _from_pretrained(job, job.model_dir, load_in_4bit=job.request["load_in_4bit"])
    loaded.model = FastModel.get_peft_model(
        loaded.model,
        finetune_vision_layers=False,
        finetune_language_layers=True,
        **_targets(set(lora["target_modules"])),
        r=lora["r"],
        lora_alpha=lora["alpha"],
        lora_dropout=lora["dropout"],
        bias="none",
        random_state=recipe["seed"],
        use_gradient_checkpointing=recipe["gradient_checkpointing"],
    )
    return loaded


def reopen(job: Job, folder: str) -> Loaded:
    """Load a saved adapter or a merged checkpoint: `FastModel` takes either by its folder."""
    quantised = job.request["load_in_4bit"] and is_adapter(folder)
    return _from_pretrained(job, folder, load_in_4bit=quantised)


def merge(job: Job, loaded: Loaded, folder: str) -> str:
    """Merge through Unsloth's own `save_pretrained_merged`, to 16 bit.

    Where float32 was asked for by name 16 bit would round what was trained; then as peft does it.
    """
    if requested_dtype(job) == torch.float32:
        return merge_by_peft(loaded, folder)
    tokenizer = loaded.processor or loaded.tokenizer
    loaded.model.save_pretrained_merged(folder, tokenizer, save_method="merged_16bit")
    return 'save_pretrained_merged(save_method="merged_16bit")'


def _from_pretrained(job: Job, folder: str, *, load_in_4bit: bool) -> Loaded:
    recipe = job.recipe
    model, tokenizer = FastModel.from_pretrained(
        model_name=folder,
        max_seq_length=recipe["max_seq_length"],
        dtype=requested_dtype(job),
        load_in_4bit=load_in_4bit,
        load_in_8bit=False,
        full_finetuning=False,
        attn_implementation=recipe["attention"],
        use_gradient_checkpointing=recipe["gradient_checkpointing"],
    )
    # For a model with a vision tower it is a processor; rows of text train through its tokenizer.
    if isinstance(tokenizer, ProcessorMixin):
        return Loaded(model, tokenizer.tokenizer, tokenizer)
    return Loaded(model, tokenizer)


def _targets(modules: set[str]) -> dict[str, Any]:
    """Return Unsloth's switches for whole groups; names for less, which a vision tower shares."""
    attention, mlp = modules >= _ATTENTION, modules >= _MLP
    switches = {"finetune_attention_modules": attention, "finetune_mlp_modules": mlp}
    if modules == (_ATTENTION if attention else set()) | (_MLP if mlp else set()):
        return switches
    return {"target_modules": sorted(modules)}


def trainer(job: Job, loaded: Loaded, texts: dict[str, list[str]], callbacks: list[Any]) -> Any:
    """Build TRL's SFTTrainer over a `text` column."""
    arguments = {
        **training_arguments(job),
        "dataset_text_field": "text",
        "max_length": job.recipe["max_seq_length"],
        "packing": job.recipe["packing"],
        "dataset_num_proc": 1,
    }
    if job.recipe["pad_to_multiple_of"] is not None:
        arguments["pad_to_multiple_of"] = job.recipe["pad_to_multiple_of"]
    loaded.requested = compat.accepted(SFTConfig.__init__, arguments)
    built = SFTTrainer(
        model=loaded.model,
        **compat.accepted(SFTTrainer.__init__, {"processing_class": loaded.tokenizer}),
        train_dataset=Dataset.from_dict({"text": texts["train"]}),
        eval_dataset=Dataset.from_dict({"text": texts["eval"]}),
        args=SFTConfig(**loaded.requested),
        callbacks=callbacks,
    )
    if job.recipe["responses_only"]:
        built = train_on_responses_only(
            built, instruction_part=INSTRUCTION_PART, response_part=RESPONSE_PART
        )
    return built


def prepare_generation(loaded: Loaded) -> None:
    """Call Unsloth's own switch to inference."""
    FastModel.for_inference(loaded.model)
