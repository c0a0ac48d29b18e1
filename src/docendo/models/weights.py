"""What tells a folder of weights from others, and how large its model is, without reading all of it."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path

_ENDS = 1 << 20  # bytes at either end of a file of weights that tell it from others
_WEIGHTS = ("*.safetensors", "*.bin")


def digest_of(folder: Path) -> str | None:
    """A hash over the small files, and over the size and both ends of those with weights; None for no folder."""
    if not folder.is_dir():
        return None
    found = hashlib.sha256()
    weights = [path for glob in _WEIGHTS for path in folder.glob(glob)]
    for path in [*sorted(folder.glob("*.json")), *sorted(weights)]:
        size = path.stat().st_size
        found.update(f"{path.name} {size}\n".encode())
        with path.open("rb") as file:
            found.update(file.read(_ENDS))
            file.seek(max(0, size - _ENDS))
            found.update(file.read(_ENDS))
    return found.hexdigest()


def parameters_of(folder: Path) -> int | None:
    """The numbers in a folder's safetensors files, from their headers; None where there are none."""
    total = 0
    for path in folder.glob("*.safetensors") if folder.is_dir() else ():
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        total += sum(math.prod(t["shape"]) for name, t in header.items() if name != "__metadata__")
    return total or None
