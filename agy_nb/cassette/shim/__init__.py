"""A stand-in for the harness's binary: records or replays for any SDK, in any language.

An SDK of Antigravity starts the program that `ANTIGRAVITY_HARNESS_PATH` names, tells it a few
settings over stdin, learns an address from its stdout and talks to it over a WebSocket. This is
such a program.

```
program      settings, handshake, one connection, exit code
  options    its command line              launcher   a file that starts it, for the variable
  handshake  the messages on stdin and stdout
  server     one client on a WebSocket, from its coming to its going
    recorder   between the client and the real harness        real    that harness
    player     instead of it: the machine inside
  ledger     what the stand-ins that one client starts know of each other
  merging    several sessions, each recorded by a process of its own, in one cassette
```
"""
