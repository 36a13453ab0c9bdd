"""Bring the sessions of one program, recorded by several stand-ins, together in one cassette.

Each stand-in records into a cassette of its own beside the whole one, and adds it there when its
process ends. The first one of a program replaces the old cassette, the others add to it: a program
that is run again replaces its cassette.

Rule 1: one program at a time; another one that wants to record the same cassette is refused.
Rule 2: the old cassette stays until the first stand-in has ended.
Rule 3: a re-recording keeps the values of the old cassette that mean the same, as in a block. If
the old cassette has several sessions, a copy of it waits for the other stand-ins.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING

from agy_nb.cassette.cassette_labels import labels_to_keep
from agy_nb.cassette.errors import CassetteBusyError, CassetteError, CassetteNotWrittenError
from agy_nb.cassette.record_modes import plan
from agy_nb.cassette.redaction import Redactor
from agy_nb.cassette.shim.shared_state import SharedFields, SharedState, is_member, others_at_work
from agy_nb.cassette.storage.format import (
    EPISODES,
    MODEL,
    Header,
    WireRecord,
    read_header,
    read_lines,
)
from agy_nb.cassette.storage.model_log import convert_log, has_model, read_model
from agy_nb.cassette.storage.shared.model_yaml import write_model_yaml
from agy_nb.cassette.storage.writer import CassetteWriter

if TYPE_CHECKING:
    from agy_nb.cassette.record.stable_recording import Revised


@dataclass(frozen=True, slots=True)
class SessionSlot:
    """Where one stand-in records.

    Attributes:
        cassette: The folder of the whole.
        session: Number of its first session in the whole.
        own: The folder of its sessions while they are recorded.
    """

    cassette: Path
    session: int
    own: Path


class SessionMerger:
    """Brings a program's sessions together.

    Args:
        cassette: Folder of the cassette.
        shared: Shared by the program's stand-ins.
    """

    def __init__(self, cassette: Path, shared: SharedState) -> None:
        self._cassette = cassette
        self._shared = shared

    def begin(self) -> SessionSlot:
        """Begin a session and return the place to record it.

        Raises:
            CassetteInvalidError: The path exists and is not a cassette.
            CassetteBusyError: Another client records it at this moment.
        """
        plan(self._cassette, "all")
        with self._shared.open() as state:
            if not is_member(state, self._shared.client):
                raise CassetteBusyError(
                    f"{self._cassette} is being recorded by another program, which is not of the "
                    "same process group; wait for it, or choose another name",
                    path=str(self._cassette),
                )
            session = _next(state)
            state["at_work"] = [*others_at_work(state), os.getpid()]
        # Random, so that no folder of the user has this name.
        name = f"{self._cassette.name}.session-{session}-{secrets.token_hex(4)}"
        return SessionSlot(self._cassette, session, self._cassette.with_name(name))

    def another_session(self) -> int:
        """Return the number of a further session at the same place."""
        with self._shared.open() as state:
            return _next(state)

    def begin_anew(self) -> None:
        """Have the next session replace the cassette, also one of a program that still runs."""
        with self._shared.open() as state:
            if not others_at_work(state):
                state.clear()

    def add(self, place: SessionSlot, redactor: Redactor) -> None:
        """Add the sessions of a stand-in to the whole. Writes the disk.

        Args:
            place: Where they were recorded.
            redactor: Redacts the old cassette, of which the whole keeps values.

        Raises:
            CassetteNotWrittenError: The disk refused. The sessions stay where they were recorded.
        """
        try:
            self._add(place, redactor)
        except CassetteNotWrittenError as error:
            raise CassetteNotWrittenError(
                f"{error}. The sessions of this client are the cassette {place.own}",
                path=str(self._cassette),
            ) from error
        shutil.rmtree(place.own, ignore_errors=True)

    def _add(self, place: SessionSlot, redactor: Redactor) -> None:
        with self._shared.open() as state:
            # The state is locked all the time. Two stand-ins that end together would otherwise read
            # the same cassette, and the second would replace the one with the sessions of the
            # first.
            state["at_work"] = others_at_work(state)
            begun = bool(state.get("begun")) and self._cassette.exists()
            header, lines = read_header(place.own), read_lines(place.own)
            if begun:
                before = read_header(self._cassette)
                header = _both(before, header)
                whole_lines = list(read_lines(self._cassette))
                lines = _in_order(whole_lines, _apart(lines, {*map(_session, whole_lines)}))
                old = self._shared.old_cassette
            else:
                header = replace(header, labels=labels_to_keep(self._cassette, redactor))
                old = self._cassette
                _copy_for_others(old, self._shared.old_cassette)
            whole = CassetteWriter(self._cassette, header, keep=lines)
            with whole.adding_files():
                parts = [self._cassette, place.own] if begun else [place.own]
                _join_models(parts, whole.folder)
            names = _names(state) if begun else {}
            whole.finish(lambda: header.redactions, revise=partial(_revised, old, redactor, names))
            state |= {"begun": True, "names": names}

    def give_up(self) -> None:
        """Record nothing after all."""
        with self._shared.open() as state:
            state["at_work"] = others_at_work(state)


def _next(state: SharedFields) -> int:
    session = int(state.get("next", 0))
    state["next"] = session + 1
    return session


def _in_order(whole: Iterable[WireRecord], own: Iterable[WireRecord]) -> Iterator[WireRecord]:
    """Sort the lines by session, so that it does not matter which stand-in ends first."""
    yield from sorted(chain(whole, own), key=_session)


def _apart(lines: Iterable[WireRecord], taken: set[int]) -> Iterator[WireRecord]:
    """Give sessions other numbers than those of the whole, which may have got old numbers."""
    numbers: dict[int, int] = {}
    for line in lines:
        if line.session not in numbers:
            free = (n for n in chain([line.session], count()) if n not in taken)
            numbers[line.session] = next(free)
            taken.add(numbers[line.session])
        yield replace(line, session=numbers[line.session])


def _session(line: WireRecord) -> int:
    return line.session


def _names(state: SharedFields) -> dict[str, str]:
    """Return the ids that the program's sessions have got from the old cassette."""
    found = state.get("names")
    names = found.items() if isinstance(found, dict) else ()
    return {str(one): str(other) for one, other in names}


def _revised(old: Path, redactor: Redactor, names: dict[str, str], new: Path) -> Revised | None:
    found = None
    if old.exists():
        from agy_nb.cassette.record.stable_recording import revised

        found = revised(old, new, redactor, names=names)
    convert_log(new)
    return found


def _copy_for_others(cassette: Path, copy: Path) -> None:
    """Copy a cassette of several sessions, which is about to be replaced, without shared texts.

    Without a copy, the sessions of the other stand-ins get new ids and times.
    """
    shutil.rmtree(copy, ignore_errors=True)
    try:
        if len(read_header(cassette).sessions) > 1:
            exchanges = read_model(cassette) if has_model(cassette) else []
            shutil.copytree(cassette, copy, symlinks=True)
            if exchanges:
                write_model_yaml(copy / MODEL, exchanges, share=False)
                (copy / EPISODES).unlink(missing_ok=True)
    except (OSError, CassetteError):
        shutil.rmtree(copy, ignore_errors=True)


def _join_models(parts: list[Path], into: Path) -> None:
    """Concatenate the interactions of several recordings.

    Those of a single recording stay in its log, which `_revised` converts.
    """
    found = [part for part in parts if has_model(part)]
    if len(found) == 1:
        name = MODEL if (found[0] / MODEL).exists() else EPISODES
        shutil.copyfile(found[0] / name, into / name)
    elif found:
        write_model_yaml(into / MODEL, [made for part in found for made in read_model(part)])


def _both(before: Header, new: Header) -> Header:
    counts = {
        kind: before.redactions.get(kind, 0) + new.redactions.get(kind, 0)
        for kind in sorted({*before.redactions, *new.redactions})
    }
    return replace(before, redactions=counts)
