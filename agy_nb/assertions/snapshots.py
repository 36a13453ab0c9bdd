"""Texts of trajectories that are the same in each run, for a snapshot library to keep."""

from __future__ import annotations

from agy_nb.assertions.observation import Observation
from agy_nb.assertions.trajectory_text import trajectory_text
from agy_nb.errors import InvalidInputError


def snapshot_text(observation: Observation) -> str:
    """Return what an agent did, without values that differ from run to run.

    Ids, times, ports and addresses in memory are replaced by fixed words, folders by marks, and
    secrets are redacted.

    Args:
        observation: What the agent did.
    """
    from agy_nb.cassette.matching.normalize import NORMALIZERS, Normalizer
    from agy_nb.cassette.redaction import Redactor

    return Normalizer(NORMALIZERS)(Redactor().text(trajectory_text(observation)))


def redacted(text: str) -> str:
    """Return a text without secrets. Folders of this machine stay."""
    from agy_nb.cassette.redaction import Redactor

    return Redactor(places={}).text(text)


def running_snapshot() -> object:
    """Return syrupy's fixture of the running test.

    Raises:
        InvalidInputError: No test runs, or syrupy is not installed.
    """
    from agy_nb.pytest_plugin.fixtures import running_fixture

    snapshot = running_fixture("snapshot")
    if snapshot is None:
        msg = (
            "the test has no fixture `snapshot`: install syrupy, or pass a snapshot(), e.g. that "
            "of inline-snapshot"
        )
        raise InvalidInputError(msg, field="snapshot")
    return snapshot
