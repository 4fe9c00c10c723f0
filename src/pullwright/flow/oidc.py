"""Signing in at somebody else's: OpenID Connect's code flow with PKCE.

The claims of an ID token are validated by authlib, its signature by joserfc, against the keys that the issuer publishes
(https://openid.net/specs/openid-connect-core-1_0.html, RFC 7636, RFC 9207, RFC 9700). Every sign-in that was begun is
written down, ends once, within ten minutes, in the browser that began it.
"""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pullwright.domain.access import SignIn, digest
from pullwright.domain.errors import ConfigurationError, SignInRefused, SignInUnavailable
from pullwright.domain.value import now
from pullwright.settings import SignInSettings
from pullwright.store.record import Record

if TYPE_CHECKING:
    import httpx

CALLBACK = "/api/v1/session/oidc/callback"
ENDED = "/api/v1/session/oidc/ended"
MINUTES = 10
SECONDS = 15.0  # of one question to the issuer
LEEWAY = 60  # seconds that clocks may differ
SECRET = ("house", "oidc-client-secret")  # scope and name in the vault, where no variable holds it
_KNOWN_SECONDS = 600.0
_MOST_BYTES = 512 * 1024
_LONGEST_HINT = 4096  # it travels in an address, and servers take those of about 8000
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")


@dataclass(frozen=True)
class Claims:
    """What an issuer says of somebody who has signed in there, checked."""

    issuer: str
    subject: str
    email: str | None  # only where the issuer says that it is verified
    unverified: bool  # there is an address that nobody has verified
    name: str | None
    groups: frozenset[str]
    token: str  # the ID token that says so


@dataclass
class Issuer:
    """An issuer that people sign in at, as its own document describes it."""

    settings: SignInSettings
    _known: dict[str, tuple[Any, float]] = field(default_factory=dict)

    async def begin(self, record: Record, redirect: str, back: str) -> tuple[str, str]:
        """Where to send a browser, and what it is to be known by when it comes back."""
        from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
        from authlib.oauth2.rfc7636 import create_s256_code_challenge

        about = await self._about()
        state, nonce, browser, verifier = (secrets.token_urlsafe(32) for _ in range(4))
        begun = SignIn(
            state=digest(state),
            browser=digest(browser),
            nonce=nonce,
            verifier=verifier,
            redirect=redirect,
            back=back,
            expires=now() + timedelta(minutes=MINUTES),
        )
        await record.people.begin_sign_in(begun)
        address = prepare_grant_uri(
            about["authorization_endpoint"],
            client_id=self.settings.client_id,
            response_type="code",
            redirect_uri=redirect,
            scope=self.settings.scopes,
            state=state,
            nonce=nonce,
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
        )
        return address, browser

    async def finish(
        self, record: Record, *, state: str, browser: str | None, code: str, issuer: str | None
    ) -> tuple[Claims, str]:
        """Who has signed in, and where they came from. Raises `SignInRefused` where anything does not fit."""
        begun = await record.people.end_sign_in(digest(state), now())
        if begun is None or browser is None or digest(browser) != begun.browser:
            raise SignInRefused(
                "this sign-in was not begun in this browser, has ended, or is too old; begin it again", "stale"
            )
        about = await self._about()
        named = about.get("authorization_response_iss_parameter_supported")
        if (issuer is None and named) or issuer not in (None, self.settings.issuer):
            raise SignInRefused(
                f"the answer comes from another issuer than {self.settings.issuer}; begin again", "unfit"
            )
        tokens = await self._exchange(record, about, begun, code)
        checked = await self._checked(about, begun, tokens)
        return self._claims(checked, str(tokens["id_token"])), begun.back

    async def way_out(self, hint: str | None, back: str, state: str) -> str | None:
        """Where a browser ends its session at the issuer, too; None where the issuer has no such place.

        https://openid.net/specs/openid-connect-rpinitiated-1_0.html. Raises `SignInUnavailable`.
        """
        from authlib.common.urls import add_params_to_uri

        endpoint = (await self._about()).get("end_session_endpoint")
        if not isinstance(endpoint, str) or not _safe(endpoint, self.settings.issuer):
            return None
        asked = {"client_id": self.settings.client_id, "post_logout_redirect_uri": back, "state": state}
        if hint is not None and len(hint) <= _LONGEST_HINT:
            asked["id_token_hint"] = hint
        address: str = add_params_to_uri(endpoint, asked.items())
        return address

    async def _about(self) -> Any:  # noqa: ANN401 - JSON
        """The issuer's own description (https://openid.net/specs/openid-connect-discovery-1_0.html)."""
        known, until = self._known.get("about", (None, 0.0))
        if time.monotonic() < until:
            return known
        issuer = self.settings.issuer
        about = await self._ask("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if about.get("issuer") != issuer:
            raise ConfigurationError(
                f"PULLWRIGHT_OIDC_ISSUER: {issuer} calls itself {str(about.get('issuer'))[:200]!r}; write it so"
            )
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if not _safe(str(about.get(name)), issuer):
                raise ConfigurationError(f"PULLWRIGHT_OIDC_ISSUER: the {name} of {issuer} is no https address")
        self._known["about"] = (about, time.monotonic() + _KNOWN_SECONDS)
        return about

    async def _exchange(self, record: Record, about: Mapping[str, Any], begun: SignIn, code: str) -> dict[str, Any]:
        """The tokens that the code stands for."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": begun.redirect,
            "code_verifier": begun.verifier,
            "client_id": self.settings.client_id,
        }
        kept = self.settings.client_secret
        secret = kept.get_secret_value() if kept else await record.secret(*SECRET)
        methods = about.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        basic = None
        if secret is not None and "client_secret_basic" in methods:
            basic = (self.settings.client_id, secret)
        elif secret is not None:
            form["client_secret"] = secret
        found: dict[str, Any] = await self._ask("POST", about["token_endpoint"], form, basic)
        return found

    async def _checked(self, about: Mapping[str, Any], begun: SignIn, tokens: Mapping[str, Any]) -> dict[str, Any]:
        """The claims of the ID token: signed by the issuer, for us, now, and for this sign-in."""
        from authlib.oidc.core import CodeIDToken
        from joserfc.errors import JoseError

        try:
            token = await self._signed(about, str(tokens.get("id_token", "")))
            claims = CodeIDToken(
                token.claims,
                token.header,
                {
                    "iss": {"essential": True, "value": self.settings.issuer},
                    "aud": {"essential": True, "value": self.settings.client_id},
                    "nonce": {"essential": True, "value": begun.nonce},
                },
                {
                    "nonce": begun.nonce,
                    "client_id": self.settings.client_id,
                    "access_token": tokens.get("access_token"),
                },
            )
            claims.validate(leeway=LEEWAY)
        except (JoseError, ValueError, TypeError) as error:
            said = str(error) or type(error).__name__
            raise SignInRefused(
                f"what {self.settings.issuer} signed does not fit this sign-in ({said}); begin again", "unfit"
            ) from error
        return dict(token.claims)

    async def _signed(self, about: Mapping[str, Any], text: str) -> Any:  # noqa: ANN401
        """The ID token, its signature checked; keys that are not known yet are asked for once."""
        from joserfc import jwt
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        known, until = self._known.get("keys", (None, 0.0))
        if known is not None and time.monotonic() < until:
            try:
                return jwt.decode(text, known, algorithms=list(_ALGORITHMS))
            except (JoseError, ValueError):
                pass  # the issuer may have new keys
        keys = KeySet.import_key_set(await self._ask("GET", about["jwks_uri"]))
        self._known["keys"] = (keys, time.monotonic() + _KNOWN_SECONDS)
        return jwt.decode(text, keys, algorithms=list(_ALGORITHMS))

    def _claims(self, claims: Mapping[str, Any], token: str) -> Claims:
        subject, email = claims.get("sub"), claims.get("email")
        if not isinstance(subject, str) or not 0 < len(subject) <= 255:
            raise SignInRefused(f"{self.settings.issuer} does not say who has signed in", "unfit")
        given = email.lower() if isinstance(email, str) and 0 < len(email) <= 320 else None
        verified = claims.get("email_verified") is True or claims.get("email_verified") == "true"
        groups = claims.get(self.settings.groups_claim)
        named = [groups] if isinstance(groups, str) else groups if isinstance(groups, list) else []
        name = claims.get("preferred_username")
        return Claims(
            issuer=self.settings.issuer,
            subject=subject,
            email=given if verified else None,
            unverified=given is not None and not verified,
            name=name if isinstance(name, str) else None,
            groups=frozenset(one for one in named if isinstance(one, str)),
            token=token,
        )

    async def _ask(
        self, method: str, url: str, form: Mapping[str, str] | None = None, basic: tuple[str, str] | None = None
    ) -> Any:  # noqa: ANN401 - JSON
        import httpx

        issuer = self.settings.issuer
        try:
            async with (
                httpx.AsyncClient(timeout=SECONDS, follow_redirects=False, auth=basic) as client,
                client.stream(method, url, data=form, headers={"accept": "application/json"}) as answer,
            ):
                body = await _read(answer)
        except httpx.HTTPError as error:
            raise SignInUnavailable(f"{issuer} cannot be reached: {str(error) or type(error).__name__}") from error
        try:
            said = _json(body)
        except ValueError as error:
            raise SignInUnavailable(f"{issuer} answered {answer.status_code} and no JSON to {url}") from error
        if answer.status_code in (400, 401) and method == "POST":
            why = str(said.get("error_description") or said.get("error") or "no reason given")[:300]
            ours = said.get("error") in ("invalid_client", "unauthorized_client")
            raise SignInRefused(
                f"{issuer} does not take the sign-in ({why}); begin again", "misconfigured" if ours else "unfit"
            )
        if not answer.is_success:
            raise SignInUnavailable(f"{issuer} answered {answer.status_code} to {url}")
        return said


async def _read(answer: "httpx.Response") -> bytes:
    body = b""
    async for piece in answer.aiter_bytes():
        body += piece
        if len(body) > _MOST_BYTES:
            raise SignInUnavailable(f"the issuer's answer is longer than {_MOST_BYTES} bytes")
    return body


def _json(body: bytes) -> dict[str, Any]:
    from pydantic_core import from_json

    said = from_json(body)
    if not isinstance(said, dict):
        raise ValueError("no object")
    return said


def _safe(url: str, issuer: str) -> bool:
    """https; or http where the issuer itself is reached by it, which its setting allows on loopback only."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and issuer.startswith("http://"))
    )
