"""What `ticketstub doctor` finds out without the network: this computer's software, proxy, authorities and sign-ins.

Rule: each check returns what it found as a sentence, and what to do about it. No sentence contains a token, or the user
name or password of a proxy. A check that fails ends no other one.
"""

from __future__ import annotations

import os
import platform
import ssl
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from ticketstub import __version__
from ticketstub.cli import formatting, prompts, sign_ins
from ticketstub.cli.errors import CommandError, InvalidUsage
from ticketstub.errors import CredentialsError, Unreachable
from ticketstub.messages import Origin

if TYPE_CHECKING:
    from ticketstub import AddressReport
    from ticketstub.cli.sign_ins import StoredSignIn
    from ticketstub.credentials import Entry

CheckState = Literal["ok", "warning", "problem", "skipped"]

_FIXED_SQLITE = (3, 51, 3)
_AUTHORITY_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_PROXY_VARIABLES = ("HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


class Diagnosis(NamedTuple):
    """What a check found.

    `state`: `ok`, `warning` (something may not work), `problem` (something does not), or `skipped`. `finding`: what was
    found. `advice`: what to do, or `None`. `addresses`: for a media server, what became of each address.
    """

    name: str
    state: CheckState
    finding: str
    advice: str | None = None
    addresses: tuple[AddressReport, ...] = ()


def check_versions() -> Diagnosis:
    """Say which versions of Ticketstub, Python and OpenSSL run."""
    return Diagnosis(
        "versions",
        "ok",
        f"Ticketstub {__version__}, Python {platform.python_version()} on {platform.system()}, {ssl.OPENSSL_VERSION}",
    )


def check_sqlite() -> Diagnosis:
    """Check the version of SQLite, which only the local Plex uses."""
    from ticketstub.local_plex.storage.base import get_sqlite_version

    try:
        version = get_sqlite_version()
    except ImportError:
        return Diagnosis("SQLite", "warning", "this Python has none, so a local Plex cannot run here")
    if tuple(map(int, version.split("."))) >= _FIXED_SQLITE:
        return Diagnosis("SQLite", "ok", version)
    note = "before 3.51.3, many writers at once could damage a database, very rarely; only `serve --db` keeps one"
    return Diagnosis("SQLite", "ok", f"{version} ({note})")


def check_authorities() -> Diagnosis:
    """Check that there are authorities to check certificates with."""
    from ticketstub.client.transports.dial import create_default_ssl_context

    name = "certificates"
    set_variables = [variable for variable in _AUTHORITY_VARIABLES if os.environ.get(variable)]
    for variable in set_variables:
        if not os.path.exists(os.environ[variable]):  # noqa: PTH110  # `Path.exists` may raise a PermissionError
            advice = f"correct {variable}, or unset it to use this computer's own authorities"
            return Diagnosis(name, "problem", f"{variable} names a place that does not exist", advice)
    context, paths = create_default_ssl_context(), ssl.get_default_verify_paths()
    if file := os.environ.get("SSL_CERT_FILE"):
        try:
            context.load_verify_locations(cafile=file)
        except OSError:  # SSLError, too
            advice = "name a file with certificates in PEM format"
            return Diagnosis(name, "problem", "SSL_CERT_FILE names a file without certificates", advice)
    count = context.cert_store_stats()["x509_ca"]
    has_folder = False
    with suppress(OSError):  # those of a folder are loaded when they are needed
        has_folder = bool(paths.capath) and any(Path(paths.capath).iterdir())
    if not count and not has_folder:
        advice = (
            "install your system's package ca-certificates, on macOS run Python's “Install Certificates.command”, "
            "or name a file of authorities in SSL_CERT_FILE"
        )
        return Diagnosis(name, "problem", "this Python knows none: no certificate can be checked", advice)
    found = str(count) if count else f"those in {paths.capath}"
    variables = f" (set: {', '.join(set_variables)})" if set_variables else ""
    return Diagnosis(name, "ok", f"trusted authorities: {found}{variables}")


def check_proxy(origin: Origin) -> Diagnosis:
    """Say which proxy is used for plex.tv, or for a local Plex."""
    from ticketstub.client.transports.dial import find_proxy

    is_set = [name for name in _PROXY_VARIABLES if os.environ.get(name) or os.environ.get(name.lower())]
    try:
        proxy = find_proxy(origin)
    except Unreachable as error:
        return Diagnosis("proxy", "problem", error.message, error.hint)
    if proxy:
        credentials = ", with a user name or password" if proxy.authorization else ""
        return Diagnosis("proxy", "ok", f"{origin} is reached through {proxy.origin}{credentials}")
    if is_set:
        return Diagnosis("proxy", "ok", f"no proxy is used for {origin} (set: {', '.join(is_set)})")
    return Diagnosis("proxy", "ok", "none is set")


def check_keyring(entry: Entry) -> Diagnosis:
    """Say whether sign-ins are stored in the keyring."""
    from ticketstub.credentials import is_keyring_available

    try:
        keyring, _ = sign_ins.open_stores()
        notes = keyring.list_notes()
        if is_keyring_available():
            place = keyring.describe_location(*entry).partition(", as ")[0]
            return Diagnosis("keyring", "ok", f"new sign-ins are stored {place}")
    except (CommandError, CredentialsError) as error:
        return Diagnosis("keyring", "problem", error.message, error.hint)
    if notes:
        advice = "unlock it, or sign in again: ticketstub login --storage file"
        return Diagnosis("keyring", "problem", f"it cannot be used, and has {len(notes)} of your sign-ins", advice)
    return Diagnosis("keyring", "ok", "there is none, so sign-ins are stored in files that only you can read")


def check_folder() -> Diagnosis:
    """Check that the folder of the sign-ins' files can be written by its user, and by nobody else."""
    try:
        _, files = sign_ins.open_stores()
    except CommandError as error:
        return Diagnosis("files", "problem", error.message, error.hint)
    folder = files.directory
    if not files.is_writable():
        advice = "set HOME to a folder that you can write, or change the permissions"
        return Diagnosis("files", "problem", f"no sign-in can be stored in {folder}", advice)
    if not folder.exists():
        return Diagnosis("files", "ok", f"none yet; they will be in {folder}")
    mode = stat.S_IMODE(folder.stat().st_mode)
    if os.name == "posix" and mode & 0o077:
        state: CheckState = "problem" if mode & 0o022 else "warning"
        action = "write" if mode & 0o022 else "read"
        return Diagnosis("files", state, f"other users can {action} {folder}", f"chmod 700 {folder}")
    return Diagnosis("files", "ok", f"in {folder}, which only you can read")


def check_sign_ins() -> list[Diagnosis]:
    """Say of each stored sign-in what kind of token it has, and when that ends; and what the environment has."""
    try:
        stored = sign_ins.load_all(sign_ins.APP)
    except (CommandError, CredentialsError) as error:
        found = [Diagnosis("sign-ins", "problem", error.message, error.hint)]
    else:
        found = [_describe_sign_in(one) for one in stored]
    if os.environ.get(prompts.TOKEN_VARIABLE, "").strip():
        found.append(_describe_given_token())
    return found or [Diagnosis("sign-ins", "skipped", "none is stored", "sign in: ticketstub login")]


def _describe_sign_in(stored: StoredSignIn) -> Diagnosis:
    credential = stored.credential
    name, now = f"sign-in {stored.name}", time.time()
    kind = f"at {credential.issuer}, {credential.token.kind if credential.token else 'no'} token"
    if credential.signed_out_at is not None:
        command = sign_ins.format_command("logout", credential.entry)
        return Diagnosis(name, "warning", f"{kind}; you signed out, but Plex could not be reached", f"run {command}")
    finding = f"{kind}; expires: {formatting.format_expiry(credential, now)}"
    is_over = credential.expires_at is not None and credential.expires_at <= now and credential.device_key is None
    if is_over or credential.token is None:
        command = sign_ins.format_command("login", credential.entry)
        return Diagnosis(name, "problem", finding, f"sign in again: {command}")
    return Diagnosis(name, "ok", finding)


def _describe_given_token() -> Diagnosis:
    try:
        token = prompts.read_token(read_input=False)
    except InvalidUsage as error:
        return Diagnosis(prompts.TOKEN_VARIABLE, "problem", error.message)
    kind = token.kind if token else "unknown"
    return Diagnosis(prompts.TOKEN_VARIABLE, "ok", f"{kind} token; it is used unless --profile is given")
