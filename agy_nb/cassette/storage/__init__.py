"""The files of a cassette: written, read, replaced, moved to a new format."""
