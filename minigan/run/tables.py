"""`metrics.jsonl` for other programs: CSV, and event files for TensorBoard."""

from __future__ import annotations

import csv
import io
import math
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from minigan.run.rundir import write_durably


def save_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """One line a row, one column a key, "step" first; a number that is missing, NaN or Inf is an empty cell."""
    keys = list(dict.fromkeys(["step", *(key for row in rows for key in row)]))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, keys, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_durably(path, lambda file: file.write(text.getvalue().encode()))


def save_events(folder: Path, rows: Sequence[Mapping[str, Any]], began: float) -> Path:
    """A TensorBoard event file in `folder`, each key a scalar: `tensorboard --logdir FOLDER`. Returns the file.

    The format is a sequence of records (length, masked CRC, data, masked CRC), data being protocol buffers (tensorflow's
    event.proto and summary.proto): Event {1: wall time, 2: step, 3: file version, 5: Summary {1: Value {1: tag, 2: float}}}.

    began: the time of the first line, seconds since 1970; later lines follow by `ms_per_step`.
    """
    wall, last = began, 0
    records = [_record(_double(1, wall) + _bytes(3, b"brain.Event:2"))]
    for row in rows:
        step, pace = row["step"], row.get("ms_per_step")
        wall, last = wall + (step - last) * (pace if isinstance(pace, (int, float)) else 0) / 1e3, step
        numbers = {
            k: v for k, v in row.items() if k != "step" and isinstance(v, (int, float)) and not isinstance(v, bool)
        }
        values = [_bytes(1, _bytes(1, k.encode()) + b"\x15" + _single(v)) for k, v in numbers.items()]
        records.append(_record(_double(1, wall) + b"\x10" + _varint(step) + _bytes(5, b"".join(values))))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"events.out.tfevents.{int(began):010d}.minigan"
    write_durably(path, lambda file: file.write(b"".join(records)))
    return path


def _single(value: float) -> bytes:
    """A float32; Inf for a number that is larger."""
    try:
        return struct.pack("<f", value)
    except OverflowError:
        return struct.pack("<f", math.copysign(math.inf, value))


def _varint(n: int) -> bytes:
    low = n & 0x7F
    return bytes([low]) if n < 0x80 else bytes([low | 0x80]) + _varint(n >> 7)


def _bytes(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _double(field: int, value: float) -> bytes:
    return _varint(field << 3 | 1) + struct.pack("<d", value)


def _record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", _masked(length)) + data + struct.pack("<I", _masked(data))


def _masked(data: bytes) -> int:
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def crc32c(data: bytes) -> int:
    """The CRC of Castagnoli et al. 1993 (RFC 3720, appendix B.4), polynomial 0x82F63B78 reflected."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def _entry(n: int) -> int:
    for _ in range(8):
        n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
    return n


_TABLE = [_entry(n) for n in range(256)]
