"""What an administrator enters for an EHR: asked for where somebody is there, checked, and kept where it belongs."""

import asyncio
import sys
from typing import Any, NoReturn

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from service_runtime.secrets import SecretError
from service_runtime.settings import VaultSettings
from service_runtime.vault_store import connect_secret_store

from facade.ehr.client_authentication import client_secret_path
from facade.ehr.registration import Ehr

__all__ = ["asked", "cds_client_of", "client_secret", "keep_secret", "stop", "validated"]


def validated(console: Console, values: dict[str, Any]) -> Ehr:
    try:
        return Ehr.model_validate(values)
    except ValidationError as error:
        for one in error.errors(include_url=False, include_input=False):
            place = ".".join(str(part) for part in one["loc"]) or "registration"
            console.print(f"[red]wrong[/] {escape(place)}: {escape(one['msg'].removeprefix('Value error, '))}")
        raise typer.Exit(2) from None


def asked(value: str | None, option: str, prompt: str) -> str:
    """Return ``value``, or ask for it where somebody is there to answer."""
    if value is not None:
        return value
    if not sys.stdin.isatty():
        raise typer.BadParameter("is needed", param_hint=option)
    answer: str = typer.prompt(prompt)
    return answer


def cds_client_of(text: str) -> dict[str, str]:
    issuer, separator, jwks_uri = text.rpartition("=")
    if not separator:
        raise typer.BadParameter("must be ISS=JWKS_URI", param_hint="--cds-client")
    return {"issuer": issuer, "jwks_uri": jwks_uri}


def client_secret(console: Console, from_stdin: bool) -> str:
    """Return the client secret; it is never an argument, which every user of the machine could see."""
    if from_stdin:
        secret = sys.stdin.readline().rstrip("\r\n")
    elif sys.stdin.isatty():
        secret = typer.prompt("Client secret", hide_input=True)
    else:
        secret = ""
    if not secret:
        stop(console, "A confidential-symmetric client needs its secret: answer the prompt or use --secret-stdin.")
    return secret


def keep_secret(console: Console, ehr_id: str, secret: str) -> None:
    store = connect_secret_store(VaultSettings())
    try:
        asyncio.run(store.write(client_secret_path(ehr_id), {"secret": secret}))
    except SecretError as error:
        stop(console, f"The secret store did not take the client secret ({type(error).__name__}).")


def stop(console: Console, words: str) -> NoReturn:
    console.print(words, markup=False)
    raise typer.Exit(1)
