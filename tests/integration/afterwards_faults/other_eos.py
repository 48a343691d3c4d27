"""Merging changes the eos token (unslothai/unsloth#5386)."""

import json
from pathlib import Path
from typing import Any


def install(context: Any) -> None:
    tokenizer = context.transformers.PreTrainedTokenizerBase
    original = tokenizer.save_pretrained

    def save_pretrained(self: Any, folder: str, *args: Any, **kwargs: Any) -> Any:
        saved = original(self, folder, *args, **kwargs)
        if str(folder).endswith("-merged"):
            file = Path(folder) / "tokenizer_config.json"
            config = json.loads(file.read_text(encoding="utf-8"))
            file.write_text(json.dumps({**config, "eos_token": "<end_of_turn>"}), encoding="utf-8")
        return saved

    tokenizer.save_pretrained = save_pretrained
