"""The command protocol as data: commands, replies and events, frozen and without I/O."""
