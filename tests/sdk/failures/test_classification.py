"""What the SDK's failures are to the user: by type, status code, label and stop reason alone."""

from importlib import metadata

import pytest
from google.antigravity import types
from packaging.requirements import Requirement

import agy_nb as agy
from agy_nb.sdk import errors, versions
from agy_nb.sdk.errors import StepFailure

SAFETY = "The response was blocked by content safety filters. Please try rephrasing your request."
TOKENS = "The maximum token limit was reached."


def ended_by(error=None, *, failure=None, stop_reason="UNSPECIFIED", lost=False):
    return errors.of_turn(error, failure=failure, stop_reason=stop_reason, lost=lost)


def test_turn_that_ended_well_has_no_error():
    assert ended_by() is None


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (StepFailure(SAFETY, "long story", 0), agy.SafetyError),
        (StepFailure("PROHIBITED_CONTENT", "long story", 0), agy.SafetyError),
        (StepFailure(TOKENS, "long story", 0), agy.MaxTokensError),
        (StepFailure("", "quota", 429), agy.QuotaExceededError),
        (StepFailure("", "key", 401), agy.BackendError),
        (StepFailure("", "broken", 2), agy.BackendError),
    ],
)
def test_error_step_is_told_by_its_fields(failure, expected):
    assert type(ended_by(RuntimeError(), failure=failure)) is expected


@pytest.mark.parametrize("word", ["safety", "SAFETY", "max tokens", "429", "quota", "token limit"])
def test_words_in_a_message_decide_nothing(word):
    failure = StepFailure("Agent execution terminated due to error.", f"about {word}", 500)
    assert type(ended_by(failure=failure)) is agy.BackendError
    assert type(ended_by(types.AntigravityExecutionError(word))) is agy.BackendError


def test_a_class_that_is_merely_called_so_is_no_safety():
    class StopCandidateException(Exception):
        pass

    assert type(ended_by(StopCandidateException("SAFETY"))) is agy.BackendError


def test_label_with_a_status_code_is_the_endpoints_error():
    assert type(ended_by(failure=StepFailure(SAFETY, "x", 500))) is agy.BackendError


def test_quota_by_stop_reason():
    assert isinstance(ended_by(stop_reason="QUOTA_EXHAUSTED"), agy.QuotaExceededError)


def test_retry_after_comes_from_the_errors_data():
    details = "Details: [map[@type:type.googleapis.com/google.rpc.RetryInfo retryDelay:7.5s]]"
    error = ended_by(failure=StepFailure("", details, 429))
    assert (error.retry_after, error.hinted) == (7.5, True)


def test_retry_after_is_not_guessed_from_words():
    error = ended_by(failure=StepFailure("", "retryDelay:7s, or so", 429))
    assert (error.retry_after, error.hinted) == (120, False)


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (400, "check the configuration"),
        (401, "GEMINI_API_KEY"),
        (403, "another model or key"),
        (404, "check its name"),
        (413, "send a shorter prompt"),
        (500, "try again later"),
        (503, "try again later"),
    ],
)
def test_status_code_comes_with_what_to_do(code, advice):
    error = ended_by(failure=StepFailure("", "its own words", code))
    assert error.http_code == code
    assert f"HTTP {code}" in str(error)
    assert advice in str(error)
    assert "its own words" in str(error)


def test_code_below_http_is_no_http_code():
    assert ended_by(failure=StepFailure("", "EOF", 2)).http_code is None


def test_lost_connection_is_the_harness_and_says_what_comes_next():
    error = ended_by(ConnectionError("code 1006\nstderr of three screens"), lost=True)
    assert isinstance(error, agy.HarnessError)
    assert "next prompt" in str(error)
    assert "stderr" not in str(error)


@pytest.fixture
def installed(monkeypatch):
    """Have the SDK say that it is of another version."""
    versions.check.cache_clear()
    yield lambda version: monkeypatch.setattr(versions, "sdk_version", lambda: version)
    versions.check.cache_clear()


@pytest.mark.parametrize("version", ["0.1.16", "0.0.9", "junk"])
def test_version_that_is_too_old_is_refused(installed, version):
    installed(version)
    with pytest.raises(agy.UnsupportedSdkError, match=r"pip install 'google-antigravity==0\.1"):
        versions.check()


@pytest.mark.parametrize("version", versions.TESTED)
@pytest.mark.filterwarnings("error")
def test_version_that_was_tested_is_fine(installed, version):
    installed(version)
    assert versions.check() == version


@pytest.mark.parametrize("version", ["0.1.99", "0.2.0", "1.0"])
def test_newer_version_is_tried_with_a_warning(installed, version):
    installed(version)
    with pytest.warns(UserWarning, match=f"{version} is newer than .* tested") as warned:
        versions.check()
    assert len(warned) == 1


def test_oldest_tested_version_is_the_lower_bound_of_the_package():
    wanted = [Requirement(text) for text in metadata.requires("agy-nb") if "antigravity" in text]
    assert [str(each.specifier) for each in wanted] == [f">={versions.OLDEST}"]


def test_missing_sdk_says_how_to_get_it(installed):
    installed(None)
    with pytest.raises(agy.UnsupportedSdkError, match="not installed"):
        versions.check()
