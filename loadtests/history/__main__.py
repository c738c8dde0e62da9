"""`python -m loadtests.history`: also what `trilha load history` starts."""

from __future__ import annotations

import argparse
import json
import os
import sys

from loadtests.history.plan import CannotWrite, History, moment
from loadtests.history.write import Written, as_json, as_text, carry_out

URL = "TRILHA_SQL_URL"


def main(arguments: list[str] | None = None) -> int:
    """Write the history; 0 when it is whole, 2 when it may not be written there."""
    asked = _parser().parse_args(arguments)
    if not asked.sql_url:
        return _refuse(f"give --sql-url, or {URL} in the environment")
    try:
        done = _written(asked)
    except (CannotWrite, ValueError) as error:
        return _refuse(str(error))
    print(json.dumps(as_json(done), indent=2) if asked.json else as_text(done))
    return 0


def _written(asked: argparse.Namespace) -> Written:
    wanted = History(
        clicks=asked.clicks,
        days=asked.days,
        links=asked.links,
        ads=asked.ads,
        seed=asked.seed,
        until_ms=moment(asked.until),
    )
    return carry_out(asked.sql_url, wanted, _say, resume=asked.resume, fresh=asked.fresh)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _refuse(why: str) -> int:
    print(f"trilha: {why}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m loadtests.history", description=__doc__)
    parser.add_argument("--sql-url", default=os.environ.get(URL), help=f"default: {URL}")
    parser.add_argument("--clicks", type=_positive, default=10_000_000)
    parser.add_argument("--days", type=_positive, default=90)
    parser.add_argument("--links", type=_positive, default=20)
    parser.add_argument("--ads", type=_positive, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--until", help="its last moment, ISO 8601; default: this minute")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--resume", action="store_true", help="go on with one that was interrupted")
    how.add_argument(
        "--fresh", action="store_true", help="write a made-up history anew; anything else is refused"
    )
    parser.add_argument("--json", action="store_true")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


if __name__ == "__main__":
    sys.exit(main())
