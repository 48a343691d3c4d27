"""The environment of a payload process: its own home, caches and temporary files; no secrets."""

import os
from pathlib import Path

# What a process needs to start and to find its GPU. Everything else stays behind: tokens, cloud
# keys, proxies, the ssh agent, the user's PYTHONPATH.
_PASSED_ON = (
    "PATH",
    "LANG",
    "LC_ALL",
    "TZ",
    "LD_LIBRARY_PATH",
    "CUDA_VISIBLE_DEVICES",
    "NVIDIA_VISIBLE_DEVICES",
    # Unsloth's own switch for the CPU backend's dtype; `hardware.detect` honours it too.
    "UNSLOTH_CPU_BF16",
)


def cell_environment(work_dir: Path, threads: int, gpu_uuid: str | None = None) -> dict[str, str]:
    """Return the environment variables of one cell, with every writable place inside `work_dir`.

    Args:
        work_dir: The cell's own folder.
        threads: CPU threads of the cell.
        gpu_uuid: The only GPU that the cell may see; None leaves the user's choice.
    """
    inherited = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    folders = {
        "HOME": "home",
        "TMPDIR": "tmp",
        "XDG_CACHE_HOME": "cache",
        "HF_HOME": "cache/huggingface",
        "TORCHINDUCTOR_CACHE_DIR": "cache/inductor",
        "TRITON_CACHE_DIR": "cache/triton",
        "UNSLOTH_COMPILE_LOCATION": "cache/unsloth_compiled_cache",
    }
    for folder in folders.values():
        (work_dir / folder).mkdir(parents=True, exist_ok=True)
    if gpu_uuid is not None:
        inherited["CUDA_VISIBLE_DEVICES"] = gpu_uuid
    return {
        **inherited,
        **{name: str(work_dir / folder) for name, folder in folders.items()},
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONHASHSEED": "0",
        "PYTHONNOUSERSITE": "1",
        "PYTHONUNBUFFERED": "1",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "UNSLOTH_DISABLE_STATISTICS": "1",
        "WANDB_DISABLED": "true",
    }
