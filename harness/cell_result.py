"""One judged cell: a record, its repeats, and what every check said of them."""

from harness.cell_options import CellOptions, options_of
from harness.record import Record
from harness.strict_json import StrictModel
from harness.verdict import Outcome, Verdict, cell_outcome


class CellResult(StrictModel):
    """One judged cell: its record, the records of its repeats, and every check's verdict."""

    record: Record
    repeats: list[Record] = []
    verdicts: list[Verdict]
    reused: bool = False
    """The record was measured by an earlier run and not run again."""
    place: int | None = None
    """Place of the cell's stack in the order in which the run compares releases; None: by version."""
    ran_with: CellOptions | None = None
    """What selects the cell beside its id; None where only the record is known."""

    @property
    def outcome(self) -> Outcome:
        """The one outcome that stands for the cell."""
        return cell_outcome(self.verdicts)

    @property
    def rerun(self) -> str:
        """The command that runs the cell again, quoted for a shell."""
        return (self.ran_with or options_of(self.record)).rerun(self.record.cell_id)
