"""What a phase of the work may reach, and the decision about one request. Pure: names and numbers in, a verdict out.

A rule is one line of text, `[METHOD,...] HOST[:PORT,...]`:

- `example.com`                 ports 80 and 443 of that host
- `*.example.com`               every host below it, at any depth; not the host itself
- `example.com:8443`, `:*`      that port; every port
- `GET,HEAD example.com`        only these HTTP methods
- `10.1.2.3:5432`, `10.0.0.0/8` an address or a network: the only way to reach one that is not public
- `preset:package-registries`   a list that comes with Pullwright (`domain/presets.py`)
"""

import ipaddress
import re
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from pullwright.domain.errors import UsageError
from pullwright.domain.presets import PRESETS
from pullwright.domain.value import Value

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

WEB_PORTS = (80, 443)
METHODS = (
    "GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "QUERY", "SEARCH", "PROPFIND", "REPORT", "MKCOL",
)  # fmt: skip
_PRESET = "preset:"
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")

# What never leads to the internet (IANA's special-purpose registries), and what clouds answer their machines under.
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32",
        "::/96", "64:ff9b:1::/48", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
    )
)  # fmt: skip
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Internet(StrEnum):
    """How a phase of the work may use the internet."""

    OFF = "off"  # a loopback of its own, nothing else: the default while an engine works
    ALLOW = "allow"  # what the rules name
    ON = "on"  # every public host


class Rule(Value):
    """One line of an allowlist, taken apart."""

    host: str = Field(description="Lower case; `*.` in front stands for everything below. Empty for a network.")
    network: Network | None = None
    ports: tuple[int, ...] = Field(WEB_PORTS, description="Empty: every port.")
    methods: tuple[str, ...] = Field((), description="Empty: every method, and what is no HTTP too.")

    @property
    def text(self) -> str:
        """The rule as a person writes it."""
        host = self.host or _bare(self.network)
        if ":" in host and self.ports != WEB_PORTS:
            host = f"[{host}]"
        ports = "" if self.ports == WEB_PORTS else ":" + (",".join(map(str, self.ports)) or "*")
        methods = ",".join(self.methods)
        return f"{methods} {host}{ports}" if methods else f"{host}{ports}"

    def covers(self, host: str, port: int) -> bool:
        """Whether it speaks of that host, a name or an address, and that port."""
        if self.ports and port not in self.ports:
            return False
        if self.network is not None:
            address = address_of(host)
            return address is not None and self.holds(address)
        if self.host.startswith("*."):
            return host.endswith(self.host[1:]) and len(host) > len(self.host) - 1
        return host == self.host

    def holds(self, address: Address) -> bool:
        """Whether it names that address."""
        return self.network is not None and address.version == self.network.version and address in self.network


@lru_cache(4096)
def parse_rule(text: str) -> Rule:
    """Take one rule apart. Raises `UsageError` that says what is wrong with it."""
    words = text.split()
    if "/" in text and "://" in text:
        raise UsageError(f"{text!r} is the address of a page; write its host alone, like example.com")
    if not 1 <= len(words) <= 2:
        raise UsageError(f"{text!r} is no host to allow: write HOST, HOST:PORT or 'GET,HEAD HOST'")
    methods = tuple(dict.fromkeys(words[0].upper().split(","))) if len(words) == 2 else ()
    if wrong := [method for method in methods if method not in METHODS]:
        raise UsageError(f"{text!r}: {wrong[0]!r} is no HTTP method; write 'GET,HEAD HOST'")
    host, ports = _host_and_ports(words[-1], text)
    try:
        network = ipaddress.ip_network(host, strict=False)
    except ValueError:
        return Rule(host=_checked_pattern(host, text), ports=ports, methods=methods)
    return Rule(host="", network=network, ports=ports, methods=methods)


def _host_and_ports(word: str, text: str) -> tuple[str, tuple[int, ...]]:
    host, colon, ports = word, "", ""
    if word.startswith("["):
        host, _, rest = word[1:].partition("]")
        colon, ports = rest[:1], rest[1:]
        if colon not in ("", ":"):
            raise UsageError(f"{text!r}: after ] comes nothing, or :PORT")
    elif word.count(":") == 1:
        host, colon, ports = word.partition(":")
    if not colon:
        return host, WEB_PORTS
    if ports == "*":
        return host, ()
    numbers = [int(port) if port.isascii() and port.isdecimal() else 0 for port in ports.split(",")]
    if not all(0 < number < 65536 for number in numbers):
        raise UsageError(f"{text!r}: a port is a number from 1 to 65535, or * for every port")
    return host, tuple(sorted(set(numbers)))


def _checked_pattern(host: str, text: str) -> str:
    wild = host.startswith("*.")
    name = host_name(host[2:] if wild else host)
    if name is None or "*" in name or (wild and "." not in name):
        hint = "; to allow everything use `pullwright env internet on`" if host in ("*", "*.*") else ""
        raise UsageError(f"{text!r} is no host name, wildcard (*.example.com), address or network{hint}")
    return f"*.{name}" if wild else name


def canonical(text: str) -> str:
    """A rule in the one way that it is kept in, or a preset's name. Raises `UsageError`."""
    text = text.strip()
    if text.startswith(_PRESET):
        if text.removeprefix(_PRESET) not in PRESETS:
            raise UsageError(f"there is no {text}; there are {', '.join(_PRESET + name for name in sorted(PRESETS))}")
        return text
    return parse_rule(text).text


RuleText = Annotated[str, AfterValidator(canonical)]


def expand(texts: tuple[str, ...]) -> tuple[Rule, ...]:
    """The rules that these lines mean, presets unfolded."""
    lines = [
        line
        for text in texts
        for line in (PRESETS[text.removeprefix(_PRESET)] if text.startswith(_PRESET) else (text,))
    ]
    return tuple(parse_rule(line) for line in lines)


class Reach(Value):
    """What one phase may reach."""

    internet: Internet = Internet.OFF
    allow: tuple[RuleText, ...] = Field((), description="Rules; with `on` they only name addresses.")
    deny: tuple[RuleText, ...] = Field((), description="Rules that win over everything that allows.")
    inner: tuple[RuleText, ...] = Field(
        (), description="Hosts that this machine's own configuration names: they may have addresses of its own network."
    )

    @model_validator(mode="before")
    @classmethod
    def _of_word(cls, data: Any) -> Any:  # noqa: ANN401
        """A word alone, as logs of earlier versions have it."""
        return {"internet": {"host": "on"}.get(data, data)} if isinstance(data, str) else data

    def plus(self, allow: tuple[str, ...]) -> "Reach":
        """With more hosts; what was off then reaches these alone."""
        if not allow:
            return self
        internet = Internet.ALLOW if self.internet is Internet.OFF else self.internet
        together = tuple(dict.fromkeys((*self.allow, *allow)))
        return Reach(internet=internet, allow=together, deny=self.deny, inner=self.inner)

    @property
    def words(self) -> str:
        """What it comes to, in one line for people."""
        if self.internet is Internet.OFF:
            return "internet off"
        denied = f", but not {', '.join(self.deny)}" if self.deny else ""
        if self.internet is Internet.ON:
            return f"internet on{denied}"
        return f"internet: {', '.join(self.allow) or 'no host'}{denied}"

    @property
    def has_methods(self) -> bool:
        """Whether any rule looks at HTTP methods: then TLS has to be opened for some host."""
        return any(rule.methods for rule in (*expand(self.allow), *expand(self.deny)))


class NetworkPolicy(Value):
    """The reach of each phase."""

    setup: Reach = Field(Reach(internet=Internet.ON), description="While setup and maintenance scripts run.")
    agent: Reach = Field(Reach(), description="While an engine works and while a change is verified.")


class Verdict(Value):
    """What was decided about a request, and why."""

    allowed: bool
    reason: str
    rule: str | None = Field(None, description="Where it is refused: the rule that would allow it.")
    inspect: bool = Field(False, description="Allowed so far; the method of each request has yet to be looked at.")


def decide(reach: Reach, host: str, port: int, method: str | None = None) -> Verdict:
    """Whether a host may be asked. `method` None: not known yet; the verdict then says whether it will matter."""
    name = host_name(host)
    address = address_of(host)
    if name is None and address is None:
        return Verdict(allowed=False, reason="it is neither a host name nor an address in its usual form")
    target = name or str(address)
    missing = _rule_for(target, port)
    if reach.internet is Internet.OFF:
        return Verdict(allowed=False, reason="internet access is off", rule=missing)
    denied = [rule for rule in expand(reach.deny) if rule.covers(target, port)]
    if any(not rule.methods or (method in rule.methods) for rule in denied):
        return Verdict(allowed=False, reason="it is denied by name")
    if reach.internet is Internet.ON and name is not None:
        return Verdict(allowed=True, reason="internet access is on", inspect=bool(denied))
    matching = [rule for rule in (*expand(reach.allow), *expand(reach.inner)) if rule.covers(target, port)]
    if not matching:
        why = "addresses are refused unless they are named" if name is None else "no rule allows it"
        return Verdict(allowed=False, reason=why, rule=missing)
    free = [rule for rule in matching if not rule.methods]
    if free or (method is None) or any(method in rule.methods for rule in matching):
        rule = (free or matching)[0]
        return Verdict(allowed=True, reason=f"rule {rule.text}", inspect=bool(denied) or not free)
    allowed = ",".join(sorted({word for rule in matching for word in rule.methods}))
    return Verdict(allowed=False, reason=f"only {allowed} are allowed there", rule=f"{method} {missing}")


def decide_address(reach: Reach, host: str, address: Address, port: int) -> Verdict:
    """Whether the address that a host's name stands for may be connected to."""
    if names(reach, host, address, port):
        return Verdict(allowed=True, reason="its address is named")
    if is_public(address):
        return Verdict(allowed=True, reason="its address is public")
    return refused_address(address, port, "which is no public address")


def names(reach: Reach, host: str, address: Address, port: int) -> bool:
    """Whether somebody has named that very address, or this machine's own configuration the host."""
    if any(rule.covers(host, port) for rule in expand(reach.inner)):
        return True
    named = [rule for rule in expand(reach.allow) if not rule.ports or port in rule.ports]
    return any(rule.holds(one) for rule in named for one in (address, _meant(address)))


def refused_address(address: Address, port: int, why: str) -> Verdict:
    """The verdict about a host whose address may not be connected to."""
    return Verdict(allowed=False, reason=f"it stands for {address}, {why}", rule=_rule_for(str(address), port))


def host_name(text: str) -> str | None:
    """A host name in lower case and ASCII, or None where it is none: an address in whatever disguise is none."""
    name = text.strip().removesuffix(".").lower()
    if not name.isascii():
        try:
            name = name.encode("idna").decode("ascii").lower()
        except UnicodeError:
            return None
    labels = name.split(".")
    # What ends in a number is read as an address by some (https://url.spec.whatwg.org/#ends-in-a-number-checker).
    if len(name) > 253 or _NUMBER.fullmatch(labels[-1]):
        return None
    return name if all(_LABEL.fullmatch(label) for label in labels) else None


def address_of(text: str) -> Address | None:
    """An address as it is usually written, with or without brackets; None for anything else."""
    try:
        return ipaddress.ip_address(text[1:-1] if text.startswith("[") and text.endswith("]") else text)
    except ValueError:
        return None


def is_public(address: Address) -> bool:
    """Whether it is an address of the internet at large, not of this machine, its network or a cloud's insides."""
    meant = _meant(address)
    return not any(meant.version == network.version and meant in network for network in _NOT_PUBLIC)


def _meant(address: Address) -> Address:
    """The IPv4 address that an IPv6 address only wraps, else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else address)


def _rule_for(target: str, port: int) -> str:
    """The narrowest rule that would allow this."""
    if port in WEB_PORTS:
        return target
    return f"[{target}]:{port}" if ":" in target else f"{target}:{port}"


def _bare(network: Network | None) -> str:
    if network is None:
        return ""
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)
