"""The group of commands `trilha privacy`."""

import typer

from cli.access_log import access_log
from cli.record import record
from cli.retention import retention
from cli.stored import audit, doctor, incident
from cli.subject import erase, export

privacy = typer.Typer(
    help="The data subject's rights (LGPD), what is stored, and until when.", no_args_is_help=True
)
for command in (export, erase, doctor, incident, audit, retention, record):
    privacy.command()(command)
privacy.command("access-log")(access_log)
