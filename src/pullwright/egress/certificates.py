"""The certificates that a sandbox trusts: this machine's, and its own authority's."""

import contextlib
import os
import re
import secrets
from pathlib import Path

from pullwright.egress.clients import INSIDE, INSIDE_JAVA, INSIDE_WGET, JAVA_PASSWORD

_OURS = re.compile(r"(\d+)-[0-9a-f]+\.(?:pem|p12|wgetrc)")


class Bundles:
    """Files below one directory, each for one sandbox and gone with it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._swept = False

    def make(self, machine: Path | None, authority: str) -> dict[str, Path]:
        """The places inside and the files: one for whatever reads PEM, one for Java, and where wget finds the first."""
        self._sweep()
        trusted = machine.read_text(errors="replace") if machine else ""
        stem = self._folder / f"{os.getpid()}-{secrets.token_hex(6)}"
        suffixes = {INSIDE: ".pem", INSIDE_JAVA: ".p12", INSIDE_WGET: ".wgetrc"}
        made = {inside: stem.with_suffix(suffix) for inside, suffix in suffixes.items()}
        made[INSIDE].write_text(f"{trusted.rstrip()}\n{authority}")
        made[INSIDE_JAVA].write_bytes(_for_java(f"{trusted}\n{authority}"))
        made[INSIDE_WGET].write_text(f"ca_certificate = {INSIDE}\n")
        for path in made.values():
            path.chmod(0o644)
        return made

    def drop(self, made: dict[str, Path]) -> None:
        """Remove them."""
        for path in made.values():
            path.unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Remove what a process that is no more has left."""
        if self._swept:
            return
        self._swept = True
        self._folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        for path in self._folder.iterdir():
            if (name := _OURS.fullmatch(path.name)) and not Path("/proc", name[1]).exists():
                with contextlib.suppress(OSError):
                    path.unlink()


def _for_java(text: str) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

    blocks = re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", text, re.DOTALL)
    certificates = []
    for number, block in enumerate(blocks):
        with contextlib.suppress(ValueError):
            certificate = x509.load_pem_x509_certificate(block.encode())
            certificates.append(pkcs12.PKCS12Certificate(certificate, b"%d" % number))
    return pkcs12.serialize_java_truststore(certificates, BestAvailableEncryption(JAVA_PASSWORD.encode()))
