"""What every part of a record is made of."""

from pydantic import BaseModel, ConfigDict

Number = float | None
"""A measured figure. Non-finite values are kept (JSON `NaN`, `Infinity`): they are findings."""


class Data(BaseModel):
    """A part of the record: no unknown field, and non-finite numbers as JSON's constants."""

    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="constants")
