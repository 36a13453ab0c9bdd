"""The lines of a cassette with their frames in full, for tests that change them."""

import json

from agy_nb.cassette.storage.format import encode_line, read_lines


def whole_lines(folder):
    """Read the lines of `wire.jsonl` as JSON data; none has changes in the place of its frame."""
    return [json.loads(encode_line(line)) for line in read_lines(folder)]
