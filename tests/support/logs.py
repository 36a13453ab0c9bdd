"""What a test logged, apart from asyncio's remarks about a busy machine."""

import logging


def logged(caplog, level: int = logging.NOTSET) -> list[logging.LogRecord]:
    """Return the records of a level or a higher one, without those about slow callbacks."""
    return [each for each in caplog.records if each.levelno >= level and each.name != "asyncio"]
