"""Hosts of the internet as tests and benchmarks need them: web servers on this machine's loopback, under any name.

An `Internet` is a resolver that knows made-up names, a certificate authority that vouches for them, and the servers.
"""

import asyncio
import datetime
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import h11
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pullwright.domain.network import Address


@dataclass(frozen=True)
class Asked:
    """A request as it reached the server."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    server_name: str | None


@dataclass(frozen=True)
class Answer:
    """What the server says."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Asked], Answer | Awaitable[Answer]]


def files(tree: Mapping[str, bytes], kinds: Mapping[str, str] | None = None) -> Handler:
    """A server of files by their path; `kinds` gives endings a content type."""

    def serve(asked: Asked) -> Answer:
        path = asked.target.partition("?")[0]
        if path not in tree:
            return Answer(404, b"no such file\n")
        kind = next((kind for ending, kind in (kinds or {}).items() if path.endswith(ending)), "text/html")
        return Answer(body=tree[path], headers={"Content-Type": kind})

    return serve


class LocalInternet:
    """Made-up names on this machine's loopback."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = folder / "authority.pem"
        self.addresses: dict[str, list[str]] = {}
        self.looked_up: list[str] = []
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Tests")])
        self._certificate = _certificate(self._name, self._name, self._key, self._key, [])
        self.authority.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    async def resolve(self, host: str, port: int) -> list[Address]:  # noqa: ARG002
        """A resolver: the addresses of a made-up name, one after the other where there are several sets."""
        self.looked_up.append(host)
        if host not in self.addresses:
            raise OSError(f"{host} is not known")
        return [ipaddress.ip_address(address) for address in self.addresses[host]]

    @asynccontextmanager
    async def server(
        self, *names: str, handler: Handler = lambda _: Answer(body=b"hello\n"), tls: bool = True, port: int = 0
    ) -> AsyncIterator["Origin"]:
        """A web server of these names."""
        for name in names:
            self.addresses.setdefault(name, ["127.0.0.1"])
        origin = Origin(handler)
        context = self.context(names) if tls else None
        if context:
            context.sni_callback = origin.named
        server = await asyncio.start_server(origin.serve, "127.0.0.1", port, ssl=context, backlog=256)
        origin.port = server.sockets[0].getsockname()[1]
        try:
            yield origin
        finally:
            server.close()
            origin.close()

    def context(self, names: tuple[str, ...]) -> ssl.SSLContext:
        """What a server of these names speaks TLS with."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        certificate = _certificate(subject, self._name, key, self._key, list(names))
        file = self.folder / f"{names[0]}.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


class Origin:
    """One server: what it was asked, and what it answers."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.asked: list[Asked] = []
        self.connections = 0
        self.port = 0
        self._server_name: str | None = None
        self._jobs: set[asyncio.Task[None]] = set()

    def named(self, sock: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:  # noqa: ARG002
        """Hear the server name of a connection that begins."""
        self._server_name = name

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        job = asyncio.current_task()
        if job is not None:
            self._jobs.add(job)
        self.connections += 1
        name = self._server_name
        try:
            await self._requests(reader, writer, name)
        except (OSError, h11.ProtocolError, asyncio.CancelledError):
            pass
        finally:
            if job is not None:
                self._jobs.discard(job)
            writer.close()

    def close(self) -> None:
        """End what is under way."""
        for job in list(self._jobs):
            job.cancel()

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str | None) -> None:
        wire = h11.Connection(h11.SERVER)
        request, body = None, b""
        while True:
            event = wire.next_event()
            if event is h11.NEED_DATA:
                if wire.they_are_waiting_for_100_continue:
                    go_on = wire.send(h11.InformationalResponse(status_code=100, headers=[]))
                    writer.write(go_on or b"")
                wire.receive_data(await reader.read(65536))
            elif isinstance(event, h11.Request):
                request, body = event, b""
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage) and request is not None:
                headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in request.headers}
                asked = Asked(request.method.decode(), request.target.decode("latin-1"), headers, body, name)
                self.asked.append(asked)
                answer = self.handler(asked)
                if not isinstance(answer, Answer):
                    answer = await answer
                await _answer(wire, writer, answer)
                if wire.our_state is not h11.DONE or wire.their_state is not h11.DONE:
                    return
                wire.start_next_cycle()
            else:
                return


async def _answer(wire: h11.Connection, writer: asyncio.StreamWriter, answer: Answer) -> None:
    headers = [*answer.headers.items(), ("Content-Length", str(len(answer.body)))]
    parts = (
        h11.Response(status_code=answer.status, headers=headers, reason=b"OK"),
        h11.Data(data=answer.body),
        h11.EndOfMessage(),
    )
    for part in parts:
        writer.write(wire.send(part) or b"")
    await writer.drain()


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, signer: ec.EllipticCurvePrivateKey,
    names: list[str],
) -> x509.Certificate:  # fmt: skip
    moment = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - datetime.timedelta(days=1))
        .not_valid_after(moment + datetime.timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=not names, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if names:
        general = [x509.DNSName(name) for name in names]
        builder = builder.add_extension(x509.SubjectAlternativeName(general), critical=False)
    return builder.sign(signer, hashes.SHA256())


def free_port() -> int:
    """A port of the loopback that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
