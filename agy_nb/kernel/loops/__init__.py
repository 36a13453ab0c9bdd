"""Event loops: nested, of a script, of another thread, and woken by a signal."""
