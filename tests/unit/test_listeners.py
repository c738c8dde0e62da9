"""Sockets that a service manager hands over: taken by name, or refused with a word on how to mend it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from daemon import listeners
from daemon.listeners import take_over
from domain.errors import ConfigError
from runtime.settings import Bind

KNOWN = {"public", "private"}
NOWHERE = Bind(host="127.0.0.1", port=0)


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Two listening sockets and one that is connected to nothing, on descriptors that follow each other."""
    first = 200
    made = [socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0)), socket.socket()]
    for place, each in enumerate(made, first):
        os.dup2(each.fileno(), place)
        each.close()
    monkeypatch.setattr(listeners, "FIRST_DESCRIPTOR", first)
    yield [first, first + 1, first + 2]
    for place in range(first, first + 3):
        try:
            os.close(place)
        except OSError:
            continue


def said(count: int, names: str | None = None, pid: int | None = None) -> dict[str, str]:
    variables = {"LISTEN_PID": str(pid or os.getpid()), "LISTEN_FDS": str(count)}
    return variables if names is None else variables | {"LISTEN_FDNAMES": names}


def test_sockets_are_taken_by_their_names_and_are_somebody_elses_to_keep(handed: list[int]) -> None:
    over = take_over(said(2, "public:private"), KNOWN)
    public = over.listener("public", NOWHERE, "X")
    assert (public.kept, [each.fileno() for each in public.sockets]) == (True, [handed[0]])
    assert not os.get_inheritable(handed[0])
    for each in (*public.sockets, *over.listener("private", NOWHERE, "X").sockets):
        each.close()


def test_two_sockets_of_one_name_are_one_listener(handed: list[int]) -> None:
    """A .socket unit with two ListenStream lines, for IPv4 and IPv6."""
    found = take_over(said(2, "public:public"), KNOWN).listener("public", NOWHERE, "X")
    assert len(found.sockets) == 2
    for each in found.sockets:
        each.close()


def test_a_name_that_was_not_handed_over_is_a_socket_of_our_own() -> None:
    found = take_over({}, KNOWN).listener("public", NOWHERE, "X")
    assert not found.kept
    found.sockets[0].close()


def test_sockets_for_another_process_are_left_alone(handed: list[int]) -> None:
    over = take_over(said(2, "public:private", pid=1), KNOWN)
    assert "public" not in over


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        (said(1, "trilha.socket"), "FileDescriptorName=private or FileDescriptorName=public"),
        (said(1), "FileDescriptorName"),
        (said(2, "public"), "LISTEN_FDNAMES names 1"),
        (said(0, ""), "not a number from 1"),
        ({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "two"}, "not a number from 1"),
        (said(3, "public:private:public"), "does not listen for TCP"),
        (said(4, "public:private:private:public"), "does not listen|cannot be used"),
    ],
)
def test_bad_input_is_an_error_that_says_how_to_mend_it(
    handed: list[int], variables: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        take_over(variables, KNOWN)
