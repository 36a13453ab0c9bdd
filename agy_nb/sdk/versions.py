"""Which versions of google-antigravity agy_nb works with, checked before anything is started."""

from __future__ import annotations

import warnings
from functools import cache
from importlib import metadata

from packaging.version import InvalidVersion, Version

from agy_nb.errors import UnsupportedSdkError

TESTED = ("0.1.17", "0.1.18", "0.1.19", "0.1.20", "0.1.21", "0.1.22")
"""Versions that the tests run against, oldest first; `make sdk-matrix` runs them."""
OLDEST, NEWEST = TESTED[0], TESTED[-1]
_REMEDY = f"run: pip install 'google-antigravity=={NEWEST}'"


@cache
def sdk_version() -> str | None:
    """Return the installed version of google-antigravity; None without it. Read once."""
    try:
        return metadata.version("google-antigravity")
    except metadata.PackageNotFoundError:
        return None


def is_newer(version: str) -> bool:
    """Return whether a version is newer than those that were tested."""
    return Version(version) > Version(NEWEST)


def require_supported() -> str:
    """Make sure that the installed SDK is not missing and not too old.

    Returns:
        Its version.

    Raises:
        UnsupportedSdkError: It is missing, or too old.
    """
    version = sdk_version()
    if version is None:
        msg = f"google-antigravity is not installed; {_REMEDY}"
        raise UnsupportedSdkError(msg)
    try:
        installed = Version(version)
    except InvalidVersion:
        installed = Version("0")
    if installed < Version(OLDEST):
        tested = f"tested: {OLDEST} to {NEWEST}"
        msg = f"google-antigravity {version} is not supported ({tested}); {_REMEDY}"
        raise UnsupportedSdkError(msg)
    return version


@cache
def check() -> str:
    """Make sure that agy_nb works with the installed SDK; once is enough.

    A version that is newer than the tested ones is tried, with a warning.

    Returns:
        Its version.

    Raises:
        UnsupportedSdkError: It is missing, or too old.
    """
    version = require_supported()
    if is_newer(version):
        warnings.warn(
            f"google-antigravity {version} is newer than the versions that agy_nb was tested with "
            f"({OLDEST} to {NEWEST}). If something fails, {_REMEDY}",
            stacklevel=3,
        )
    return version
