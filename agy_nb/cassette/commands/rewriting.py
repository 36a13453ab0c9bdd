"""`agy-nb cassette redact`, `label`, `migrate` and `export`."""

from __future__ import annotations

import json
import os
import shutil
from argparse import Namespace

from agy_nb.cassette.command_arguments import rules_of
from agy_nb.cassette.commands.terminal_tables import complain, say
from agy_nb.cassette.commands.verifying import none_found
from agy_nb.cassette.errors import CassetteError, CassetteInvalidError
from agy_nb.cassette.redaction.leaks import redact
from agy_nb.cassette.redaction.user_rules import UserRules
from agy_nb.cassette.storage import catalog
from agy_nb.cassette.storage.cassette_reader import find_header
from agy_nb.cassette.storage.format import EPISODES, MODEL
from agy_nb.cassette.storage.model_log import has_model, read_model
from agy_nb.cassette.storage.safe_files import copy_any
from agy_nb.cassette.storage.shared.model_yaml import write_model_yaml
from agy_nb.cassette.storage.shared.vcr_file import write_vcr


def redact_cassettes(arguments: Namespace) -> int:
    """Run `redact`."""
    rules, found, bad = rules_of(arguments), False, False
    unmatched = set(UserRules(rules).unmatched())
    for path in catalog.find(arguments.paths):
        found = True
        try:
            header = redact(path, rules, unmatched)
        except CassetteError as error:  # the others are redacted nevertheless
            bad = True
            complain(f"{path}: not redacted. {error}")
            continue
        counts = ", ".join(f"{n} {kind}" for kind, n in sorted(header.redactions.items()) if n)
        say(f"{path}: {counts or 'nothing to redact'}")
    for rule in sorted(unmatched) if found else ():
        complain(f"the rule {rule!r} matched nothing; check its spelling")
    if not found:
        none_found(arguments)
    return 0 if found and not bad else 1


def migrate_cassettes(arguments: Namespace) -> int:
    """Run `migrate`."""
    from agy_nb.cassette.storage.migration import migrate

    bad = 0
    for path in catalog.find(arguments.paths):
        try:
            done = migrate(path)
        except CassetteError as error:
            bad += 1
            complain(str(error))
            continue
        if done.before == done.after:
            say(f"{path}: already in format {done.after}")
        else:
            say(f"{path}: converted from format {done.before} to {done.after}")
    return 1 if bad else 0


def label(arguments: Namespace) -> int:
    """Run `label`."""
    from agy_nb.cassette.cassette_labels import change_labels

    found: dict[str, dict[str, str]] = {}
    bad = False
    for path in catalog.find(arguments.paths):
        try:
            labels = change_labels(path, dict(arguments.added), arguments.remove)
        except CassetteError as error:
            bad = True
            complain(f"{path}: {error}")
            continue
        found[str(path)] = labels
        if not arguments.json:
            text = ", ".join(f"{name}={value}" for name, value in sorted(labels.items()))
            say(f"{path}: {text or 'no labels'}")
    if arguments.json:
        say(json.dumps(found, indent=2, ensure_ascii=False))
    if not found and not bad:
        none_found(arguments)
    return 0 if found and not bad else 1


def export(arguments: Namespace) -> int:
    """Run `export`.

    Raises:
        CassetteError: The cassette cannot be read, or the target exists.
    """
    path, target = arguments.path, arguments.target
    find_header(path)
    if os.path.lexists(target):
        raise CassetteInvalidError(f"{target} exists; choose another name", path=str(target))
    if arguments.vcr and not has_model(path):
        raise CassetteInvalidError(
            f"{path} has no recorded requests to the model, so there is nothing to export",
            path=str(path),
        )
    exchanges = read_model(path) if has_model(path) else []
    if arguments.vcr:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_vcr(target, exchanges)
    else:
        shutil.copytree(path, target, symlinks=True, copy_function=copy_any)
        if exchanges:
            write_model_yaml(target / MODEL, exchanges, share=False)
            (target / EPISODES).unlink(missing_ok=True)
    say(f"{path}: exported to {target}")
    return 0
