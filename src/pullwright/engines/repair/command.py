"""The check command read as a call of pytest."""

import shlex
from dataclasses import dataclass, field

_WITH_VALUE = ("--junitxml", "--junit-xml", "--maxfail", "-n", "--numprocesses", "--durations", "--tb", "-r", "--color")
_PLAIN = ("-x", "--exitfirst", "-q", "-qq", "-v", "-vv", "--quiet", "--verbose", "-s", "--lf", "--ff", "--no-header")


@dataclass(frozen=True)
class PytestCall:
    """How the check command calls pytest."""

    arguments: tuple[str, ...] = ()  # which tests, with which options; nothing that only shapes the report
    module: bool = True  # `python -m pytest`, which puts the working directory on the import path
    variables: dict[str, str] = field(default_factory=dict)  # set in front of the command


def pytest_call(command: str | None) -> PytestCall:
    """Read a command; one that cannot be read for sure stands for a plain `python -m pytest`."""
    try:
        words = shlex.split(command or "")
    except ValueError:
        return PytestCall()
    if command is None or any(mark in command for mark in "|;&`$\n<>"):
        return PytestCall()
    variables: dict[str, str] = {}
    while words and "=" in words[0] and words[0].split("=")[0].isidentifier():
        name, _, value = words.pop(0).partition("=")
        variables[name] = value
    for at, word in enumerate(words):
        name = word.rsplit("/", 1)[-1]
        if name in ("pytest", "py.test"):
            module = at > 0 and words[at - 1] == "-m"
            return PytestCall(_arguments(words[at + 1 :]), module, variables)
        if name == "unittest" and at > 0 and words[at - 1] == "-m":
            return PytestCall(("-o", "python_files=test*.py"), True, variables)
    return PytestCall(variables=variables)


def _arguments(words: list[str]) -> tuple[str, ...]:
    kept: list[str] = []
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word in _WITH_VALUE:
            skip = True
        elif word not in _PLAIN and not word.startswith((*(f"{name}=" for name in _WITH_VALUE), "--cov")):
            kept.append(word)
    return tuple(kept)
