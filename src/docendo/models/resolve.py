"""Opens models by what is said of them; `school:NAME` ships with docendo, `school:PATH` is any folder like it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from docendo.errors import ConfigError
from docendo.models.base import Model
from docendo.models.spec import ModelSpec

if TYPE_CHECKING:
    from docendo.models.endpoint import Endpoints
    from docendo.models.local import WorkerPool

SHIPPED = Path(__file__).parent.parent / "schoolhouse" / "weights"


def shipped() -> list[str]:
    """Names of the models that ship with docendo."""
    return sorted(p.name for p in SHIPPED.iterdir() if p.is_dir()) if SHIPPED.is_dir() else []


@asynccontextmanager
async def opened(specs: Mapping[str, ModelSpec] | Iterable[str]) -> AsyncIterator[Mapping[str, Model]]:
    """Open models, and close all at the end.

    Those of this machine share one pool of workers, those of one endpoint its connections and limits.

    Args:
        specs: what stands behind each name; or names that say everything themselves.

    Raises:
        ConfigError: a name of no known form, no such model, or a key or an extra that is missing.
        ModelError: a model that cannot be used.
    """
    if not isinstance(specs, Mapping):
        specs = {name: ModelSpec.named(name) for name in specs}
    async with AsyncExitStack() as stack:
        pool: WorkerPool | None = None
        endpoints: Endpoints | None = None
        models: dict[str, Model] = {}
        for name, spec in specs.items():
            if spec.kind == "school":
                from docendo.models.local import LocalModel, WorkerPool

                if pool is None:
                    pool = await stack.enter_async_context(WorkerPool())
                models[name] = LocalModel.open(folder_of(spec.model), name, pool)
            elif spec.kind in ("openai", "azure"):
                from docendo.models.endpoint import EndpointModel, Endpoints

                if endpoints is None:
                    endpoints = await stack.enter_async_context(Endpoints())
                models[name] = EndpointModel.open(spec, name, endpoints)
            elif spec.kind == "hf":
                from docendo.models.hf import HFModel

                models[name] = HFModel.open(spec, name)
                stack.push_async_callback(models[name].aclose)
            else:
                from docendo.models.vllm import VLLMModel

                models[name] = VLLMModel.open(spec, name)
                stack.push_async_callback(models[name].aclose)
        yield models


def folder_of(name: str) -> Path:
    """The folder behind a `school:` model."""
    rest = name.partition(":")[2]
    if rest in shipped():
        return SHIPPED / rest
    path = Path(rest)
    if not path.is_dir():
        raise ConfigError(
            f"model {name!r}: neither a shipped model ({', '.join(shipped())}) nor a folder; "
            "give the path of a Llama-format model folder"
        )
    return path
