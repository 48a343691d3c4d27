"""Figures in JSON that any parser reads: NaN and infinities, for which JSON has no word, are strings.

`"NaN"`, `"Infinity"`, `"-Infinity"` in place of a number, as pydantic spells them. Files of before have the
bare words that Python's parser takes, and are still read.
"""

import math
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
"""String in the file -> the figure that it stands for."""


class StrictModel(BaseModel):
    """Data that is written to a file: strict JSON, its fields described by their docstrings."""

    model_config = ConfigDict(ser_json_inf_nan="strings", use_attribute_docstrings=True)


def with_figures(value: Any) -> Any:
    """Return plain data with the three strings put back into figures, at any depth but in keys."""
    if isinstance(value, str):
        return NON_FINITE.get(value, value)
    if isinstance(value, dict):
        return {key: with_figures(one) for key, one in value.items()}
    return [with_figures(one) for one in value] if isinstance(value, list) else value


PlainData = Annotated[dict[str, Any], BeforeValidator(with_figures)]
"""Plain values by name. A figure among them survives a file; a text that is `NaN` becomes the figure."""
