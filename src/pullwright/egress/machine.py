"""How this machine itself reaches the internet: proxies, mirrors of package registries, certificates.

A company's machine is configured once, for everybody on it; a sandbox follows. Addresses go inside, logins do not.
"""

import base64
import configparser
import contextlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from pullwright.domain.errors import UsageError
from pullwright.domain.network import canonical

_SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Alpine, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",
)
_BUNDLE_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")

# Variables of package clients that hold one address, or several with spaces, commas or pipes between them.
_ADDRESSES = (
    "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL", "UV_INDEX",
    "UV_PYTHON_INSTALL_MIRROR", "NPM_CONFIG_REGISTRY", "YARN_REGISTRY", "YARN_NPM_REGISTRY_SERVER", "GOPROXY",
    "RUSTUP_DIST_SERVER", "RUSTUP_UPDATE_ROOT", "CARGO_REGISTRIES_CRATES_IO_INDEX", "BUNDLE_MIRROR__ALL",
)  # fmt: skip
_AS_THEY_ARE = ("GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GONOSUMCHECK", "GOFLAGS")
_WEB = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Relay:
    """A proxy between this machine and the internet."""

    host: str
    port: int
    authorization: str | None = None  # the value of Proxy-Authorization
    tls: bool = False  # whether it is spoken to over TLS

    @property
    def words(self) -> str:
        """Which it is, without its login."""
        return f"{self.host}:{self.port}{' over TLS' if self.tls else ''}"


@dataclass(frozen=True)
class Machine:
    """What was found."""

    proxies: Mapping[str, str] = field(default_factory=dict)  # scheme to address; `no` holds the exceptions
    variables: Mapping[str, str] = field(default_factory=dict)  # of package clients, without logins
    mirrors: tuple[str, ...] = ()  # rules that name the hosts of those variables
    logins: Mapping[str, str] = field(default_factory=dict)  # host:port to the value of Authorization
    certificates: Path | None = None  # the bundle that this machine trusts

    @classmethod
    def found(cls, env: Mapping[str, str], home: Path, system: Path = Path("/etc")) -> "Machine":
        """Read variables and the package clients' own files. What cannot be read is passed over."""
        variables = {**_npm(home, system), **_pip(env, home, system), **_uv(home, system)}
        variables |= {name: value for name, value in env.items() if name.upper() in _ADDRESSES and value}
        kept, mirrors, logins = {}, [], {}
        for name, value in variables.items():
            words = value.replace(",", " ").replace("|", " ").split()
            for word in words:
                if (parts := _web(word)) and (rule := _rule(parts)):
                    mirrors.append(rule)
                    if login := _login(parts):
                        logins[_place(parts)] = login
            text = " ".join(_without_login(word) for word in words if _web(word) or not word.startswith("file:"))
            separator = "," if "," in value else " "
            if text:
                kept[name] = text.replace(" ", separator)
        kept |= {name: env[name] for name in _AS_THEY_ARE if env.get(name)}
        return cls(_proxies(env), kept, tuple(dict.fromkeys(mirrors)), logins, _bundle(env))

    def words(self) -> str:
        """What was found, in one line; no login is in it."""
        relays = {relay.words for tls in (True, False) if (relay := self.relay("", tls=tls))}
        parts = [f"through the proxy {' and '.join(sorted(relays))}" if relays else "directly"]
        parts += [f"not through {kind}, which is not spoken here" for kind in self._unspoken()]
        parts += [f"packages from {', '.join(self.mirrors)}"] if self.mirrors else []
        parts.append(f"trusting {self.certificates}" if self.certificates else "no certificates found")
        return "; ".join(parts)

    def _unspoken(self) -> list[str]:
        """Proxies that are configured and cannot be followed, by their kind."""
        kinds = {urlsplit(address).scheme for scheme, address in self.proxies.items() if scheme != "no"}
        return sorted(f"its {kind} proxy" for kind in kinds - {*_WEB, ""} if kind)

    def relay(self, host: str, *, tls: bool) -> Relay | None:
        """The proxy that this machine is configured to reach a host by."""
        chosen = self.proxies.get("https" if tls else "http") or self.proxies.get("all")
        if not chosen or _is_exempt(host, self.proxies.get("no", "")):
            return None
        parts = urlsplit(chosen if "://" in chosen else f"http://{chosen}")
        if parts.scheme not in _WEB or not parts.hostname:
            return None
        tls = parts.scheme == "https"
        return Relay(parts.hostname, parts.port or (443 if tls else 3128), _login(parts), tls)


def _proxies(env: Mapping[str, str]) -> dict[str, str]:
    """As curl reads them: lower case wins, and HTTP_PROXY in capitals is what a web server makes of a header."""
    found = {}
    for scheme in ("http", "https", "all", "no"):
        value = env.get(f"{scheme}_proxy") or env.get(f"{scheme}_proxy".upper())
        if value:
            found[scheme] = value
    return found


def _is_exempt(host: str, exempt: str) -> bool:
    """Whether NO_PROXY names a host: itself, a domain above it, or everything."""
    names = [name.strip().lower().removeprefix("*").lstrip(".").partition(":")[0] for name in exempt.split(",")]
    return "*" in exempt.split(",") or any(name and (host == name or host.endswith(f".{name}")) for name in names)


def _bundle(env: Mapping[str, str]) -> Path | None:
    named = [env[name] for name in _BUNDLE_VARIABLES if env.get(name)]
    return next((Path(place) for place in (*named, *_SYSTEM_BUNDLES) if Path(place).is_file()), None)


def _pip(env: Mapping[str, str], home: Path, system: Path) -> dict[str, str]:
    found = {}
    places = (system / "pip.conf", system / "xdg/pip/pip.conf", home / ".pip/pip.conf", home / ".config/pip/pip.conf")
    for place in (*places, *([Path(env["PIP_CONFIG_FILE"])] if env.get("PIP_CONFIG_FILE") else [])):
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        with contextlib.suppress(OSError, configparser.Error, UnicodeDecodeError):
            parser.read_string(place.read_text())
        for key, variable in (("index-url", "PIP_INDEX_URL"), ("extra-index-url", "PIP_EXTRA_INDEX_URL")):
            for section in ("global", "install"):
                if value := parser.get(section, key, fallback=None):
                    found[variable] = value
    # uv does not read pip's files, but people mean them for it too.
    for pip, uv in (("PIP_INDEX_URL", "UV_DEFAULT_INDEX"), ("PIP_EXTRA_INDEX_URL", "UV_EXTRA_INDEX_URL")):
        value = env.get(pip) or found.get(pip)
        if value and not any(env.get(name) for name in (uv, "UV_INDEX_URL", "UV_DEFAULT_INDEX")):
            found[uv] = value
    return found


def _uv(home: Path, system: Path) -> dict[str, str]:
    found = {}
    for place in (system / "uv/uv.toml", home / ".config/uv/uv.toml"):
        with contextlib.suppress(OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
            settings = tomllib.loads(place.read_text())
            if isinstance(url := settings.get("index-url"), str):
                found["UV_DEFAULT_INDEX"] = url
            for index in settings.get("index", ()):
                if isinstance(index, dict) and index.get("default") and isinstance(index.get("url"), str):
                    found["UV_DEFAULT_INDEX"] = index["url"]
    return found


def _npm(home: Path, system: Path) -> dict[str, str]:
    found = {}
    for place in (system / "npmrc", home / ".npmrc"):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            for line in place.read_text().splitlines():
                key, equals, value = (part.strip() for part in line.partition("="))
                if equals and key == "registry":
                    found["npm_config_registry"] = value
                elif equals and key.startswith("@") and key.endswith(":registry"):
                    found[f"npm_config_{key}"] = value
    return found


def _web(word: str) -> SplitResult | None:
    """The parts of a web address, else None; uv writes NAME=ADDRESS."""
    try:
        parts = urlsplit(word.partition("=")[2] if "=http" in word else word)
        return parts if parts.scheme in _WEB and parts.hostname and parts.port != 0 else None
    except ValueError:
        return None


def _place(parts: SplitResult) -> str:
    return f"{parts.hostname}:{parts.port or _WEB[parts.scheme]}"


def _rule(parts: SplitResult) -> str | None:
    with contextlib.suppress(UsageError):
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        return canonical(f"{host}:{parts.port}" if parts.port else f"{host}")
    return None


def _login(parts: SplitResult) -> str | None:
    """A login written into an address, as the value of a header (RFC 7617)."""
    if parts.username is None:
        return None
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def _without_login(word: str) -> str:
    parts = _web(word)
    if parts is None or parts.username is None:
        return word
    name, equals, _ = word.partition("=") if "=http" in word else ("", "", "")
    return name + equals + urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
