"""A stand-in for the harness's binary: records or replays for any SDK, in any language.

An SDK of Antigravity starts the program that `ANTIGRAVITY_HARNESS_PATH` names, tells it a few
settings over stdin, learns an address from its stdout and talks to it over a WebSocket. This is
such a program.

```
program          from its options to its exit code
  shim_options   its command line        launcher   a file that starts it, for the variable
  handshake      the messages on stdin and stdout
  client_socket  one client, and a WebSocket for each of its conversations
    record/          between the client and the real harness; `real_harness` starts that
      merge              several sessions, each recorded by a process of its own, in one cassette
    replay_handler   instead of the harness: the machine inside
  shared_state   what the stand-ins that one client starts know of each other
  outcome        its words on stderr, and its exit code
```
"""
