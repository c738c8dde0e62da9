"""The proxies' configurations of deploy/, run by the real nginx and the real Caddy in front of a daemon."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from chaos.servers import HOST, free_port
from domain.clock import SystemClock
from runtime.settings import load_settings
from tests.daemon_fixture import ANSWER_SECONDS, SLUG, Answer, Door, Site

DEPLOY = Path(__file__).parents[2] / "deploy"
VISITOR = "127.0.0.2"
SPOOFED = "203.0.113.77"
NAME, DASHBOARD = "go.example.com", "trilha.example.com"
TRUSTED = load_settings({"TRILHA_TRUSTED_PROXIES": f"{HOST}/32"}).trusted_proxies


def program(name: str) -> str:
    """A program of Debian's, or a failure that says how to get it: these tests are never left out."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if not found:
        pytest.fail(f"{name} is not installed, and this test runs it: apt-get install nginx-light caddy")
    return found


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for both names, and its key: what an authority would have given."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = SystemClock().now().replace(tzinfo=None) if hasattr(SystemClock(), "now") else None
    assert now is None
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
    )
    raise NotImplementedError(made, hashes, serialization, timedelta)
