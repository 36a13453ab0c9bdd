"""Marks for tests of what an older SDK, or its harness, does not do."""

import pytest
from packaging.version import Version

from agy_nb.sdk.versions import sdk_version

INSTALLED = Version(sdk_version() or "0")


def needs_sdk(version: str, difference: str) -> pytest.MarkDecorator:
    """Skip a test where the SDK is older than `version`, and say what is different there."""
    return pytest.mark.skipif(
        Version(version) > INSTALLED,
        reason=f"google-antigravity {INSTALLED}: {difference} before {version}",
    )


def except_sdk(version: str, difference: str) -> pytest.MarkDecorator:
    """Skip a test with one version of the SDK, and say what is different there."""
    return pytest.mark.skipif(
        Version(version) == INSTALLED, reason=f"google-antigravity {version}: {difference}"
    )
