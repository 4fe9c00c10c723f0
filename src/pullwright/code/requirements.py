"""Requirement names, and the parts of tox and setup.cfg files that matter here."""

import configparser
import re
from dataclasses import dataclass

# The groups and extras that hold what tests need, by the names that projects give them.
TEST_GROUPS = ("test", "tests", "testing", "dev", "develop", "development")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# The files of requirements that a checkout needs to run its tests; documentation and linting are left out.
_MAIN = ("requirements.txt", "requirements/base.txt", "requirements/main.txt", "requirements/common.txt")
_TEST = tuple(
    pattern.format(name)
    for name in ("test", "tests", "testing")
    for pattern in (
        "requirements-{}.txt",
        "requirements_{}.txt",
        "{}-requirements.txt",
        "{}_requirements.txt",
        "requirements/{}.txt",
        "requirements.{}.txt",
        "tests/requirements.txt",
        "test/requirements.txt",
    )
)
_DEV = tuple(name.replace("test", kind) for kind in ("dev", "develop", "ci") for name in _TEST[:6])


def name_of(requirement: str) -> str:
    """The normalised name of a requirement (PEP 503); empty where it has none."""
    found = _NAME.match(requirement.strip())
    return re.sub(r"[-_.]+", "-", found[0]).lower() if found else ""


def names(text: str) -> set[str]:
    """The names that a requirements file lists itself."""
    return {name_of(line) for line in text.splitlines() if line.strip() and not line.strip().startswith(("#", "-"))}


def files(present: list[str]) -> list[str]:
    """The requirement files to install: the main one, and those of tests or, where there are none, of development."""
    main = next((path for path in _MAIN if path in present), None)
    test = [path for path in dict.fromkeys(_TEST) if path in present]
    dev = [path for path in dict.fromkeys(_DEV) if path in present]
    return ([main] if main else []) + (test or dev)


def candidates() -> list[str]:
    """Every path that `files` may choose."""
    return list(dict.fromkeys((*_MAIN, *_TEST, *_DEV)))


@dataclass(frozen=True)
class Tox:
    """What tox's test environment installs, beyond the project."""

    requirements: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    commands: str = ""


def tox(parser: configparser.ConfigParser) -> Tox:
    """The `testenv` of a tox.ini, or of a setup.cfg's `tox:testenv`."""
    section = next((name for name in ("testenv", "tox:testenv") if parser.has_section(name)), None)
    if section is None:
        return Tox()
    requirements, found = [], []
    for raw in parser.get(section, "deps", fallback="").splitlines():
        line = raw.split(" #")[0].strip().replace("{toxinidir}/", "").replace("{tox_root}/", "")
        if included := re.fullmatch(r"(?:-r|--requirement)[ =]?\s*(\S+)", line):
            found.append(included[1])
        elif line and not re.match(r"[#{-]|[\w.,!{}-]+:(?!//)|https?:|git\+|\.", line):
            requirements.append(line)
    return Tox(
        requirements=tuple(requirements),
        files=tuple(path for path in found if "{" not in path),
        extras=_words(parser.get(section, "extras", fallback="")),
        groups=_words(parser.get(section, "dependency_groups", fallback="")),
        commands=parser.get(section, "commands", fallback=""),
    )


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in re.split(r"[\s,]+", text) if word and "{" not in word and ":" not in word)
