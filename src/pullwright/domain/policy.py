"""What a person has decided about a repository's environment, beside what the repository says about itself.

It is kept in the platform's own record, never read from a branch: no branch can widen its own walls.
"""

from collections.abc import Iterable
from enum import StrEnum

from pydantic import Field

from pullwright.domain.limits import SandboxLimits
from pullwright.domain.network import WEB_PORTS, Internet, NetworkPolicy, Reach, RuleText, canonical, expand
from pullwright.domain.presets import PRESETS
from pullwright.domain.transcript import EgressDecided
from pullwright.domain.value import Value


class Phase(StrEnum):
    """When a machine is used."""

    SETUP = "setup"  # setup and maintenance scripts of the base commit
    AGENT = "agent"  # an engine works, or a change is verified


class Credential(Value):
    """A header that is put into each request for a host, outside the sandbox. Its value is a secret of the record."""

    host: RuleText
    header: str = Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

    @property
    def secret(self) -> str:
        """The name that its value is kept under."""
        return f"credential {self.host} {self.header.lower()}"


class EnvironmentPolicy(Value):
    """The decisions about one repository."""

    network: NetworkPolicy = NetworkPolicy()
    image: str | None = Field(None, description="Wins over `.pullwright.toml`; `host`: this host's own tools.")
    credentials: tuple[Credential, ...] = ()
    limits: SandboxLimits = SandboxLimits()

    def reach(self, phase: Phase) -> Reach:
        """What a phase may reach."""
        return self.network.setup if phase is Phase.SETUP else self.network.agent

    def with_reach(self, phase: Phase, reach: Reach) -> "EnvironmentPolicy":
        """With another reach of one phase."""
        network = self.network.model_copy(update={phase.value: reach})
        return self.model_copy(update={"network": network})

    def allow(self, phase: Phase, rules: Iterable[str]) -> "EnvironmentPolicy":
        """These too may be reached; what was off then reaches these alone. Raises `UsageError`."""
        added = tuple(dict.fromkeys(canonical(rule) for rule in rules))
        old = self.reach(phase)
        reach = Reach(
            internet=Internet.ALLOW if old.internet is Internet.OFF else old.internet,
            allow=tuple(dict.fromkeys((*old.allow, *added))),
            deny=tuple(rule for rule in old.deny if rule not in added),
        )
        return self.with_reach(phase, reach)

    def deny(self, phase: Phase, rules: Iterable[str]) -> "EnvironmentPolicy":
        """These may not be reached: no rule allows them any more, and none that allows more counts for them."""
        denied = tuple(dict.fromkeys(canonical(rule) for rule in rules))
        old = self.reach(phase)
        reach = Reach(
            internet=old.internet,
            allow=tuple(rule for rule in old.allow if rule not in denied),
            deny=tuple(dict.fromkeys((*old.deny, *denied))),
        )
        return self.with_reach(phase, reach)

    def attach(self, credential: Credential) -> "EnvironmentPolicy":
        """Put a header into the requests for a host, which engines may then reach."""
        others = tuple(one for one in self.credentials if one.secret != credential.secret)
        allowed = self.allow(Phase.AGENT, [credential.host])
        return allowed.model_copy(update={"credentials": (*others, credential)})

    def detach(self, host: str) -> "EnvironmentPolicy":
        """Put nothing more into the requests for a host, which may still be reached."""
        rule = canonical(host)
        return self.model_copy(update={"credentials": tuple(one for one in self.credentials if one.host != rule)})

    def set_internet(self, phase: Phase, internet: Internet) -> "EnvironmentPolicy":
        """Off, what the rules name, or on; the rules stay."""
        return self.with_reach(phase, self.reach(phase).model_copy(update={"internet": internet}))

    def locked(self, phase: Phase, rules: Iterable[str]) -> "EnvironmentPolicy":
        """These and nothing else, beside what was allowed and denied by name before."""
        return self.allow(phase, rules).set_internet(phase, Internet.ALLOW)


def smallest(decided: Iterable[EgressDecided]) -> tuple[str, ...]:
    """The narrowest rules that allow what was let through: exact hosts, and of ports only those that were used."""
    ports: dict[str, set[int]] = {}
    for event in decided:
        if event.allowed and event.port:
            ports.setdefault(event.host, set()).add(event.port)
    rules = []
    for host, used in sorted(ports.items()):
        place = f"[{host}]" if ":" in host else host
        rules.append(host if used <= set(WEB_PORTS) else f"{place}:{','.join(map(str, sorted(used)))}")
    return tuple(canonical(rule) for rule in rules)


def presets_for(rules: Iterable[str]) -> tuple[str, ...]:
    """The presets that cover all of these, if any does."""
    wanted = [rule for rule in expand(tuple(rules)) if rule.host]
    names = [f"preset:{name}" for name in sorted(PRESETS)]
    if not wanted:
        return ()
    return tuple(
        name
        for name in names
        if all(any(one.covers(rule.host, port) for one in expand((name,))) for rule in wanted for port in rule.ports)
    )
