"""`agy-nb cassette prune`."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from agy_nb.cassette.commands.terminal_tables import say
from agy_nb.cassette.storage import catalog
from agy_nb.cassette.storage.shared.shared_texts import remove_unused, stores, unused_in


def prune(arguments: Namespace) -> int:
    """Run `prune`."""
    found = False
    for root in arguments.paths:
        if not root.is_dir():
            say(f"folder not found: {root}")
            return 1
        for path in catalog.leftovers(root):
            found = True
            if catalog.is_in_use(path):
                say(f"in use       {path}: being recorded")
                continue
            say(f"{catalog.remove(path) if arguments.yes else 'would remove'} {path}")
        for store in stores(root):
            found |= _prune_texts(store, remove=arguments.yes)
    if not found:
        say("no leftovers of unfinished recordings")
    return 0


def _prune_texts(store: Path, *, remove: bool) -> bool:
    """Remove, or only list, the shared texts that no cassette names."""
    names = unused_in(store.parent)
    if remove and names:
        remove_unused(store, names)
    for name in names:
        say(f"{'removed' if remove else 'would remove'} {store / name}: no cassette uses it")
    return bool(names)
