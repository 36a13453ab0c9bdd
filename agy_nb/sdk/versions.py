"""Which versions of google-antigravity we stand on, checked before anything is started."""

from __future__ import annotations

from functools import cache
from importlib import metadata

from packaging.version import InvalidVersion, Version

from agy_nb.errors import UnsupportedSdk

OLDEST = "0.1.21"
"""Oldest version that the tests run against; older ones have no seam to start the harness at."""
NEWEST = "0.1.22"
"""Newest version that the tests run against."""
BELOW = "0.2"
"""First version that is refused; newer ones than `NEWEST` below it are tried."""


def sdk_version() -> str | None:
    """The installed version of google-antigravity, None if it is not installed."""
    try:
        return metadata.version("google-antigravity")
    except metadata.PackageNotFoundError:
        return None


@cache
def check() -> str:
    """Make sure that the installed SDK is one that we can stand on.

    Returns:
        Its version.

    Raises:
        UnsupportedSdk: It is missing, too old, or from a series that we do not know.
    """
    version = sdk_version()
    remedy = f"run: pip install 'google-antigravity>={OLDEST},<{BELOW}'"
    if version is None:
        msg = f"google-antigravity is not installed; {remedy}"
        raise UnsupportedSdk(msg)
    try:
        supported = Version(OLDEST) <= Version(version) < Version(BELOW)
    except InvalidVersion:
        supported = False
    if not supported:
        tested = f"tested: {OLDEST} to {NEWEST}"
        msg = f"google-antigravity {version} is not supported ({tested}); {remedy}"
        raise UnsupportedSdk(msg)
    return version
