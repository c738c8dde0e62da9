"""Logs: one JSON object a line on stderr. The caller hands in the redaction, the last step before a line is written."""

import logging
import sys
import threading
from collections.abc import MutableMapping
from types import TracebackType
from typing import Any, Protocol

import structlog


class Processor(Protocol):
    """A structlog processor."""

    def __call__(
        self, logger: object, method: str, event: MutableMapping[str, Any], /
    ) -> MutableMapping[str, Any]: ...


UNWRITTEN = '{"event": "a log line could not be written", "level": "error"}\n'


class _Handler(logging.StreamHandler[Any]):
    """Writes lines. One that cannot be formatted becomes a fixed phrase: logging's own answer shows the arguments."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802  logging's own name
        """Say that a line is missing; nothing that goes wrong here reaches the caller."""
        try:
            self.stream.write(UNWRITTEN)
        except (OSError, ValueError):
            return


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
    handler = _Handler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=last))
    root = logging.getLogger()
    root.handlers = [handler]
    # What a library keeps from the root (uvicorn its access log) would be printed as it is.
    logging.lastResort = handler
    root.setLevel(level.upper())
    logging.getLogger("uvicorn.error").setLevel("WARNING")
    # Its debug lines hold statements with their parameters: Telegram ids.
    logging.getLogger("aiosqlite").setLevel("WARNING")
    # A line for every call, which says less than ours.
    logging.getLogger("httpx2").setLevel("WARNING")


def log_uncaught() -> None:
    """Log what nobody catches, and warnings, instead of letting Python print them: its tracebacks are not redacted."""
    log = get_logger("trilha.uncaught")

    def in_main(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            return
        log.critical("the process ends by an error", exc_info=(kind, error, trace))

    def in_thread(given: threading.ExceptHookArgs) -> None:
        if given.exc_value is not None and not issubclass(given.exc_type, SystemExit):
            log.error("a thread ends by an error", exc_info=given.exc_value)

    def nowhere(given: "sys.UnraisableHookArgs") -> None:
        log.error("an error had nowhere to go", exc_info=given.exc_value)

    sys.excepthook, threading.excepthook, sys.unraisablehook = in_main, in_thread, nowhere
    logging.captureWarnings(capture=True)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger. Events are short fixed phrases; what varies goes into named values."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger
