"""Closed-loop load with wrk: as many requests as the server answers, from connections that never pause."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from loadtests.plan import RungFailed

ANSWER_SECONDS = 5
MARK = "LADDER "
RAN_OUT = "LADDER-RAN-OUT"
_DONE = """
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\\nLADDER {"requests": %d, "duration_us": %d, "p50_us": %d, "p99_us": %d, "p999_us": %d, ' ..
    '"status": %d, "connect": %d, "read": %d, "write": %d, "timeout": %d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency:percentile(99.9),
    e.status, e.connect, e.read, e.write, e.timeout))
end
"""
_BODIES = """
local bodies, sent, said = {}, 0, false
init = function(args)
  for line in io.lines(args[1]) do bodies[#bodies + 1] = line end
end
request = function()
  sent = sent + 1
  if sent > #bodies and not said then
    said = true
    io.write("\\nLADDER-RAN-OUT\\n")
  end
  return wrk.format(nil, nil, nil, bodies[math.min(sent, #bodies)])
end
"""


@dataclass(frozen=True, slots=True)
class Peak:
    """What wrk saw. `requests` were answered; latencies are milliseconds; `errors` says what went wrong, by kind."""

    requests: int
    rate: float
    p50: float
    p99: float
    p999: float
    errors: dict[str, int]
    ran_out: bool = False


class Wrk:
    """The generator, with one thread."""

    def __init__(self, program: Path, folder: Path, connections: int) -> None:
        self._program = program
        self._folder = folder
        self.connections = connections

    def get(self, port: int, path: str, headers: dict[str, str], seconds: int) -> Peak:
        """The same GET over and over."""
        return self._run(f"http://127.0.0.1:{port}{path}", _headers(headers), [], seconds)

    def post(self, port: int, path: str, headers: dict[str, str], bodies: list[str], seconds: int) -> Peak:
        """A POST of each body in turn. If they are used up before the end, the last one is repeated: `ran_out`."""
        file = self._folder / "bodies.txt"
        file.write_text("\n".join(bodies) + "\n")
        script = 'wrk.method = "POST"\n' + _headers(headers) + _BODIES
        return self._run(f"http://127.0.0.1:{port}{path}", script, ["--", str(file)], seconds)

    def _run(self, url: str, script: str, more: list[str], seconds: int) -> Peak:
        file = self._folder / "wrk.lua"
        file.write_text(script + _DONE)
        command = [str(self._program), "-t1", f"-c{self.connections}", f"-d{seconds}s", "--latency"]
        command += ["--timeout", f"{ANSWER_SECONDS}s", "-s", str(file), url, *more]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=seconds + 30,
                check=False,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired:
            raise RungFailed(f"wrk did not end {seconds + 30} s after its start") from None
        return parse(done.stdout, done.stderr)


def parse(output: str, complaints: str = "") -> Peak:
    """Peak from what wrk printed; RungFailed when its last line is not there."""
    line = next((line for line in output.splitlines() if line.startswith(MARK)), None)
    if line is None:
        raise RungFailed(f"wrk printed no result: {(complaints or output).strip()[-300:] or '(nothing)'}")
    found: dict[str, int] = json.loads(line.removeprefix(MARK))
    kinds = ("status", "connect", "read", "write", "timeout")
    return Peak(
        requests=found["requests"],
        rate=found["requests"] / (found["duration_us"] / 1e6),
        p50=found["p50_us"] / 1000,
        p99=found["p99_us"] / 1000,
        p999=found["p999_us"] / 1000,
        errors={kind: found[kind] for kind in kinds if found[kind]},
        ran_out=RAN_OUT in output,
    )


def _headers(headers: dict[str, str]) -> str:
    return "".join(
        f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}\n" for name, value in headers.items()
    )
