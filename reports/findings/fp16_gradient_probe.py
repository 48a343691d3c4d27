"""What passes each branch of a Gemma-3 in the first training step: values forward, gradients back.

A fault plugin, used as a probe: it changes nothing unless LOSS_FACTOR is other than 1.

    harness run unsloth-2026.10.9/t4-emulated/auto/hot-everywhere --fault reports/findings/fp16_gradient_probe.py

writes RECIPE-CARD-FACTOR.json beside this file.
"""

import json
from pathlib import Path

LOSS_FACTOR = 1.0
"""2**16 is what a GradScaler starts from; 1/64 is a batch of 64 times as many tokens."""
WATCHED = ("_layernorm", "self_attn", ".mlp")


def install(context):
    torch, rows = context.torch, []

    def describe(name, what, tensor):
        values = tensor.detach().float().abs()
        rows.append(
            {
                "name": name,
                "what": what,
                "dtype": str(tensor.dtype).removeprefix("torch."),
                "max": values.max().item(),
                "rms": values.square().mean().sqrt().item(),
                "share_at_65504": (values >= 65504).float().mean().item(),
                "share_zero": (values == 0).float().mean().item(),
            }
        )

    def watch(name, module):
        def forward(module, args, output):
            out = output[0] if isinstance(output, tuple) else output
            if out.requires_grad and not done:
                describe(name, "forward", out)
                out.register_hook(lambda gradient: describe(name, "gradient", gradient))

        module.register_forward_hook(forward)

    done = []

    def on_trainer(trainer):
        for name, module in trainer.model.named_modules():
            tail = name.rpartition("layers.")[2]
            if "layers." in name and (tail.isdigit() or tail.endswith(WATCHED)):
                watch(f"layers.{tail}", module)
        training_step, compute_loss = trainer.training_step, trainer.compute_loss

        def step(*args, **kwargs):
            loss = training_step(*args, **kwargs)
            if not done:
                done.append(True)
                card = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
                name = f"{context.recipe['name']}-{card.replace(' ', '-')}-{LOSS_FACTOR:g}.json"
                Path(__file__).with_name(name).write_text(json.dumps(rows, indent=1))
            return loss

        def scaled(*args, **kwargs):
            loss = compute_loss(*args, **kwargs)
            if not torch.is_grad_enabled():
                return loss
            if isinstance(loss, tuple):
                return (loss[0] * LOSS_FACTOR, *loss[1:])
            return loss * LOSS_FACTOR

        trainer.training_step = step
        if LOSS_FACTOR != 1:
            trainer.compute_loss = scaled

    context.on_trainer(on_trainer)
