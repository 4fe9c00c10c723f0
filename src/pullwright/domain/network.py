"""What an attempt may reach."""

from enum import StrEnum

from pydantic import Field

from pullwright.domain.value import Value


class Internet(StrEnum):
    """How a phase of the work may use the network."""

    OFF = "off"  # a loopback of its own, nothing else: the default while an engine works
    HOST = "host"  # the host's network: the setup phase only


class NetworkPolicy(Value):
    """The network of each phase."""

    setup: Internet = Field(Internet.HOST, description="While setup and maintenance scripts run.")
    agent: Internet = Field(Internet.OFF, description="While an engine works and while a change is verified.")
