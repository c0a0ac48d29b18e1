"""The run store: every fact of a run in one SQLite file, written as it happens by one writer.

`Store` creates or resumes a run, `Store.read` opens one for reading (a `RunView`), and the rows are what they
hold. Everything shown is read back from here; what to show is left to the reports.
"""

from docendo.store.rows import (
    DecisionRow,
    DoneRow,
    ErrorRow,
    ExamRow,
    Key,
    LessonRow,
    ModelRow,
    PlaceRow,
    ProblemRecord,
    ReplyRow,
    Role,
    RunInfo,
    SampleRow,
    SelectionRow,
    SessionRow,
    SittingRow,
    TotalRow,
)
from docendo.store.run import Store
from docendo.store.view import RunView

__all__ = [
    "DecisionRow",
    "DoneRow",
    "ErrorRow",
    "ExamRow",
    "Key",
    "LessonRow",
    "ModelRow",
    "PlaceRow",
    "ProblemRecord",
    "ReplyRow",
    "Role",
    "RunInfo",
    "RunView",
    "SampleRow",
    "SelectionRow",
    "SessionRow",
    "SittingRow",
    "Store",
    "TotalRow",
]
