"""The authors' map from places to panoramas: a pickle, read so that nothing in it can run.

A pickle is a program. Ours may build dicts, lists, tuples, numbers and texts, which need no name to be looked
up, and numpy's scalars, whose few names lead to stand-ins here; any other name is refused before it is
resolved.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from labkit.counting import counted
from labkit.envs.virl.records import LatLng
from labkit.errors import UsageError

MAX_BYTES = 256 * 2**20
"""The authors' file for a thousand routes has a few MB."""
_PANORAMA = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")
"""Becomes a file name: it must not lead out of its folder."""


class _Plain:
    """What a pickle may make besides containers, numbers and texts. None takes attributes from the file."""

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError(f"sets attributes of {type(self).__name__}")


class _Bytes(_Plain):
    """Stands for ``_codecs.encode``, by which the oldest protocols spell bytes."""

    def __new__(cls, text: str, encoding: str) -> Any:
        return text.encode("latin-1")


class _Dtype(_Plain):
    """Stands for ``numpy.dtype``: a number format, of which the size and the byte order are kept."""

    def __init__(self, code: str, align: bool = False, copy: bool = True) -> None:
        self._format = {"f4": "f", "f8": "d", "i4": "i", "i8": "q", "u4": "I", "u8": "Q"}[code]
        self._order = "<"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._order = ">" if state[1] == ">" else "<"

    def read(self, data: bytes) -> float | int:
        """The number that these bytes stand for."""
        return struct.unpack(self._order + self._format, data)[0]


class _Scalar(_Plain):
    """Stands for ``numpy.core.multiarray.scalar``: making one gives a plain number."""

    def __new__(cls, dtype: _Dtype, data: bytes) -> Any:
        return dtype.read(data)


_ALLOWED = {
    ("_codecs", "encode"): _Bytes,
    ("numpy", "dtype"): _Dtype,
    ("numpy.core.multiarray", "scalar"): _Scalar,
    ("numpy._core.multiarray", "scalar"): _Scalar,
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"asks for {f'{module}.{name}'!r}") from None

    def persistent_load(self, pid: Any) -> NoReturn:
        raise pickle.UnpicklingError("asks for an object from outside")


def _loaded(data: bytes) -> Any:
    # The reader makes room for as many remembered objects as the highest number that a file gives to one.
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name.endswith("PUT") and isinstance(argument, int) and argument > len(data):
            raise pickle.UnpicklingError(f"remembers {counted(argument, 'object')} in {counted(len(data), 'byte')}")
    return _Reader(io.BytesIO(data)).load()


def read_mapping(path: Path) -> dict[LatLng, str]:
    """Places and the names of their panoramas, in the file's order.

    Raises:
        UsageError: the file is missing, larger than 256 MB, broken, would run code, or holds something else;
            the message names the entry.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UsageError(f"{path.name}: larger than {MAX_BYTES >> 20} MB, which no such mapping is")
        content = _loaded(path.read_bytes())
    except FileNotFoundError:
        raise UsageError(f"{path.name}: missing in {path.parent}; pictures need it") from None
    except UsageError:
        raise
    except pickle.UnpicklingError as error:
        raise UsageError(f"{path.name}: refused, {error}; only plain containers, numbers and texts are read") from None
    # A broken pickle can fail in as many ways as the machine that runs it has instructions.
    except Exception as error:
        raise UsageError(
            f"{path.name}: not a pickle that can be read ({type(error).__name__}: {error!s:.80})"
        ) from None
    if not isinstance(content, dict):
        raise UsageError(f"{path.name}: holds a {type(content).__name__}, not a dict from (lat, lng) to panorama")
    return dict(_entry(path.name, number, *item) for number, item in enumerate(content.items()))


def _entry(file: str, number: int, key: Any, value: Any) -> tuple[LatLng, str]:
    pair = (
        isinstance(key, tuple)
        and len(key) == 2
        and all(isinstance(part, int | float) and not isinstance(part, bool) and abs(part) <= 360 for part in key)
    )
    if not pair or abs(key[0]) > 90:
        raise UsageError(f"{file}: entry {number}: key {key!r:.60} is not a (latitude, longitude)")
    if not isinstance(value, str) or not _PANORAMA.fullmatch(value):
        raise UsageError(f"{file}: entry {number}: {value!r:.60} is not the name of a panorama")
    return LatLng(float(key[0]), float(key[1])), value


def write_mapping(path: Path, mapping: Mapping[LatLng, str]) -> None:
    """Write places and panoramas as a pickle of plain tuples, in protocol 4."""
    path.write_bytes(pickle.dumps({tuple(place): name for place, name in mapping.items()}, protocol=4))
