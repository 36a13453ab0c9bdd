"""An HTTP server on loopback for a test, and requests of tools that are recorded and replayed."""

import threading
from contextlib import contextmanager
from http.server import ThreadingHTTPServer

from agy_nb.cassette.http.tool_http import ToolHttp
from agy_nb.cassette.redaction import Redactor


@contextmanager
def served(handler):
    """Serve requests in a thread until the end; `handler` is a class of `http.server`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def tool_http(folder, mode):
    """Record or replay the requests of this process."""
    folder.mkdir(exist_ok=True)
    http = ToolHttp(folder, Redactor(environ={}), mode=mode)
    http.open()
    try:
        yield
    finally:
        http.close()
