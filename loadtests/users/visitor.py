"""What all users have in common: wait for an arrival, send what it is about, and count from the moment it was due."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any, ClassVar

from locust import FastHttpUser, constant, task

from loadtests.crowd import Crowd, Request
from loadtests.job import Job
from loadtests.pump import Arrival, Pump
from loadtests.recorder import Recorder

ANSWER_SECONDS = 10.0
TOKENS = 2000  # of the latest clicks, for those who ask about one


class Stage:
    """What the users of a run share."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.crowd = Crowd(job.seed)
        self.recorder = Recorder(job.shape)
        self.pump = Pump(job, self.recorder)
        self.tokens: deque[str] = deque(maxlen=TOKENS)
        self.starts: deque[str] = deque(maxlen=TOKENS)
        self._key = Path(job.api_key_file).read_text(encoding="utf-8").strip()
        self._persons = 1_000_000

    def headers(self, request: Request) -> dict[str, str]:
        """With the key, where it is asked for."""
        key = {"Authorization": f"Bearer {self._key}"} if request.key else {}
        return {**request.headers, **key}

    def person(self) -> int:
        """Somebody who has not been here yet."""
        self._persons += 1
        return self._persons


class Visitor(FastHttpUser):
    """One of `users`; `kind` is its name in the mixes."""

    abstract = True
    wait_time = constant(0)
    network_timeout = ANSWER_SECONDS
    connection_timeout = ANSWER_SECONDS
    host = "http://127.0.0.1"
    kind: ClassVar[str] = ""
    stage: ClassVar[Stage]

    @task
    def visit(self) -> None:
        """One arrival, from its moment to its answer."""
        arrival = self.stage.pump.take(self.kind)
        try:
            if arrival.then is not None:
                arrival.then(self, arrival)
            else:
                self.act(arrival)
        finally:
            self.stage.pump.finished(arrival)

    def act(self, arrival: Arrival) -> None:
        """What this kind does."""
        raise NotImplementedError

    def send(self, request: Request, arrival: Arrival) -> Any:
        """Send it and count it; the answer, or None when it was not what is documented."""
        stage = self.stage
        base = stage.job.public if request.listener == "public" else stage.job.private
        with self.client.request(
            request.method,
            base + request.path,
            name=request.name,
            data=request.body or None,
            headers=stage.headers(request),
            allow_redirects=False,
            catch_response=True,
        ) as answer:
            took = (stage.pump.now - arrival.due) * 1000
            answer.request_meta["response_time"] = took
            status = answer.status_code
            if request.kept:
                stage.recorder.kept(status)
            if status in request.expected:
                stage.recorder.answered(request.name, arrival.due, took)
                answer.success()
                return answer
            reason = f"{request.name}: {status or type(answer.error).__name__}"
            stage.recorder.failed(request.name, arrival.due, reason)
            answer.failure(reason)
        return None

    def click(self, request: Request, arrival: Arrival) -> str:
        """A click, and the token that it was given; "" without one."""
        answer = self.send(request, arrival)
        location = answer.headers.get("location", "") if answer is not None else ""
        token = str(location.rpartition("start=")[2]) if "start=" in location else ""
        if token:
            self.stage.tokens.append(token)
        return token
