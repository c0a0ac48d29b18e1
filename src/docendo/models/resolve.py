"""Models by name: `school:NAME` is a model that ships with docendo, `school:PATH` any folder like it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from docendo.errors import ConfigError
from docendo.models.base import Model

SHIPPED = Path(__file__).parent.parent / "schoolhouse" / "weights"


def shipped() -> list[str]:
    """Names of the models that ship with docendo."""
    return sorted(p.name for p in SHIPPED.iterdir() if p.is_dir()) if SHIPPED.is_dir() else []


@asynccontextmanager
async def opened(names: Iterable[str]) -> AsyncIterator[Mapping[str, Model]]:
    """Open models by name, sharing one pool of workers, and close all at the end.

    Raises:
        ConfigError: a name of no known form, or no such model.
        ModelError: a model folder that cannot be used.
    """
    from docendo.models.local import LocalModel, WorkerPool

    folders = {name: folder_of(name) for name in dict.fromkeys(names)}
    async with WorkerPool() as pool:
        yield {name: LocalModel.open(folder, name, pool) for name, folder in folders.items()}


def folder_of(name: str) -> Path:
    """The folder behind a model name."""
    kind, _, rest = name.partition(":")
    if kind != "school" or not rest:
        raise ConfigError(
            f"model {name!r}: models are named school:NAME or school:PATH; names that ship: "
            + ", ".join(f"school:{n}" for n in shipped())
        )
    if rest in shipped():
        return SHIPPED / rest
    path = Path(rest)
    if not path.is_dir():
        raise ConfigError(
            f"model {name!r}: neither a shipped model ({', '.join(shipped())}) nor a folder; "
            "give the path of a Llama-format model folder"
        )
    return path
