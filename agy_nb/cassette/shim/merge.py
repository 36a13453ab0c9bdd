"""Bring the sessions of one program, recorded by several stand-ins, together in one cassette.

Each stand-in records into a cassette of its own beside the whole one, and adds it there when its
process ends. The first one of a program replaces the old cassette, the others add to it: a program
that is run again replaces its cassette.

Rule 1: one program at a time; another one that wants to record the same cassette is refused.
Rule 2: the old cassette stays until the first stand-in has ended.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from agy_nb.cassette.errors import CassetteBusyError, CassetteNotWrittenError
from agy_nb.cassette.record_modes import plan
from agy_nb.cassette.shim.shared_state import SharedFields, SharedState, is_member, others_at_work
from agy_nb.cassette.storage.format import MODEL, Header, WireRecord, read_header, read_lines
from agy_nb.cassette.storage.model_log import has_model, read_model
from agy_nb.cassette.storage.shared.model_yaml import write_model_yaml
from agy_nb.cassette.storage.writer import CassetteWriter


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
        ledger: Shared by the program's stand-ins.
    """

    def __init__(self, cassette: Path, ledger: SharedState) -> None:
        self._cassette = cassette
        self._ledger = ledger

    def begin(self) -> SessionSlot:
        """A place to record a session at.

        Raises:
            CassetteInvalidError: The path exists and is not a cassette.
            CassetteBusyError: Another client records it at this moment.
        """
        plan(self._cassette, "all")
        with self._ledger.open() as state:
            if not is_member(state, self._ledger.client):
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
        with self._ledger.open() as state:
            return _next(state)

    def begin_anew(self) -> None:
        """Have the next session replace the cassette, also one of a program that still runs."""
        with self._ledger.open() as state:
            if not others_at_work(state):
                state.clear()

    def add(self, place: SessionSlot) -> None:
        """Add the sessions of a stand-in to the whole. Writes the disk.

        Raises:
            CassetteNotWrittenError: The disk refused. The sessions stay where they were recorded.
        """
        try:
            self._add(place)
        except CassetteNotWrittenError as error:
            raise CassetteNotWrittenError(
                f"{error}. The sessions of this client are the cassette {place.own}",
                path=str(self._cassette),
            ) from error
        shutil.rmtree(place.own, ignore_errors=True)

    def _add(self, place: SessionSlot) -> None:
        with self._ledger.open() as state:
            state["at_work"] = others_at_work(state)
            begun = bool(state.get("begun")) and self._cassette.exists()
            header, lines = read_header(place.own), read_lines(place.own)
            if begun:
                before = read_header(self._cassette)
                header = _both(before, header)
                lines = _one_after_another(read_lines(self._cassette), lines)
            whole = CassetteWriter(self._cassette, header, keep=lines)
            with whole.adding_files():
                parts = [self._cassette, place.own] if begun else [place.own]
                _join_models(parts, whole.folder / MODEL)
            whole.finish(lambda: header.redactions)
            state["begun"] = True

    def give_up(self) -> None:
        """Record nothing after all."""
        with self._ledger.open() as state:
            state["at_work"] = others_at_work(state)


def _next(state: SharedFields) -> int:
    session = int(state.get("next", 0))
    state["next"] = session + 1
    return session


def _one_after_another(*parts: Iterator[WireRecord]) -> Iterator[WireRecord]:
    for lines in parts:
        yield from lines


def _join_models(parts: list[Path], into: Path) -> None:
    """One file of vcrpy's of several: the same interactions, one after the other."""
    found = [part for part in parts if has_model(part)]
    if len(found) == 1 and (found[0] / MODEL).exists():
        shutil.copyfile(found[0] / MODEL, into)
    elif found:
        write_model_yaml(into, [made for part in found for made in read_model(part)])


def _both(before: Header, new: Header) -> Header:
    counts = {
        kind: before.redactions.get(kind, 0) + new.redactions.get(kind, 0)
        for kind in {*before.redactions, *new.redactions}
    }
    return replace(before, redactions=counts)
