"""Tables as a collection of sessions: length, iteration, and access by name."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING

from agy_nb.analysis.named_tables import NamedTables
from agy_nb.analysis.schema import TABLES

if TYPE_CHECKING:
    from agy_nb.analysis.tables import Tables


class SessionCollection(NamedTables):
    """The sessions of tables."""

    @abstractmethod
    def only(self, session_id: str) -> Tables:
        """Return the tables of one session."""

    def __len__(self) -> int:
        return len(self.sessions)

    def __bool__(self) -> bool:
        return True  # also without sessions: these are tables

    def __iter__(self) -> Iterator[Tables]:
        """Yield the tables of each session."""
        for session_id in self.sessions["session_id"]:
            yield self.only(session_id)

    def __getitem__(self, session: str) -> Tables:
        """Return the tables of one session, by its id or its name."""
        known = self.sessions[["session_id", "session_name"]]
        found = known[known["session_id"].eq(session) | known["session_name"].eq(session)]
        if len(found) != 1:
            count = len(found) or "no"
            table = f"; the table is .{session}" if session in TABLES else ""
            raise KeyError(f"{count} sessions have the id or name {session!r}{table}")
        return self.only(found["session_id"].iloc[0])
