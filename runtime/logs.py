"""Logs: one JSON object a line on stderr. The caller hands in the redaction, the last step before a line is written."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Protocol

import structlog


class Processor(Protocol):
    """A structlog processor."""

    def __call__(
        self, logger: object, method: str, event: MutableMapping[str, Any], /
    ) -> MutableMapping[str, Any]: ...


def set_up_logs(level: str, redact: Processor) -> None:
    """Route everything, other libraries' records too, through the redaction to stderr."""
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    last: list[Any] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        redact,
        structlog.processors.JSONRenderer(),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=last))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    logging.getLogger("uvicorn.error").setLevel("WARNING")
    # Its debug lines hold statements with their parameters: Telegram ids.
    logging.getLogger("aiosqlite").setLevel("WARNING")


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger. Events are short fixed phrases; what varies goes into named values."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger
