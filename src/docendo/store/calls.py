"""What a run asked of models, in which sessions, what came back, and what programs came to when they were run."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, get_args

from docendo.store.file import RunFile
from docendo.store.rows import ErrorRow, Key, PlaceRow, ReplyRow, SessionRow, TotalRow, VerdictRow
from docendo.store.schema import grade_of
from docendo.types import Call, Grade, Prompt, Purpose, Reply, Usage

TOKENS = "prompt_tokens, cached_tokens, completion_tokens, reasoning_tokens"
"""The columns that make a `Usage`."""
_KEYS = 500  # in one statement: SQLite bounds the values it may have


class CallsView(RunFile):
    """What can be read of sessions, calls and verdicts; a part of `RunView`."""

    def sessions(self) -> list[SessionRow]:
        """Every opening of the run for writing, oldest first."""
        sql = "SELECT id, started, pid, stopped FROM sessions ORDER BY id"
        return [SessionRow(*row) for row in self._rows(sql)]

    def places(self) -> list[tuple[int, PlaceRow]]:
        """Where each session reached its models, as (session, place), oldest first."""
        sql = "SELECT session, model, address, spec FROM places ORDER BY session, rowid"
        return [
            (session, PlaceRow(model, address, None if spec is None else json.loads(spec)))
            for session, model, address, spec in self._rows(sql)
        ]

    def reply(self, call: Call) -> Reply | None:
        """The recorded reply to a call, or None where it is still to be asked (again, after an error)."""
        return self.recorded([(call.request, call.sample)]).get((call.request, call.sample))

    def replies(self, calls: Sequence[Call]) -> list[Reply | None]:
        """`reply` for many calls, in their order."""
        keys = [(call.request, call.sample) for call in calls]
        found = self.recorded(keys)
        return [found.get(key) for key in keys]

    def recorded(self, keys: Sequence[Key]) -> dict[Key, Reply]:
        """The recorded replies among `(request, sample)` keys."""
        columns = f"text, stop, {TOKENS}, seconds, reasoning"
        return {
            key: Reply(row[0], row[1], Usage(*row[2:6]), row[6], reasoning=row[7])
            for key, row in self._by_key(columns, "replies", keys)
        }

    def batch_of(self, keys: Sequence[Key]) -> dict[Key, str]:
        """The batch as part of which each recorded reply among `keys` was computed."""
        return {key: row[0] for key, row in self._by_key("batch", "replies", keys)}

    def failed(self, keys: Sequence[Key]) -> dict[Key, Reply]:
        """The last error of each call among `keys` that ever came back with one, as a reply."""
        columns = f"{TOKENS}, seconds, error, lasting"
        return {  # of several the last in the table's order stays
            key: Reply("", "error", Usage(*row[:4]), row[4], row[5], lasting=bool(row[6]))
            for key, row in self._by_key(columns, "errors", keys, "ORDER BY errors.rowid")
        }

    def _by_key(
        self, columns: str, table: str, keys: Sequence[Key], order: str = ""
    ) -> Iterator[tuple[Key, tuple[Any, ...]]]:
        """Columns of a table's rows under `keys`, each with its key; a few statements for however many keys."""
        for start in range(0, len(keys), _KEYS):
            some = keys[start : start + _KEYS]
            wanted = ", ".join(["(?, ?)"] * len(some))
            sql = (
                f"WITH wanted (request, sample) AS (VALUES {wanted}) SELECT request, sample, {columns} "
                f"FROM wanted CROSS JOIN {table} USING (request, sample) {order}"
            )
            for row in self._rows(sql, [part for key in some for part in key]):
                yield (row[0], row[1]), row[2:]

    def lasting(self, keys: Sequence[Key]) -> dict[Key, Reply]:
        """The calls among `keys` whose last error asking again would only repeat, each with that error."""
        return {key: reply for key, reply in self.failed(keys).items() if reply.lasting}

    def prompt(self, key: Key) -> Prompt | None:
        """What was asked under `key` (text, or (role, content) pairs); None where nothing came back yet."""
        for table in ("replies", "errors"):
            sql = (
                f"SELECT form, prompts.text FROM {table} JOIN prompts ON hash = prompt "
                "WHERE request = ? AND sample = ? LIMIT 1"
            )
            row = self._row(sql, key)
            if row is not None:
                form, text = row
                return text if form == "text" else tuple((role, said) for role, said in json.loads(text))
        return None

    def calls(self) -> Iterator[ReplyRow]:
        """Every recorded reply without its text, oldest first."""
        sql = (
            "SELECT request, sample, model, purpose, batch, prompt, stop, "
            f"{TOKENS}, seconds, session FROM replies ORDER BY rowid"
        )
        for row in self._rows(sql):
            yield ReplyRow(*(*row[:7], Usage(*row[7:11]), *row[11:]))

    def errors(self) -> Iterator[ErrorRow]:
        """Every call that came back with an error, oldest first."""
        sql = (
            "SELECT request, sample, model, purpose, batch, prompt, error, lasting, "
            f"{TOKENS}, seconds, session, time FROM errors ORDER BY rowid"
        )
        for row in self._rows(sql):
            yield ErrorRow(*(*row[:7], bool(row[7]), Usage(*row[8:12]), *row[12:]))

    def reasons(self) -> list[tuple[str, int]]:
        """Why calls that have no reply failed, and how many for each reason, the commonest first.

        Each call counts by its last error. Reasons that differ in their numbers alone are one, told as the first was.
        """
        sql = (
            "SELECT error, MAX(rowid) FROM errors AS e WHERE NOT EXISTS "
            "(SELECT 1 FROM replies AS r WHERE r.request = e.request AND r.sample = e.sample) "
            "GROUP BY request, sample ORDER BY MAX(rowid)"
        )
        first: dict[str, str] = {}
        found: Counter[str] = Counter()
        for text, _ in self._rows(sql):
            found[first.setdefault(re.sub(r"\d+", "0", text), text)] += 1
        return found.most_common()

    def sent(self) -> Iterator[tuple[Key, int]]:
        """Every call that left for a backend, with the session it left in, oldest first."""
        for request, sample, session in self._rows(
            "SELECT request, sample, session FROM sent ORDER BY rowid"
        ):
            yield (request, sample), session

    def prompts_in_order(self, model: str) -> Iterator[tuple[str, int]]:
        """Each different prompt that a model answered, with how often, in the order of their texts."""
        yield from self._rows(
            "SELECT prompts.text, COUNT(*) FROM replies JOIN prompts ON hash = prompt "
            "WHERE model = ? GROUP BY hash ORDER BY prompts.text",
            (model,),
        )

    def notes(self) -> list[tuple[str, str]]:
        """What a user should know of how models are asked: each different (model, text) once, oldest first.

        Last come the models that were reached at several addresses.
        """
        found = list(self._rows("SELECT model, text FROM notes GROUP BY model, text ORDER BY MIN(rowid)"))
        by_model: dict[str, list[str]] = {}
        for _, place in self.places():
            by_model.setdefault(place.model, []).append(place.address)
        for model, addresses in by_model.items():
            if places := list(dict.fromkeys(addresses))[1:]:
                text = f"{model} was reached at {addresses[0]} when the run began, and at {' and '.join(places)} later"
                found.append((model, text))
        return found

    def totals(self) -> list[TotalRow]:
        """Recorded replies summed by model and purpose, in the order of the plan and of the road.

        Not in that of recording: which of two calls is answered first differs from run to run.
        """
        sql = (
            "SELECT model, purpose, COUNT(*), SUM(prompt_tokens), SUM(cached_tokens), SUM(completion_tokens), "
            "SUM(reasoning_tokens), SUM(seconds) FROM replies GROUP BY model, purpose "
            "ORDER BY (SELECT rowid FROM models WHERE name = model), model"
        )
        rows = [TotalRow(*(*row[:3], Usage(*row[3:7]), row[7])) for row in self._rows(sql)]
        models, road = list(dict.fromkeys(row.model for row in rows)), get_args(Purpose)
        return sorted(rows, key=lambda row: (models.index(row.model), road.index(row.purpose)))

    def given_up(self) -> list[tuple[str, Purpose, int]]:
        """Requests that were given up after they had been sent, by model and purpose."""
        return list(
            self._rows(
                "SELECT model, purpose, SUM(requests) FROM given_up GROUP BY model, purpose ORDER BY MIN(rowid)"
            )
        )

    def cut_off(self) -> list[tuple[str, Purpose, int]]:
        """Calls on their way when a session was cut, and answered in a later one, by model and purpose."""
        if len(self.sessions()) < 2:
            return []  # looking for each call takes its time
        sql = (
            "SELECT model, purpose, COUNT(*) FROM sent JOIN replies USING (request, sample) "
            "WHERE replies.session > sent.session AND NOT EXISTS (SELECT 1 FROM errors WHERE "
            "(errors.request, errors.sample, errors.session) = (sent.request, sent.sample, sent.session)) "
            "GROUP BY model, purpose ORDER BY MIN(replies.rowid)"
        )
        return list(self._rows(sql))

    def verdict(self, key: str) -> Grade | None:
        """What a program came to that was judged before, by the digest of all that was judged."""
        row = self._row("SELECT state, score, answer, key, detail FROM verdicts WHERE hash = ?", (key,))
        return None if row is None else grade_of(row)

    def verdicts(self) -> Iterator[VerdictRow]:
        """Every verdict on a program, oldest first."""
        sql = "SELECT problem, exam, session, state, score, answer, key, detail FROM verdicts ORDER BY rowid"
        for row in self._rows(sql):
            yield VerdictRow(row[0], bool(row[1]), row[2], grade_of(row[3:]))
