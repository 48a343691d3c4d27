"""The record: everything measured in one cell run, as data.

Schema-versioned, written atomically, never a pickle. Times are seconds, memory is bytes, rates are
per second; a figure that could not be measured is None, never zero.
"""

from harness.record.afterwards import Afterwards, Difference, Failure, Tokenizer
from harness.record.containment import Containment
from harness.record.data import Number
from harness.record.files import (
    read_record,
    refuse_other_version,
    write_json_atomically,
    write_record,
)
from harness.record.model import (
    Adapter,
    BaseWeights,
    ExecutedPath,
    LoraModules,
    ModelShape,
    Precision,
)
from harness.record.record import SCHEMA_VERSION, Record
from harness.record.surroundings import (
    Conditions,
    GpuConditions,
    HardwareInfo,
    StackInfo,
    emulation_label,
    with_emulation,
)
from harness.record.training import (
    ActivationBytes,
    ActivationMemory,
    BatchLoss,
    Evaluation,
    Phase,
    Probe,
    Rows,
    Scaler,
    Step,
    Translation,
    TranslationScores,
)

__all__ = [
    "SCHEMA_VERSION",
    "ActivationBytes",
    "ActivationMemory",
    "Adapter",
    "Afterwards",
    "BaseWeights",
    "BatchLoss",
    "Conditions",
    "Containment",
    "Difference",
    "Evaluation",
    "ExecutedPath",
    "Failure",
    "GpuConditions",
    "HardwareInfo",
    "LoraModules",
    "ModelShape",
    "Number",
    "Phase",
    "Precision",
    "Probe",
    "Record",
    "Rows",
    "Scaler",
    "StackInfo",
    "Step",
    "Tokenizer",
    "Translation",
    "TranslationScores",
    "emulation_label",
    "read_record",
    "refuse_other_version",
    "with_emulation",
    "write_json_atomically",
    "write_record",
]
