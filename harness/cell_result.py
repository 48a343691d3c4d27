"""One judged cell: a record, its repeats, and what every check said of them."""

from pydantic import BaseModel, ConfigDict

from harness.record import Record
from harness.verdict import Outcome, Verdict, cell_outcome


class CellResult(BaseModel):
    """One judged cell: its record, the records of its repeats, and every check's verdict."""

    model_config = ConfigDict(ser_json_inf_nan="constants")

    record: Record
    repeats: list[Record] = []
    verdicts: list[Verdict]
    reused: bool = False
    """The record was measured by an earlier run and not run again."""
    place: int | None = None
    """Place of the cell's stack in the order in which the run compares releases; None: by version."""

    @property
    def outcome(self) -> Outcome:
        """The one outcome that stands for the cell."""
        return cell_outcome(self.verdicts)
