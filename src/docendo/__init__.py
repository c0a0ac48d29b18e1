"""docendo: make a language model reason better by having it teach.

This is the public API, imported lazily (PEP 562): `import docendo` costs next to nothing, and a name brings
in the module behind it when it is first used. It defines nothing itself.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType

TYPE_CHECKING = False  # type checkers take it as true; `typing` alone would double the time this import takes
if TYPE_CHECKING:
    from docendo.data import load_problems as load_problems
    from docendo.errors import ConfigError as ConfigError
    from docendo.errors import DataError as DataError
    from docendo.errors import DocendoError as DocendoError
    from docendo.errors import ModelError as ModelError
    from docendo.errors import StoreError as StoreError
    from docendo.errors import UnspeakableError as UnspeakableError
    from docendo.models.base import Capabilities as Capabilities
    from docendo.models.base import Model as Model
    from docendo.models.spec import ModelSpec as ModelSpec
    from docendo.pilot.run import pilot as pilot
    from docendo.refine.run import refine as refine
    from docendo.solve import Run as Run
    from docendo.solve import asolve as asolve
    from docendo.solve import resume as resume
    from docendo.solve import score as score
    from docendo.solve import solve as solve
    from docendo.store import Store as Store
    from docendo.tune.run import tune as tune
    from docendo.types import Call as Call
    from docendo.types import Choice as Choice
    from docendo.types import Exam as Exam
    from docendo.types import ExamAnswer as ExamAnswer
    from docendo.types import Example as Example
    from docendo.types import Grade as Grade
    from docendo.types import GradeState as GradeState
    from docendo.types import Lesson as Lesson
    from docendo.types import Problem as Problem
    from docendo.types import Reply as Reply
    from docendo.types import Sampling as Sampling
    from docendo.types import ScoredLesson as ScoredLesson
    from docendo.types import Usage as Usage

__version__ = "0.1.0"

_NAMES = {
    "docendo.data": "load_problems",
    "docendo.errors": "ConfigError DataError DocendoError ModelError StoreError UnspeakableError",
    "docendo.models.base": "Capabilities Model",
    "docendo.models.spec": "ModelSpec",
    "docendo.pilot.run": "pilot",
    "docendo.refine.run": "refine",
    "docendo.solve": "Run asolve resume score solve",
    "docendo.store": "Store",
    "docendo.tune.run": "tune",
    "docendo.types": "Call Choice Exam ExamAnswer Example Grade GradeState Lesson Problem Reply Sampling "
    "ScoredLesson Usage",
}
_HOME = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = ["__version__", *_HOME]


if not TYPE_CHECKING:  # unseen by type checkers, for which it would make every misspelt name right

    def __getattr__(name: str) -> object:
        home = _HOME.get(name)
        if home is None:
            raise AttributeError(f"module 'docendo' has no attribute {name!r}")
        value = getattr(import_module(home), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """Keeps `docendo.solve` the function.

    Python sets a submodule as an attribute of its package when it is first imported; without this,
    `docendo.solve(...)` would find the module `docendo.solve` as soon as anything in it had been used.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
