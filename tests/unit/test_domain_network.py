"""What may be reached: rules, addresses, decisions."""

import ipaddress
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullwright.domain.environment import Environment
from pullwright.domain.errors import UsageError
from pullwright.domain.network import (
    Address,
    Internet,
    NetworkPolicy,
    Reach,
    address_of,
    canonical,
    decide,
    decide_address,
    expand,
    host_name,
    is_public,
    parse_rule,
)
from pullwright.domain.presets import PRESETS

LABELS = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
HOSTS = st.lists(LABELS, min_size=2, max_size=4).map(".".join)
PORTS = st.integers(1, 65535)
METHODS = st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE"])
ADDRESSES: st.SearchStrategy[Address] = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))
RULES = st.one_of(
    HOSTS,
    HOSTS.map("*.{}".format),
    st.builds("{}:{}".format, HOSTS, PORTS),
    st.builds("{} {}".format, METHODS, HOSTS),
    ADDRESSES.map(str),
)
REACHES = st.builds(
    Reach,
    internet=st.sampled_from(Internet),
    allow=st.lists(RULES, max_size=3).map(tuple),
    deny=st.lists(RULES, max_size=2).map(tuple),
)
METHOD = st.one_of(st.none(), METHODS)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Example.COM.", "example.com"),
        ("*.example.com", "*.example.com"),
        ("example.com:8443", "example.com:8443"),
        ("example.com:80,443", "example.com"),
        ("example.com:*", "example.com:*"),
        ("get,HEAD example.com", "GET,HEAD example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("10.1.2.3", "10.1.2.3"),
        ("10.1.2.3:5432", "10.1.2.3:5432"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("::1", "::1"),
        ("[::1]:8080", "[::1]:8080"),
        ("fd00::/8", "fd00::/8"),
        (" preset:package-registries ", "preset:package-registries"),
    ],
)
def test_a_rule_is_kept_in_one_way(text: str, kept: str) -> None:
    assert canonical(text) == kept
    assert canonical(kept) == kept


@pytest.mark.parametrize(
    "text",
    ["", "*", "*.*", "*.com", "a b c", "exa mple.com", "https://example.com", "example.com:0", "example.com:70000",
     "example.com:", "user@example.com", "-a.com", "a..b", "2130706433", "0x7f.1", "127.1", "G3T example.com", "a/b",
     "preset:none", "foo.*.com", "*example.com", "[::1]x"],
)  # fmt: skip
def test_what_is_no_rule_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(UsageError):
        canonical(text)


@given(RULES)
def test_every_rule_reads_back(text: str) -> None:
    rule = parse_rule(canonical(text))
    assert parse_rule(rule.text) == rule


def test_presets_are_made_of_rules() -> None:
    for name, lines in PRESETS.items():
        assert len(expand((f"preset:{name}",))) == len(lines)
        assert len(set(lines)) == len(lines)


@given(REACHES, HOSTS, PORTS, METHOD)
def test_off_is_off(reach: Reach, host: str, port: int, method: str | None) -> None:
    closed = reach.model_copy(update={"internet": Internet.OFF})
    assert not decide(closed, host, port, method).allowed


@given(REACHES, st.one_of(HOSTS, ADDRESSES.map(str)), PORTS, METHOD)
def test_the_rule_that_a_refusal_names_allows_it(reach: Reach, host: str, port: int, method: str | None) -> None:
    verdict = decide(reach, host, port, method)
    if verdict.allowed or verdict.rule is None:
        return
    opened = reach.model_copy(update={"deny": ()}).plus((verdict.rule,))
    assert decide(opened, host, port, method).allowed


@given(REACHES, RULES, HOSTS, PORTS, METHOD)
def test_one_more_rule_never_closes_anything(reach: Reach, rule: str, host: str, port: int, method: str | None) -> None:
    if decide(reach, host, port, method).allowed:
        assert decide(reach.plus((canonical(rule),)), host, port, method).allowed


@given(REACHES, HOSTS, PORTS, METHODS)
def test_what_is_denied_stays_denied(reach: Reach, host: str, port: int, method: str) -> None:
    closed = reach.model_copy(update={"deny": (*reach.deny, f"{host}:*")})
    assert not decide(closed, host, port, method).allowed
    assert not decide(closed, host, port).allowed


@given(REACHES, HOSTS, PORTS, METHODS)
def test_a_tunnel_is_looked_into_where_any_method_would_be_refused(
    reach: Reach, host: str, port: int, method: str
) -> None:
    tunnel = decide(reach, host, port)
    if tunnel.allowed and not tunnel.inspect:
        assert decide(reach, host, port, method).allowed


@given(REACHES, ADDRESSES, PORTS)
def test_an_address_is_reached_only_by_its_name(reach: Reach, address: Address, port: int) -> None:
    if decide(reach, str(address), port).allowed:
        rules = [rule for rule in expand(reach.allow) if not rule.ports or port in rule.ports]
        assert any(rule.holds(address) for rule in rules)


@given(ADDRESSES, PORTS)
def test_what_is_not_public_is_not_connected_to(address: Address, port: int) -> None:
    everything = Reach(internet=Internet.ON)
    assert decide_address(everything, "example.com", address, port).allowed is is_public(address)
    named = everything.plus((canonical(f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"),))
    assert decide_address(named, "example.com", address, port).allowed


@pytest.mark.parametrize(
    "text",
    ["127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254",
     "100.100.100.200", "168.63.129.16", "0.0.0.0", "255.255.255.255", "224.0.0.1", "::1", "::", "fe80::1",
     "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:a9fe:a9fe", "::127.0.0.1", "64:ff9b::7f00:1",
     "2002:7f00:1::"],
)  # fmt: skip
def test_addresses_that_are_not_public(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", ["1.1.1.1", "203.0.113.80", "172.32.0.1", "2606:4700::1111", "64:ff9b::101:101"])
def test_addresses_that_are_public(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", ["127.0.0.1", "2130706433", "0x7f000001", "127.1", "0177.0.0.1", "1.2.3.0x10", "a.1"])
def test_an_address_in_disguise_is_no_name(text: str) -> None:
    assert host_name(text) is None
    assert address_of(text) is None or text == "127.0.0.1"
    assert not decide(Reach(internet=Internet.ON), text, 443).allowed


def test_wildcards_stand_for_what_is_below() -> None:
    reach = Reach(internet=Internet.ALLOW, allow=("*.example.com",))
    asked = ["example.com", "a.example.com", "a.b.example.com", "badexample.com", "example.com.evil.org"]
    assert [decide(reach, host, 443).allowed for host in asked] == [False, True, True, False, False]


def test_methods_ports_and_denials_together() -> None:
    reach = Reach(
        internet=Internet.ALLOW,
        allow=("GET,HEAD api.example.com", "*.example.com:8443"),
        deny=("POST api.example.com:8443", "secret.example.com:*"),
    )
    hosts = ("api.example.com", "secret.example.com")
    verdicts = {
        (host.split(".")[0], port, method): decide(reach, host, port, method).allowed
        for host, port, method in itertools.product(hosts, (443, 8443), ("GET", "POST"))
    }
    assert verdicts == {
        ("api", 443, "GET"): True,
        ("api", 443, "POST"): False,
        ("api", 8443, "GET"): True,
        ("api", 8443, "POST"): False,
        ("secret", 443, "GET"): False,
        ("secret", 443, "POST"): False,
        ("secret", 8443, "GET"): False,
        ("secret", 8443, "POST"): False,
    }
    assert decide(reach, "api.example.com", 443).inspect
    assert decide(reach, "api.example.com", 443, "POST").rule == "POST api.example.com"
    assert reach.has_methods


def test_logs_of_earlier_versions_are_read() -> None:
    old = '{"language": "python", "network": {"setup": "host", "agent": "off"}}'
    network = Environment.model_validate_json(old).network
    assert network == NetworkPolicy()
    assert (network.setup.internet, network.agent.internet) == (Internet.ON, Internet.OFF)
