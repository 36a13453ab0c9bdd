"""Rows of some recordings, and how several of these parts become the tables of a load.

A part does not know how its recordings were named in a load: names, paths and the ids of copies are
added when the parts are put together. So it can be used again by a load of another folder.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agy_nb.analysis.builders.column_buffer import Columns
from agy_nb.analysis.builders.dataframes import array, empty, frame
from agy_nb.analysis.read.discovery import RecordingPath, SearchProblem
from agy_nb.analysis.read.from_cassette import read_file
from agy_nb.analysis.schema import TABLES, Column

if TYPE_CHECKING:
    import numpy as np  # noqa: TC004 - where it is used, it is imported
    import pandas as pd

SEAL_ROWS = 100_000
"""Number of rows after which columns become typed arrays."""

Frames = Callable[[str], "pd.DataFrame"]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The rows of some recordings, in their order.

    Attributes:
        ids: The id of each recording, before copies get another one.
        paths: The path by which each recording was read.
        counts: Number of rows of each recording, by the name of the table.
        frame: Returns the rows of a table.
        folder: The folder with its files, if it was read from there.
    """

    ids: Sequence[str]
    paths: Sequence[str]
    counts: Mapping[str, np.ndarray[Any, Any]]
    frame: Frames
    folder: Path | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Recordings of a part that belong to a load.

    Attributes:
        part: The part.
        inside: Their places in the part.
        places: Their places in the load.
    """

    part: Part
    inside: np.ndarray[Any, Any]
    places: np.ndarray[Any, Any]


def read_part(recordings: Sequence[RecordingPath], options: Mapping[str, Any]) -> Part:
    """Read some recordings.

    Args:
        recordings: What to read.
        options: `chunks`, `text` and `model_requests` of `agy.load`.
    """
    import numpy as np

    rows = _PartRows()
    ids: list[str] = []
    paths: list[str] = []
    ends: dict[str, list[int]] = {name: [0] for name in TABLES}
    for recording in recordings:
        one, path = _read(recording, rows.columns, options)
        ids.append(one)
        paths.append(path)
        for name, table in rows.columns.tables.items():
            ends[name].append(table.end)
        if len(rows.columns) >= SEAL_ROWS:
            rows.seal()
    counts = {name: np.diff(each) for name, each in ends.items()}
    return Part(ids, paths, counts, rows.frame)


def _read(
    recording: RecordingPath, columns: Columns, options: Mapping[str, Any]
) -> tuple[str, str]:
    """Read a recording; give its id, and the path by which it was read."""
    sessions = columns["sessions"]
    row = sessions.end
    if recording.url:
        from agy_nb.analysis.read.remote import local_copy

        with local_copy(recording.url) as path:
            read_file(path, name=recording.name, columns=columns, **options)
    else:
        path = recording.path
        read_file(path, name=recording.name, columns=columns, **options)
    return str(sessions.tail(row)[0]["session_id"]), str(path)


class _PartRows:
    """Rows that were read. Those since the last `seal` become typed arrays on first use.

    A load of a few recordings mostly answers one question from two or three tables, and to build
    all of them would take longer than to read the recordings.
    """

    def __init__(self) -> None:
        self.columns: Columns = Columns()
        self._frames: dict[str, list[pd.DataFrame]] = {name: [] for name in TABLES}

    def seal(self) -> None:
        """Convert all rows to typed arrays, which take less memory than Python's objects."""
        for name in TABLES:
            self._seal(name)

    def _seal(self, name: str) -> None:
        rows, frames = self.columns.tables[name], self._frames[name]
        if len(rows) or not frames:
            frames.append(frame(TABLES[name], rows.data))
            rows.drop(len(rows))

    def frame(self, name: str) -> pd.DataFrame:
        """Return the rows of a table."""
        import pandas as pd

        self._seal(name)
        frames = self._frames[name]
        if len(frames) > 1:
            frames[:] = [pd.concat(frames, ignore_index=True)]
        return frames[0]


class Assembly:
    """The tables of a load, put together from parts.

    Args:
        recordings: The recordings of the load, in order.
        pieces: Parts that have all of them.
        problems: Places without a recording, for the table `problems`.

    Attributes:
        raw_ids: The id of each recording, before copies get another one.
        ids: The id of each recording.
    """

    def __init__(
        self,
        recordings: Sequence[RecordingPath],
        pieces: Sequence[Piece],
        problems: Sequence[SearchProblem] = (),
    ) -> None:
        self._recordings = recordings
        self._pieces = pieces
        self._problems = problems
        ids = [""] * len(recordings)
        self._read_at = [""] * len(recordings)
        for piece in pieces:
            for inside, place in zip(piece.inside.tolist(), piece.places.tolist(), strict=True):
                ids[place] = piece.part.ids[inside]
                self._read_at[place] = piece.part.paths[inside]
        self.raw_ids = ids
        self.ids: list[str] = unused(ids)
        self._is_plain = len(pieces) == 1 and self.ids == ids

    def count(self, name: str) -> int:
        """Return the number of rows of a table."""
        return sum(int(each.part.counts[name][each.inside].sum()) for each in self._pieces)

    def frame(self, name: str) -> pd.DataFrame:
        """Return a table of all recordings."""
        import numpy as np
        import pandas as pd

        found = [_rows(piece, name) for piece in self._pieces]
        filled = [table for table in found if len(table)]
        if not filled:
            table = found[0] if found else empty(name)
        else:
            table = filled[0] if len(filled) == 1 else pd.concat(filled, ignore_index=True)
        if not self._pieces:
            return self._with_problems(table) if name == "problems" else table
        counts = [each.part.counts[name][each.inside] for each in self._pieces]
        owners = np.concatenate(
            [np.repeat(p.places, count) for p, count in zip(self._pieces, counts, strict=True)]
        )
        if np.any(owners[1:] < owners[:-1]):
            order = np.argsort(owners, kind="stable")
            table, owners = table.iloc[order].reset_index(drop=True), owners[order]
        return self._named(name, table, owners)

    def _named(self, name: str, table: pd.DataFrame, owners: np.ndarray[Any, Any]) -> pd.DataFrame:
        """Add what a part does not know: ids, and the names and paths of this load."""
        if self._is_plain and "session_id" in table and name not in ("sessions", "problems"):
            return table
        added: dict[str, Any] = {"session_id": repeated(self.ids, owners)}
        if name == "sessions":
            names = [each.name for each in self._recordings]
            added["session_name"] = _texts([names[place] for place in owners.tolist()])
            paths = [each.place for each in self._recordings]
            added["path"] = _texts([paths[place] for place in owners.tolist()])
        if name == "problems":
            added["path"] = _texts(self._as_named(table["path"], owners))
        table = table.assign(**added)[[*TABLES[name].names]]
        return self._with_problems(table) if name == "problems" else table

    def _as_named(self, paths: pd.Series[Any], owners: np.ndarray[Any, Any]) -> list[str | None]:
        """Return paths below recordings as this load names these."""
        found: list[str | None] = []
        paths = paths.astype(object).where(paths.notna(), None)
        for path, place in zip(paths.tolist(), owners.tolist(), strict=True):
            old, new = self._read_at[place], self._recordings[place].place
            is_below = isinstance(path, str) and (path == old or path.startswith(old + os.sep))
            found.append(
                new + path[len(old) :] if is_below else None if path is None else str(path)
            )
        return found

    def _with_problems(self, table: pd.DataFrame) -> pd.DataFrame:
        """Add the places without a recording in front."""
        if not self._problems:
            return table
        import pandas as pd

        rows = [
            dict.fromkeys(TABLES["problems"].names) | {"problem_index": number} | asdict(problem)
            for number, problem in enumerate(self._problems)
        ]
        data = {name: [row[name] for row in rows] for name in TABLES["problems"].names}
        return pd.concat([frame(TABLES["problems"], data), table], ignore_index=True)


def _rows(piece: Piece, name: str) -> pd.DataFrame:
    """Return the rows of the recordings of a piece."""
    import numpy as np

    table, counts = piece.part.frame(name), piece.part.counts[name]
    if len(piece.inside) == len(counts) and np.array_equal(piece.inside, np.arange(len(counts))):
        return table
    ends = np.cumsum(counts)
    starts = (ends - counts)[piece.inside]
    wanted = counts[piece.inside]
    shift = np.repeat(starts - (np.cumsum(wanted) - wanted), wanted)
    chosen: pd.DataFrame = table.iloc[np.arange(len(shift)) + shift].reset_index(drop=True)
    return chosen


def unused(ids: Sequence[str]) -> list[str]:
    """Return ids of which each is used once: a copy of a recording gets another one."""
    taken: set[str] = set()
    numbers: dict[str, int] = {}
    found = []
    for one in ids:
        free, number = one, numbers.get(one, 1)
        while free in taken:
            number += 1
            free = f"{one}~{number}"
        numbers[one] = number
        taken.add(free)
        found.append(free)
    return found


def repeated(words: Sequence[str], owners: np.ndarray[Any, Any]) -> Any:
    """Return a column with the word of each row's owner."""
    import pandas as pd

    texts = _texts(words)
    return texts.take(owners) if len(owners) else pd.array([], dtype="string")


def _texts(words: Sequence[str | None]) -> Any:
    return array(Column("", "string", ""), words)
