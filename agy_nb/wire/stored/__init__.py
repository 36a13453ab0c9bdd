"""The form of frames and texts in the files of a recording."""
