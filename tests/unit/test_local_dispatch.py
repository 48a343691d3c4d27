import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.dispatch import local
from harness.dispatch.local import LocalDispatcher
from harness.plan import Options, Plan
from harness.progress import Progress
from harness.store import RecordStore


def dispatcher(folder: Path, plan: Plan) -> LocalDispatcher:
    progress = Progress(Console(file=io.StringIO()), 1)
    return LocalDispatcher(RecordStore(folder), plan.machine, progress)


@pytest.mark.parametrize(
    ("raised", "context", "ends_as"),
    [
        (KeyboardInterrupt(), None, KeyboardInterrupt),
        (RuntimeError("release unlocked lock"), KeyboardInterrupt(), KeyboardInterrupt),
        (RuntimeError("a bug of ours"), None, RuntimeError),
    ],
)
def test_ctrl_c_ends_as_ctrl_c(
    raised: BaseException,
    context: BaseException | None,
    ends_as: type[BaseException],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    def wait(pending: Sequence[Any], **_: Any) -> Any:
        raised.__context__ = context
        raise raised

    monkeypatch.setattr(local, "wait", wait)
    monkeypatch.setattr(LocalDispatcher, "_one", lambda self, run: None)
    plan = Plan(Options())
    runs = [plan.once(plan.matrix.cells[0])]
    with pytest.raises(ends_as):
        list(dispatcher(tmp_path, plan).run(runs))
