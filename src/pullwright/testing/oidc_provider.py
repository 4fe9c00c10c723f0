"""A scripted OpenID Connect provider: real HTTP, real signatures, and every lie that a test wants told.

It signs in whoever `person` is, without asking anybody: `visit` and `leave` are the browser's part at the provider, and
what its pages do.
"""

import base64
import hashlib
import json
import secrets
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

from pullwright.testing.http_server import HttpServer, Reply, Request


@dataclass
class OidcProvider:
    """An issuer with one client. `claims` goes into ID tokens, over what would be right."""

    client_id: str = "pullwright"
    client_secret: str = "far-side secret"  # noqa: S105 - of a double
    redirect: str = ""  # the only redirect URI that is registered; empty: the first that comes
    person: dict[str, Any] = field(
        default_factory=lambda: {
            "sub": "248289761001",
            "preferred_username": "ada",
            "email": "ada@example.org",
            "email_verified": True,
            "groups": [],
        }
    )
    claims: dict[str, Any] = field(default_factory=dict)
    algorithm: str = "RS256"
    asked: list[str] = field(default_factory=list)  # paths, in order
    end: str | None = "/end?client=1"  # where one signs out, below its address or whole; None: nowhere
    issued: list[str] = field(default_factory=list)  # ID tokens, in order
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)
    _key: RSAKey = field(default_factory=lambda: _new_key())
    _signs: RSAKey | None = None
    _http: HttpServer | None = None

    @property
    def issuer(self) -> str:
        """Its name, which is its address."""
        assert self._http is not None
        return self._http.url

    async def __aenter__(self) -> Self:
        """Begin to serve."""
        self._http = HttpServer(self._answer)
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""
        assert self._http is not None
        await self._http.__aexit__(kind, error, trace)

    def turn_key(self) -> None:
        """Sign with a new key, and publish it."""
        self._key = _new_key()

    def forge_key(self) -> None:
        """Sign with a key that is published nowhere, under the name of the one that is."""
        self._signs = _new_key(str(self._key.kid))

    def visit(self, address: str) -> str:
        """What a browser does that is sent here and whose person signs in: the address that it is sent back to."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        self.redirect = self.redirect or asked["redirect_uri"]
        if asked["client_id"] != self.client_id or asked["redirect_uri"] != self.redirect:
            raise ValueError(f"not a client with that redirect URI: {asked['redirect_uri']}")
        if asked["response_type"] != "code" or asked["code_challenge_method"] != "S256":
            raise ValueError("not the code flow with PKCE")
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state'], 'iss': self.issuer})}"

    def leave(self, address: str) -> str:
        """What a browser does that is sent here to sign out: the address that it is sent back to."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        if asked.get("client_id") != self.client_id or asked.get("id_token_hint") not in self.issued:
            raise ValueError("not a session of that client")
        return f"{asked['post_logout_redirect_uri']}?{urlencode({'state': asked['state']})}"

    async def _answer(self, request: Request) -> Reply:
        self.asked.append(request.path)
        match request.path:
            case "/.well-known/openid-configuration":
                return _json(self._about())
            case "/keys":
                return _json({"keys": [self._key.as_dict(private=False)]})
            case "/token" if request.method == "POST":
                return self._token(request)
            case "/authorize" | "/end":
                here = f"{self.issuer}{request.path}?{request.query}"
                try:
                    there = self.visit(here) if request.path == "/authorize" else self.leave(here)
                except ValueError as error:
                    return _json({"error": str(error)}, 400)
                return Reply(302, headers={"location": there})
        return _json({"error": "not_found"}, 404)

    def _about(self) -> dict[str, Any]:
        end = f"{self.issuer}{self.end}" if self.end and self.end.startswith("/") else self.end
        return ({} if end is None else {"end_session_endpoint": end}) | {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }

    def _token(self, request: Request) -> Reply:
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        if request.basic != (self.client_id, self.client_secret):
            return _json({"error": "invalid_client"}, 401)
        asked = self._codes.pop(form.get("code", ""), None)  # a code is good once
        if asked is None or form.get("redirect_uri") != asked["redirect_uri"]:
            return _json({"error": "invalid_grant", "error_description": "the code is not known"}, 400)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if challenge.decode().rstrip("=") != asked["code_challenge"]:
            return _json({"error": "invalid_grant", "error_description": "the verifier does not fit"}, 400)
        moment = int(time.time())
        right = {"iss": self.issuer, "aud": self.client_id, "iat": moment, "exp": moment + 300, "nonce": asked["nonce"]}
        claims = {name: value for name, value in (right | self.person | self.claims).items() if value is not None}
        self.issued.append(self._id_token(claims))
        return _json({"access_token": "opaque", "token_type": "Bearer", "id_token": self.issued[-1]})

    def _id_token(self, claims: dict[str, Any]) -> str:
        if self.algorithm == "none":
            parts = [json.dumps(part).encode() for part in ({"alg": "none"}, claims)]
            return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts) + "."
        key = self._signs or self._key
        return jwt.encode({"alg": self.algorithm, "kid": self._key.kid}, claims, key, algorithms=[self.algorithm])


def _new_key(kid: str | None = None) -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": kid or secrets.token_hex(4)}, private=True)


def _json(body: Any, status: int = 200) -> Reply:  # noqa: ANN401
    return Reply(status, json.dumps(body).encode(), {"content-type": "application/json"})
