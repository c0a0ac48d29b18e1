"""An opened run's file: what every reading of it goes through. What there is to read is left to those who derive."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from docendo import __version__
from docendo.errors import StoreError
from docendo.store.rows import RunInfo
from docendo.store.schema import FAULTS, FILE, FORMAT, LACKING, LATER, connect, explain


class RunFile:
    """A run's file, open for reading; a context manager."""

    def __init__(self, folder: str | Path) -> None:
        """Open `folder` read-only.

        Raises:
            StoreError: not a run folder, or one of another format version.
        """
        self.folder = Path(folder)
        self._open("ro")

    def _open(self, mode: str) -> None:
        path = self.folder / FILE
        if not path.is_file():
            what = f"it has no {FILE}" if self.folder.is_dir() else "there is no such folder"
            raise StoreError(
                f"{self.folder}: not a run of docendo ({what}); give the folder of a run{_nearby(self.folder)}"
            )
        try:
            try:
                self._db = connect(path, mode)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorname != "SQLITE_READONLY_ROLLBACK":
                    raise
                # A kill while the file was being opened or closed left a journal, which only a writer may undo.
                connect(path, "rw").close()
                self._db = connect(path, mode)
        except FAULTS as error:
            raise explain(error, self.folder) from error
        try:
            self.info = _read_info(self._db, self.folder)
            if self.info.format < FORMAT and mode == "ro":
                for table in LATER:  # this connection's own, and empty; a writer makes real ones
                    self._db.execute(table.replace("CREATE", "CREATE TEMP", 1))
        except BaseException:
            self._db.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._db.close()

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Everything read inside sees the run as it was at the first read, whatever is written meanwhile."""
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            self._db.execute("COMMIT")

    def _rows(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[Any]:
        try:
            yield from self._db.execute(sql, parameters)
        except FAULTS as error:
            raise explain(error, self.folder) from error

    def _row(self, sql: str, parameters: Sequence[Any]) -> tuple[Any, ...] | None:
        try:
            row: tuple[Any, ...] | None = self._db.execute(sql, parameters).fetchone()
        except FAULTS as error:
            raise explain(error, self.folder) from error
        return row


def _nearby(folder: Path) -> str:
    """Where a folder that is no run leads: to a tuning's page, or to the runs inside it, the newest first."""
    if (folder / "tune.html").is_file():
        return f"; what docendo tune did here is told in {folder / 'tune.html'}"
    inside = sorted(folder.glob(f"*/{FILE}"), key=lambda file: file.stat().st_mtime, reverse=True)
    return f", such as {', '.join(str(file.parent) for file in inside[:3])}" if inside else ""


def _read_info(db: sqlite3.Connection, folder: Path) -> RunInfo:
    try:
        meta = {key: json.loads(value) for key, value in db.execute("SELECT key, value FROM meta")}
    except FAULTS as error:
        raise explain(error, folder) from error
    if meta.get("format") not in (FORMAT, *LACKING):
        raise StoreError(
            f"{folder}: this run has format version {meta.get('format')} (written by docendo "
            f"{meta.get('docendo')}), and this docendo ({__version__}) reads version {FORMAT}; "
            "use the docendo that wrote it, or start a new run"
        )
    return RunInfo(**meta)
