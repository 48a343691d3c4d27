"""What every part of a record is made of."""

from typing import Annotated

from pydantic import ConfigDict, Field

from harness.strict_json import PlainData, StrictModel

__all__ = ["Amount", "Count", "Data", "Number", "PlainData", "Size"]

_LARGEST = 2**53 - 1
"""What any reader of JSON still tells from its neighbours (RFC 8259, section 6)."""

Count = Annotated[int, Field(ge=0, le=_LARGEST)]
"""How many there are."""
Size = Annotated[int, Field(ge=1, le=_LARGEST)]
"""How large something is that is there."""
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""A stretch of time or of training."""

Number = float | None
"""A measured figure. Non-finite values are kept (in JSON the strings `NaN`, `Infinity`): they are findings."""


class Data(StrictModel):
    """A part of the record: no unknown field."""

    model_config = ConfigDict(extra="forbid")
