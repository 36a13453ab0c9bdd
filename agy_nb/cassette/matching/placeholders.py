"""Replace what the recording says of folders and ids by what this machine says, and back.

Folders of a configuration, home, the temporary folder and the conversation's id differ from run to
run. They are paired by their purpose when the client's configuration arrives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property

from agy_nb.cassette.redaction import OWN_MARKS, replay_places
from agy_nb.cassette.storage.format import Frame
from agy_nb.wire.client_config import conversation_of, paths_of
from agy_nb.wire.path_map import MARK, PathMap
from agy_nb.wire.stored.literal_marks import unmarked, unmarked_value


class Placeholders:
    """Translates between the recording's words and this machine's.

    Args:
        recorded: The recorded configuration.
        actual: The client's configuration as it came.
        redact: Redacts a text of the client, as the recording was redacted.
        places: Folders of this machine by their marks; home and the temporary folder by default.
    """

    def __init__(
        self,
        recorded: Frame,
        actual: Frame,
        *,
        redact: Callable[[str], str],
        places: Mapping[str, str] | None = None,
    ) -> None:
        here = paths_of(actual)
        pairs = [(there, here[name]) for name, there in paths_of(recorded).items() if name in here]
        pairs.append((conversation_of(recorded), conversation_of(actual)))
        # A folder that was removed as a secret left a mark that stands for other secrets, too.
        self._pairs = {old: new for old, new in pairs if old and new and not is_lost(old)}
        self._redact = redact
        self._outward = PathMap(self._pairs | dict(replay_places() if places is None else places))

    @cached_property
    def _inward(self) -> PathMap:
        """Made on first use, because most client frames equal the recorded ones."""
        return PathMap({self._redact(here): there for there, here in self._pairs.items()})

    def outward(self, message: str) -> str:
        """Return a recorded frame, as JSON text, in this machine's words."""
        return unmarked(self._outward.message(message))

    def outward_frame(self, frame: Frame) -> Frame:
        """Return a recorded frame in this machine's words."""
        changed: Frame = unmarked_value(self._outward.value(frame))
        return changed

    def inward(self, frame: Frame) -> Frame:
        """Return a redacted frame of the client in the recording's words."""
        changed: Frame = self._inward.value(frame)
        return changed

    def with_numbered_folders(self, recorded: Frame, redacted: Frame) -> tuple[Frame, Frame]:
        r"""Return a recorded and a redacted client frame with names in the place of folders.

        The names are the same for every spelling of a folder. Two frames that differ only in the
        spelling, such as `\u00e4` and `ä` in JSON inside a text, become equal.
        """
        names = {there: f"<{number}>" for number, there in enumerate(self._pairs)}
        here = {self._redact(self._pairs[there]): name for there, name in names.items()}
        return (
            PathMap(names, keep_spelling=False).value(recorded),
            PathMap(here, keep_spelling=False).value(redacted),
        )


def is_lost(recorded: str) -> bool:
    """Return whether redaction removed a part of a text for good."""
    return any(match[0] not in OWN_MARKS for match in MARK.finditer(recorded))
