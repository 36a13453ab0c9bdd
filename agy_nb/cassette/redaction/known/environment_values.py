"""Variables that every redactor of this process knows, beside those that are set.

A `.env` file holds values that were not set when a recording began, or that are not set at all
because the environment has others; an agent may read the file all the same.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterable, Mapping

from agy_nb.cassette.redaction.rules.field_names import secret_values

_lock = threading.Lock()
_values: set[str] = set()
_learners: weakref.WeakSet[Learner] = weakref.WeakSet()


class Learner:
    """Takes values for as long as its redactor lives.

    Args:
        learn: Called with secret values, from any thread.
    """

    def __init__(self, learn: Callable[[Iterable[str]], None]) -> None:
        self.learn = learn
        with _lock:
            _learners.add(self)
            known = tuple(_values)
        learn(known)


def learn_variables(variables: Mapping[str, str]) -> None:
    """Have the redactors of now and later know the values of variables with secret names.

    Args:
        variables: Values by name; the others are ignored.
    """
    with _lock:
        fresh = set(secret_values(variables)) - _values
        _values.update(fresh)
        learners = tuple(_learners)
    for learner in learners:
        learner.learn(fresh)
