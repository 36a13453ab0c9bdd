"""The files of a cassette.

A cassette is a folder with `header.json` and `wire.jsonl`. If requests to the model were recorded,
it also holds `model.yaml`, which is `model.jsonl` until the recording is finished. `tools.yaml`
holds the HTTP requests of host tools.

`wire.jsonl` holds one JSON object per line and is read line by line. If its last line is incomplete
after a crash, the lines before it are still valid. An example:

```json
{"s": 0, "d": "client", "dt": 0.0123, "f": {"userInput": {"parts": [{"text": "Hello"}]}}}
```

`s` is the number of the session (one connection of one agent). `d` is the sender of the frame
(`client` or `harness`), `host` for a note of an event that never crosses the wire, or `end` for the
end of the session. `dt` is the time since the session's previous line in seconds, `f` the frame or
the note. A frame that is not a JSON object is stored as `{"$text": ...}` or `{"$base64": ...}`.
"""

from __future__ import annotations

from agy_nb.cassette.storage.format.file_names import (
    EPISODES,
    FILES,
    HEADER,
    LITTER,
    MODEL,
    OWNER_MARK,
    TOOLS,
    WIRE,
    cassette_path,
    safe_name,
)
from agy_nb.cassette.storage.format.header import (
    VERSION,
    Header,
    SessionSummary,
    header_of,
    read_header,
    read_header_data,
)
from agy_nb.cassette.storage.format.lines import (
    Direction,
    Frame,
    WireRecord,
    decode_line,
    encode_line,
    frame_message,
    is_edited,
    is_partial,
    numbered_lines,
    parse_frame,
    read_lines,
    read_torn_end,
    spoken_frame,
)

__all__ = [
    "EPISODES",
    "FILES",
    "HEADER",
    "LITTER",
    "MODEL",
    "OWNER_MARK",
    "TOOLS",
    "VERSION",
    "WIRE",
    "Direction",
    "Frame",
    "Header",
    "SessionSummary",
    "WireRecord",
    "cassette_path",
    "decode_line",
    "encode_line",
    "frame_message",
    "header_of",
    "is_edited",
    "is_partial",
    "numbered_lines",
    "parse_frame",
    "read_header",
    "read_header_data",
    "read_lines",
    "read_torn_end",
    "safe_name",
    "spoken_frame",
]
