"""A study's folder is of one plan: runs of two never mix."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from docendo.errors import StoreError

PLAN = "study.json"


def claim(folder: Path, stored: Mapping[str, Any]) -> None:
    """Write the plan into a new folder; refuse one that is there for something else.

    Raises:
        StoreError: it holds another study, or something else, or cannot be used.
    """
    path = folder / PLAN
    try:
        if path.is_file():
            if json.loads(path.read_text(encoding="utf-8")) != json.loads(json.dumps(stored)):
                raise StoreError(
                    f"{folder}: holds a study with another plan ({path.name} differs); choose another folder with --out"
                )
            return
        if folder.is_dir() and any(folder.iterdir()):
            raise StoreError(f"{folder}: is not empty and not a study; choose another folder with --out")
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{PLAN}.part")
        part.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
        part.replace(path)
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: cannot be used ({error}); choose another folder with --out") from error
