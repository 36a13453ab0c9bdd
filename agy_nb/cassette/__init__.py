"""Record real sessions once, and replay them offline, byte for byte.

```
use                 `use_cassette`, a context manager and decorator
cassette_session    one use of a cassette: intercept, record or replay, save
cassette_files      the open recording, and the proxy of the model
cassette_options    the checked options            record_modes    record or replay?
errors, remedies    errors, and what a user can do about a mismatch
record/             pass frames on and record them
replay/             replay a session: session_matcher chooses it, machine replays it
matching/           compare what the client sends with the recording
redaction/          remove secrets before anything is written
storage/            the files of a cassette: format, writer, reader, catalog, migration
http/               record and replay requests to the model and of host tools
inspect/            summaries, text and checks of cassettes
shim/               a program in the harness's place, for SDKs in any language
drift/              run a recorded client again, live, and compare
rebuild/            rebuild a recorded conversation in the real harness, for `agy.fork`
cli                 `agy-nb cassette`
```
"""

from __future__ import annotations

from agy_nb import lazy_names

__getattr__, __dir__, __all__ = lazy_names.attach(__name__, __file__)
