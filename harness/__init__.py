"""Regression gate for Gemma-3 LoRA fine-tuning with Unsloth.

The line that data follows: cell -> stack -> payload -> record -> checks -> verdict -> report.
"""

__version__ = "0.1.0"
