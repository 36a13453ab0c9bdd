"""The process of a harness ends, whenever it is killed."""

from __future__ import annotations

import sys

from agy_nb.sdk.process.harness_process import HarnessProcess, spawn


class KilledDuringItsStart(HarnessProcess):
    """Is killed by another thread just after `attach` has looked whether it was."""

    _was_killed = _was_looked = False

    @property
    def _kill_on_attach(self):
        before, first = self._was_killed, not self._was_looked
        self._was_looked = True
        if first:
            self.kill()
        return before

    @_kill_on_attach.setter
    def _kill_on_attach(self, was_killed):
        self._was_killed = was_killed


def test_kill_that_comes_during_the_start_ends_the_process():
    process = spawn([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        KilledDuringItsStart().attach(process)
        assert process.wait(timeout=10) != 0
    finally:
        process.kill()
        process.wait()
