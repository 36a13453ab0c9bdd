"""Takes secrets out of everything that is written. On by default.

`find_secrets` is the only span finder: recording, `cassette redact` and `cassette verify` use it.
`Redactor` adds the secrets that are known from the environment and from configurations, and the
user's own rules.
"""

from __future__ import annotations

from agy_nb.cassette.redaction.finder import find_secrets
from agy_nb.cassette.redaction.known.machine_places import (
    HOME,
    OS,
    OWN_MARKS,
    TEMP,
    TEST_FOLDER,
    TEST_RUN,
    local_places,
    replay_places,
    use_test_folder,
)
from agy_nb.cassette.redaction.redactor import Redactor
from agy_nb.cassette.redaction.split_text import SECRET, TextSpan, mark
from agy_nb.cassette.redaction.user_rules import Rule
from agy_nb.wire.path_map import MARK

__all__ = [
    "HOME",
    "MARK",
    "OS",
    "OWN_MARKS",
    "SECRET",
    "TEMP",
    "TEST_FOLDER",
    "TEST_RUN",
    "Redactor",
    "Rule",
    "TextSpan",
    "find_secrets",
    "local_places",
    "mark",
    "replay_places",
    "use_test_folder",
]
