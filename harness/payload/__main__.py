"""Start one cell, `python <this folder> job.json`, or a process that forks cells, `--preload`."""

import importlib.util
import sys
from pathlib import Path


def _become_package() -> None:
    """Make this folder importable as `payload` without putting the harness on the path."""
    here = Path(__file__).resolve().parent
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != here]
    spec = importlib.util.spec_from_file_location(
        "payload", here / "__init__.py", submodule_search_locations=[str(here)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["payload"] = module
    spec.loader.exec_module(module)


if __name__ == "__main__":
    _become_package()
    if sys.argv[1] == "--preload":
        from payload.preloaded import serve  # type: ignore[import-not-found]

        sys.exit(serve(Path(sys.argv[2])))
    from payload.process import main  # type: ignore[import-not-found]

    sys.exit(main(Path(sys.argv[1])))
