"""The cell unsloth/cpu/float32 as a user would write it: no evidence, no events. Takes job.json."""

import json
import sys
from pathlib import Path

import unsloth  # noqa: F401  # isort: skip
import torch
from datasets import Dataset
from trl import SFTConfig, SFTTrainer
from unsloth import FastModel

job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
recipe = job["recipe"]
model, tokenizer = FastModel.from_pretrained(
    job["model_dir"],
    max_seq_length=recipe["max_seq_length"],
    dtype=torch.float32,
    load_in_4bit=False,
    attn_implementation="eager",
    use_gradient_checkpointing=False,
)
model = FastModel.get_peft_model(
    model, finetune_vision_layers=False, r=8, lora_alpha=16, lora_dropout=0.0, bias="none",
    random_state=recipe["seed"], use_gradient_checkpointing=False,
)  # fmt: skip


def rows(name):
    return [json.loads(line) for line in Path(job[name]).read_text(encoding="utf-8").splitlines()]


def ask(row):
    return [{"role": "user", "content": recipe["instruction"] + row["source"]}]


def dataset(name):
    texts = [
        tokenizer.apply_chat_template(
            [*ask(row), {"role": "assistant", "content": row["target"]}], tokenize=False
        ).removeprefix("<bos>")
        for row in rows(name)
    ]
    return Dataset.from_dict({"text": texts})


trainer = SFTTrainer(
    model=model,
    processing_class=tokenizer,
    train_dataset=dataset("train_file"),
    eval_dataset=dataset("eval_file"),
    args=SFTConfig(
        output_dir="outputs", per_device_train_batch_size=4, per_device_eval_batch_size=4,
        num_train_epochs=recipe["epochs"], learning_rate=1e-3, warmup_steps=2,
        lr_scheduler_type="linear", weight_decay=0.0, optim="adamw_torch", bf16=False, fp16=False,
        gradient_checkpointing=False, seed=recipe["seed"], eval_strategy="epoch",
        eval_on_start=True, logging_steps=1, save_strategy="no", report_to="none",
        disable_tqdm=True, max_length=recipe["max_seq_length"], dataset_text_field="text",
    ),
)  # fmt: skip
trainer.train()
FastModel.for_inference(model)
tokenizer.padding_side = "left"
prompts = [
    tokenizer.apply_chat_template(ask(row), tokenize=False, add_generation_prompt=True)
    for row in rows("eval_file")[: recipe["generate_rows"]]
]
batch = tokenizer(prompts, return_tensors="pt", padding=True)
model.generate(**batch, max_new_tokens=recipe["max_new_tokens"], do_sample=False)
