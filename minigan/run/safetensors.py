"""The safetensors format (https://github.com/huggingface/safetensors), as much of it as an export needs.

    8 bytes   n, the length of the header, little-endian
    n bytes   JSON: {name: {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ..., "__metadata__": {text: text}}
    the rest  the arrays' bytes, row-major and little-endian, one after the other without a gap; offsets count from here

The header is padded with spaces so that the data begins at a multiple of 8. Nothing in such a file can be executed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

DTYPES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "int64": "I64", "int32": "I32", "int16": "I16", "int8": "I8",
    "uint64": "U64", "uint32": "U32", "uint16": "U16", "uint8": "U8", "bool": "BOOL",
}  # fmt: skip
METADATA = "__metadata__"
_HEADER = 100_000_000  # bytes: the format's own limit


def write(file: IO[bytes], arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Write arrays, the widest numbers first, so that each is aligned.

    Raises:
        ValueError: a dtype that the format does not know, or the name "__metadata__".
    """
    header: dict[str, Any] = {METADATA: dict(metadata)} if metadata else {}
    ordered = sorted(arrays.items(), key=lambda item: (-item[1].dtype.itemsize, item[0]))
    begin = 0
    for name, array in ordered:
        if array.dtype.name not in DTYPES or name == METADATA:
            raise ValueError(f"safetensors: {name!r} is {array.dtype}, expected one of {', '.join(DTYPES)}")
        end = begin + array.nbytes
        header[name] = {"dtype": DTYPES[array.dtype.name], "shape": list(array.shape), "data_offsets": [begin, end]}
        begin = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    for _, array in ordered:
        file.write(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays of a file, and its metadata.

    Raises:
        ValueError: it is no such file, or its header does not fit its length. OSError: it cannot be read.
    """
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    if len(raw) < 8 or length > min(len(raw) - 8, _HEADER):
        raise ValueError(f"{path}: the header would be {length} bytes long, in a file of {len(raw)}")
    try:
        header = json.loads(raw[8 : 8 + length])
        metadata = header.pop(METADATA, {})
        return _arrays(header, raw[8 + length :]), metadata
    except (AttributeError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path}: the header is not one of safetensors ({error})") from error


def _arrays(header: dict[str, Any], data: bytes) -> dict[str, np.ndarray]:
    names = {code: name for name, code in DTYPES.items()}
    found, expected = {}, 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        dtype, shape = np.dtype(names[entry["dtype"]]).newbyteorder("<"), tuple(entry["shape"])
        begin, end = entry["data_offsets"]
        if begin != expected or end - begin != math.prod(shape) * dtype.itemsize or end > len(data):
            raise ValueError(f"{name!r}: offsets {begin}, {end} do not fit {shape} {dtype}, or leave a gap")
        found[name] = np.frombuffer(data, dtype, math.prod(shape), begin).reshape(shape)
        expected = end
    if expected != len(data):
        raise ValueError(f"{len(data) - expected} bytes behind the last array")
    return found
