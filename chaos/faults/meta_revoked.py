"""The pixel's access token is revoked, until the operator gives Trilha another one."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

from chaos.stage.home import PIXEL
from chaos.stage.stage import Stage
from chaos.stage.trilha import ROOT

SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaRevoked:
    """Every call is answered 190/463, which no waiting mends."""

    says: str = "the pixel's token is revoked"

    def begin(self, stage: Stage) -> None:
        """As of the next call."""
        stage.the_meta.order("revoke", pixel=PIXEL)

    def end(self, stage: Stage) -> None:
        """Meta gives out a new token, and the operator hands it over with `trilha pixel token`."""
        command = [sys.executable, "-m", "cli.main", "pixel", "token", PIXEL, "--token-file", "-"]
        subprocess.run(
            command,
            cwd=ROOT,
            env=stage.environment(),
            input=stage.the_meta.renew().encode(),
            stdout=subprocess.DEVNULL,
            check=True,
            timeout=SECONDS,
        )
