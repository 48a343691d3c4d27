"""The saved adapter lacks a lora_B, and nothing says so (unslothai/unsloth#3089)."""

from pathlib import Path
from typing import Any


def install(context: Any) -> None:
    original = context.peft.PeftModel.save_pretrained

    def save_pretrained(self: Any, folder: str, *args: Any, **kwargs: Any) -> None:
        from safetensors.torch import load_file, save_file

        original(self, folder, *args, **kwargs)
        # Not the trainer's checkpoints, which resuming starts from.
        if str(folder).endswith("-lora"):
            file = Path(folder) / "adapter_model.safetensors"
            tensors = load_file(file)
            del tensors[next(name for name in tensors if ".lora_B." in name)]
            save_file(tensors, file, metadata={"format": "pt"})

    context.peft.PeftModel.save_pretrained = save_pretrained
