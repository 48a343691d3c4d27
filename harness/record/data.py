"""What every part of a record is made of."""

from pydantic import ConfigDict

from harness.strict_json import PlainData, StrictModel

__all__ = ["Data", "Number", "PlainData"]

Number = float | None
"""A measured figure. Non-finite values are kept (in JSON the strings `NaN`, `Infinity`): they are findings."""


class Data(StrictModel):
    """A part of the record: no unknown field."""

    model_config = ConfigDict(extra="forbid")
