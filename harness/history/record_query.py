"""Records on disk as rows: DuckDB reads the JSON files where they lie, in one query.

A store keeps the newest record of each run, and the result of a gate all records that it judged; both are
read, so that a run is found after `--fresh` has replaced its record. Nothing is imported and no index
is kept. What is read of a record is the few fields that a trend needs, and each figure is an
expression over them: `harness.figures` in SQL, which a test holds to be the same.
"""

import glob
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from harness.activation_memory import MIN_POINTS
from harness.baselines.baseline import Comparable
from harness.conditions import MAX_OTHERS, MAX_STEAL, MAX_THROTTLED, THROTTLING
from harness.errors import InputError, MissingExtraError
from harness.figures import MIN_STEADY_STEPS, WARM_UP_STEPS, rounded
from harness.record import SCHEMA_VERSION, HardwareInfo

# The fields of a record that are read, as json_transform wants them; anything of another type is NULL.
_RECORD: dict[str, Any] = {
    "schema_version": "INTEGER",
    "cell_id": "VARCHAR",
    "key": "VARCHAR",
    "repeat": "INTEGER",
    "status": "VARCHAR",
    "started_at": "VARCHAR",
    "fault": "VARCHAR",
    "extras": ["VARCHAR"],
    "first_step": "BOOLEAN",
    "preloaded": "BOOLEAN",
    "dtype_request": "VARCHAR",
    "recipe": {"name": "VARCHAR"},
    "recipe_digest": "VARCHAR",
    "stack": {"name": "VARCHAR", "family": "VARCHAR", "release": "VARCHAR"},
    "executed": {"packages": {"unsloth": "VARCHAR"}},
    "hardware": {
        "name": "VARCHAR",
        "kind": "VARCHAR",
        "device": "VARCHAR",
        "device_capability": "VARCHAR",
        "cores": "INTEGER",
        "driver": "VARCHAR",
        "max_sm_clock_mhz": "INTEGER",
        "threads": "INTEGER",
        "parallel_cells": "INTEGER",
    },
    "phases": [
        {
            "name": "VARCHAR",
            "wall_s": "DOUBLE",
            "peak_rss": "BIGINT",
            "peak_gpu_allocated": "BIGINT",
            "peak_gpu_reserved": "BIGINT",
        }
    ],
    "steps": [{"wall_s": "DOUBLE", "tokens": "BIGINT"}],
    "evaluations": [{"wall_s": "DOUBLE", "tokens": "BIGINT", "eval_loss": "DOUBLE"}],
    "conditions": [
        {
            "phase": "VARCHAR",
            "cpu_steal": "DOUBLE",
            "cpu_others": "DOUBLE",
            "gpu": {
                "samples": "BIGINT",
                "throttled": dict.fromkeys(THROTTLING, "BIGINT"),
                "foreign_processes": "BIGINT",
            },
        }
    ],
    "rows": {"train": {"rows": "BIGINT"}},
    "probe": {
        "activation_memory": {
            "points": [{"tokens": "BIGINT", "kept": "BIGINT", "peak_gpu_allocated": "BIGINT"}],
            "without_loss": "BOOLEAN",
        }
    },
}
_RESULT = {"cells": [{"record": _RECORD, "repeats": [_RECORD]}]}

_SETTING = {
    "cell_id": "r.cell_id",
    "status": "r.status",
    "fault": "r.fault",
    # Until there was a second extra, the first had a field of its own.
    "extras": "if(coalesce(r.first_step, false), ['first_step'], coalesce(r.extras, []))",
    "recipe": "coalesce(r.recipe.name, r.recipe_digest)",
    "stack": "r.stack.name",
    "release": "r.stack.release",
    "unsloth": "r.executed.packages.unsloth",
    "device_capability": "r.hardware.device_capability",
    "phases": "phases",
}

KEYS = {
    "recipe_digest": "r.recipe_digest",
    "dtype_request": "r.dtype_request",
    "stack_family": "r.stack.family",
    "hardware": "r.hardware.name",
    "hardware_kind": "r.hardware.kind",
    "device": "r.hardware.device",
    "cores": "r.hardware.cores",
    "driver": "r.hardware.driver",
    "max_sm_clock_mhz": "r.hardware.max_sm_clock_mhz",
    "threads": "coalesce(r.hardware.threads, 1)",
    "parallel_cells": "coalesce(r.hardware.parallel_cells, 1)",
    "preloaded": "coalesce(r.preloaded, false)",
}
"""What makes two runs comparable: field of `harness.baselines.baseline.Comparable` -> expression."""

# What figures are made of, a list a run; aggregates leave NULL out.
_STEADY = f"r.steps[greatest({WARM_UP_STEPS}, len(r.steps) // 10) + 1:]"
_LISTS = {
    "step_rates": f"list_transform({_STEADY}, lambda s: 1 / positive(s.wall_s))",
    "token_rates": f"list_transform({_STEADY}, lambda s: s.tokens / positive(s.wall_s))",
    "eval_rates": "list_transform(r.evaluations[2:],"
    " lambda e: if(e.tokens > 0, e.tokens / positive(e.wall_s), NULL))",
    "eval_walls": "list_transform(r.evaluations[2:], lambda e: positive(e.wall_s))",
    "phases": "list_transform(r.phases, lambda p: p.name)",
    "walls": "list_transform(r.phases, lambda p: p.wall_s)",
    "rss": "list_transform(r.phases, lambda p: p.peak_rss)",
    "allocated": "list_transform(r.phases, lambda p: p.peak_gpu_allocated)",
    "reserved": "list_transform(r.phases, lambda p: p.peak_gpu_reserved)",
}
_PARTS = {
    **{
        f"{name}_s": f"positive(walls[list_position(phases, '{name}')])"
        for name in ("import", "load", "data")
    },
    "first_step_s": "positive(r.steps[1].wall_s)",
    "memory": "r.probe.activation_memory",
    "shortest": "r.probe.activation_memory.points[1]",
    "longest": "r.probe.activation_memory.points[-1]",
}
_ENOUGH = f"list_count(step_rates) >= {MIN_STEADY_STEPS}"

FIGURES = {
    "steps_per_s": f"if({_ENOUGH}, list_median(step_rates), NULL)",
    "tokens_per_s": f"if({_ENOUGH} AND list_min(token_rates) > 0, list_median(token_rates), NULL)",
    "samples_per_s": f"if({_ENOUGH} AND r.rows.train.rows > 0,"
    " list_median(step_rates) * r.rows.train.rows / len(r.steps), NULL)",
    "eval_tokens_per_s": "list_median(eval_rates)",
    "eval_s": "list_median(eval_walls)",
    "import_s": "import_s",
    "load_s": "load_s",
    "data_s": "data_s",
    "first_step_s": "first_step_s",
    "time_to_first_step_s": "if(coalesce(r.preloaded, false), NULL,"
    " import_s + load_s + data_s + first_step_s)",
    "bytes_per_token": f"if(len(memory.points) >= {MIN_POINTS}, coalesce("
    "nullif(longest.peak_gpu_allocated - shortest.peak_gpu_allocated, 0),"
    " if(coalesce(memory.without_loss, false), NULL, longest.kept - shortest.kept))"
    " / (longest.tokens - shortest.tokens), NULL)",
}
"""Figures but peaks, as `harness.figures` defines them: per second, seconds, bytes; NULL if not measured."""

_ON_GPU = "coalesce(list_max(allocated), 0) <> 0"
_THROTTLED = " OR ".join(
    f"coalesce(c.gpu.throttled.{reason}, 0) > {MAX_THROTTLED} * c.gpu.samples"
    for reason in THROTTLING
)
_DISTURBED = (
    f"list_filter(coalesce(r.conditions, []), lambda c: c.cpu_steal > {MAX_STEAL}"
    f" OR c.cpu_others > {MAX_OTHERS} OR c.gpu.foreign_processes > 0 OR {_THROTTLED})"
)
"""What `harness.conditions` calls disturbed."""

_PEAKS = {
    "peak_rss": f"if({_ON_GPU}, NULL, rss)",
    "peak_gpu_allocated": f"if({_ON_GPU}, allocated, NULL)",
    "peak_gpu_reserved": f"if({_ON_GPU}, reserved, NULL)",
}
"""Bytes by phase: the GPU's where they were measured, else resident size."""

_MACROS = """
-- NaN is above every number in SQL, infinity included.
CREATE TEMP MACRO positive(x) AS if(x > 0 AND x < 'inf'::DOUBLE, x, NULL);
"""

# read_blob gives one row a time; only a filter gathers rows into vectors, without which all that follows
# takes ten times as long. It does so where rows may come in any order.
_BATCHED = "WHERE octet_length(content) >= 0"
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {"preserve_insertion_order": False}

_UNREADABLE = f"""
CASE
  WHEN r IS NULL THEN 'is not JSON, or no record'
  WHEN r.schema_version IS DISTINCT FROM {SCHEMA_VERSION}
    THEN 'has schema_version ' || coalesce(r.schema_version::VARCHAR, 'none')
  WHEN r.cell_id IS NULL OR r.key IS NULL OR r.status IS NULL OR r.started_at IS NULL
    OR r.dtype_request IS NULL OR r.recipe_digest IS NULL OR r.stack.name IS NULL
    OR r.stack.family IS NULL OR r.stack.release IS NULL OR r.hardware.name IS NULL
    OR r.hardware.kind IS NULL OR r.hardware.device IS NULL THEN 'lacks a field of its identity'
  WHEN r.steps IS NULL OR r.evaluations IS NULL OR r.phases IS NULL
    OR list_count(list_transform(r.steps, lambda s: s.wall_s + s.tokens)) <> len(r.steps)
    OR list_count(phases) <> len(phases) OR list_count(walls) <> len(phases) THEN 'has unusable measurements'
END
"""


@dataclass(frozen=True)
class Setting:
    """What runs of one experiment share.

    Attributes:
        recipe: Its name.
        release: The Unsloth version that ran where the stack has no release of its own.
        emulation: How the hardware was emulated, as in `HardwareInfo.emulation`.
    """

    cell_id: str
    status: str
    fault: str | None
    extras: tuple[str, ...]
    recipe: str
    stack: str
    release: str
    emulation: str
    comparable: Comparable
    phases: tuple[str, ...]


@dataclass(frozen=True)
class Run:
    """What a trend needs of one run.

    Attributes:
        figures: By the names of `harness.figures`, and `eval_loss`: the last one, which may be NaN.
        disturbed: Phases in which the machine was throttled or shared, as `harness.conditions` has it.
    """

    setting: Setting
    key: str
    repeat: int
    started_at: str
    figures: dict[str, float]
    disturbed: tuple[str, ...] = ()


@dataclass
class Found:
    """What the files hold: each run once, and what cannot be read with its reason."""

    runs: list[Run] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    """File, and what is wrong with it or with one of its records."""


def find_runs(reports: Path) -> Found:
    """Read every record below a reports folder: of its store, and of the results of its gates.

    Args:
        reports: The folder that holds `records/` and `runs/`; see `harness.locations.reports_dir`.

    Returns:
        Runs in no particular order. A run that is in several files counts once.

    Raises:
        MissingExtraError: DuckDB is not installed.
        InputError: A file vanished, or its disk failed, while it was read.
    """
    records = _files(reports / "records", ".json")
    results = _files(reports / "runs", "result.json")
    found = Found()
    for file, readable in (*records.items(), *results.items()):
        if not readable:
            found.unreadable.append((file, "is not a readable file"))
    seen = set()
    for row in _rows(*([f for f in files if files[f]] for files in (records, results))):
        identity = row["key"], row["repeat"], row["started_at"]
        if row["unreadable"]:
            found.unreadable.append((row["file"], row["unreadable"]))
        elif identity not in seen:
            seen.add(identity)
            setting = _setting(row["setting"])
            figures = dict(_figures(row, setting.phases))
            disturbed = tuple(json.loads(row["disturbed"])) if row["disturbed"] != "[]" else ()
            found.runs.append(Run(setting, *identity, figures, disturbed))
    return found


def _files(folder: Path, ending: str) -> dict[str, bool]:
    """Return the files in the folders of a folder, and whether each can be read."""
    # Path.glob takes five times as long, a tenth of a second for 10,000 files.
    entries: list[os.DirEntry[str]] = []
    for child in os.scandir(folder) if folder.is_dir() else ():
        if child.is_dir():
            entries += (e for e in os.scandir(child.path) if e.name.endswith(ending))
    return {e.path: e.is_file() and os.access(e.path, os.R_OK) for e in entries}


def _rows(records: Iterable[str], results: Iterable[str]) -> Iterator[dict[str, Any]]:
    try:
        import duckdb
    except ImportError as error:
        raise MissingExtraError("duckdb", "history") from error
    # A file's own name must not be a pattern to DuckDB.
    files = {
        "records": [glob.escape(file) for file in records],
        "results": [glob.escape(file) for file in results],
    }
    try:
        with duckdb.connect(config=_SETTINGS) as connection:
            connection.execute(_MACROS)
            columns = connection.execute(_query(), files).fetchnumpy()
    except duckdb.IOException as error:
        raise InputError(f"a record cannot be read: {error}. Try again.") from error
    for values in zip(*(column.tolist() for column in columns.values()), strict=True):
        yield dict(zip(columns, values, strict=True))


def _query() -> str:
    # TRY makes NULL of a file that is no UTF-8 or no JSON, and leaves the others as they are.
    return f"""
WITH documents AS NOT MATERIALIZED (
  SELECT filename AS file, TRY(json_transform(decode(content), {_structure(_RECORD)})) AS r
  FROM read_blob($records) {_BATCHED}
  UNION ALL
  SELECT file, unnest(if(result.cells IS NULL, [NULL], list_concat(
    list_transform(result.cells, lambda c: c.record),
    flatten(list_transform(result.cells, lambda c: coalesce(c.repeats, [])))
  )))
  FROM (
    SELECT filename AS file, TRY(json_transform(decode(content), {_structure(_RESULT)})) AS result
    FROM read_blob($results) {_BATCHED}
  )
)
SELECT {_UNREADABLE} AS unreadable, if(unreadable IS NULL, NULL, file) AS file,
  r.key AS key, coalesce(r.repeat, 0) AS repeat, r.started_at AS started_at,
  to_json({{{_members({**_SETTING, **KEYS})}}})::VARCHAR AS setting,
  {_selected(FIGURES)}, r.evaluations[-1].eval_loss AS eval_loss,
  to_json({{{_members(_PEAKS)}}})::VARCHAR AS peaks,
  to_json(list_transform({_DISTURBED}, lambda c: c.phase))::VARCHAR AS disturbed
FROM (SELECT *, {_selected(_PARTS)} FROM (SELECT *, {_selected(_LISTS)} FROM documents))
"""  # noqa: S608 (expressions of this file; what comes from outside is a parameter)


def _selected(columns: dict[str, str]) -> str:
    return ", ".join(f"{expression} AS {name}" for name, expression in columns.items())


def _members(columns: dict[str, str]) -> str:
    return ", ".join(f"{name}: {expression}" for name, expression in columns.items())


def _structure(fields: dict[str, Any]) -> str:
    return "'" + json.dumps(fields) + "'"


@lru_cache(maxsize=10_000)
def _setting(text: str) -> Setting:
    values = json.loads(text)
    comparable = Comparable(**{key: values[key] for key in KEYS})
    numbered = values["stack"] == f"{comparable.stack_family}-{values['release']}"
    return Setting(
        cell_id=values["cell_id"],
        status=values["status"],
        fault=values["fault"],
        extras=tuple(values["extras"]),
        recipe=values["recipe"],
        stack=values["stack"],
        release=values["release"] if numbered else values["unsloth"] or values["release"],
        emulation=_emulation(comparable, values["device_capability"]),
        comparable=comparable,
        phases=tuple(values["phases"]),
    )


def _emulation(keys: Comparable, device_capability: str | None) -> str:
    hardware = HardwareInfo(
        name=keys.hardware,
        # A kind that this version does not know is not called native.
        kind="native" if keys.hardware_kind == "native" else "emulated",
        device=keys.device,
        device_capability=device_capability,
        bf16=False,
    )
    return hardware.emulation


def _figures(row: dict[str, Any], phases: Sequence[str]) -> Iterator[tuple[str, float]]:
    if row["eval_loss"] is not None:
        yield "eval_loss", row["eval_loss"]
    for name in FIGURES:
        if row[name] is not None:
            yield name, rounded(row[name])
    for kind, peaks in json.loads(row["peaks"]).items():
        # Of phases of one name the last one counts.
        for phase, peak in dict(zip(phases, peaks or (), strict=False)).items():
            if peak:
                yield f"{kind}.{phase}", float(peak)
