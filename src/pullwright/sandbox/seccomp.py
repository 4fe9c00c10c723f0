"""The filter of system calls, for bubblewrap (seccomp(2), classic BPF): an allow list.

ptrace stays: debuggers and leak checkers are part of the work, it needs no more right than to send a signal, and the
agent is out of its reach (it is not dumpable).
"""

import errno
import struct
from collections.abc import Collection, Iterator
from functools import cache

from pullwright.sandbox import calls

_LOAD, _AND, _RETURN = 0x20, 0x54, 0x06
_JUMP_EQUAL, _JUMP_GREATER, _JUMP_AT_LEAST, _JUMP_SET = 0x15, 0x25, 0x35, 0x45
_ALLOW, _KILL, _REFUSE = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCHITECTURE = 0, 4  # offsets in struct seccomp_data
_MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # audit architectures
_X32 = 0x40000000

_NAMESPACES = 0x7E020000  # CLONE_NEWNS, CGROUP, UTS, IPC, USER, PID, NET
_TERMINALS = (0x5412, 0x541C, 0x5423)  # TIOCSTI, TIOCLINUX, TIOCSETD: input for others, and drivers of old lines
_DEVICES = (0x2000, 0x6000)  # S_IFCHR, S_IFBLK
_FILE_TYPE = 0xF000
_UNIX, _INET, _INET6, _NETLINK = 1, 2, 10, 16
# Of each family: its usual protocol, TCP, UDP, echo requests; of netlink what lists one's own interfaces.
_PROTOCOLS = {_UNIX: (0, 1), _INET: (0, 1, 6, 17), _INET6: (0, 6, 17, 58), _NETLINK: (0,)}
_SOCKET_TYPE, _STREAM, _DATAGRAM = 0xF, 1, 2

_Instruction = tuple[int, int, int, int]


@cache
def program(machine: str) -> bytes:
    """The filter for `os.uname().machine`. Raises `KeyError` for a machine that it was not written for.

    What is refused by name is answered with EPERM, so that programs go on without; whatever else is not allowed does
    not exist (ENOSYS), as on an older kernel. `clone3` does not either, for its arguments cannot be looked at, and C
    libraries then use `clone`. System calls of another architecture end the process.
    """
    architecture, special = _MACHINES[machine], calls.by_arguments(machine)
    code = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_JUMP_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    if machine == "x86_64":
        code += [(_JUMP_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, _KILL)]
    # By number alone first: the kernel then knows beforehand what is allowed, and does not run the filter for it.
    code += _answer({number for kind in calls.allowed(machine).values() for number in kind.values()}, _ALLOW)
    code += _answer(calls.refused(machine).values(), _REFUSE | errno.EPERM)
    code += _answer(calls.idle(machine).values(), _REFUSE)
    code += _by_argument(special["clone"], [*_load(0), (_JUMP_SET, 0, 1, _NAMESPACES), _refuse(errno.EPERM)])
    code += _by_argument(special["ioctl"], [*_load(1), *_refuse_each(_TERMINALS)])
    for name, place in (("mknod", 1), ("mknodat", 2)):
        if name in special:
            code += _by_argument(special[name], [*_load(place, _FILE_TYPE), *_refuse_each(_DEVICES)])
    code += _by_argument(special["socket"], list(_sockets()))
    code.append(_refuse(errno.ENOSYS))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


def _answer(numbers: Collection[int], answer: int) -> Iterator[_Instruction]:
    """One answer for all of these calls, and on to what follows for others."""
    for first, last in _ranges(numbers):
        if first == last:
            yield _JUMP_EQUAL, 0, 1, first
        else:
            yield _JUMP_AT_LEAST, 0, 2, first
            yield _JUMP_GREATER, 1, 0, last
        yield _RETURN, 0, 0, answer


def _ranges(numbers: Collection[int]) -> Iterator[tuple[int, int]]:
    ordered = sorted(numbers)
    first = 0
    for place, number in enumerate(ordered):
        if place + 1 == len(ordered) or ordered[place + 1] != number + 1:
            yield ordered[first], number
            first = place + 1


def _by_argument(number: int, code: list[_Instruction]) -> list[_Instruction]:
    """Allow a call unless this code, which may load what it likes, has answered otherwise."""
    return [(_JUMP_EQUAL, 0, len(code) + 1, number), *code, (_RETURN, 0, 0, _ALLOW)]


def _load(argument: int, mask: int = 0xFFFFFFFF) -> list[_Instruction]:
    """The low half of an argument, on machines that store it first: what the kernel itself looks at of these."""
    return [(_LOAD, 0, 0, 16 + 8 * argument), (_AND, 0, 0, mask)]


def _refuse(error: int) -> _Instruction:
    return _RETURN, 0, 0, _REFUSE | error


def _refuse_each(values: Collection[int]) -> Iterator[_Instruction]:
    for value in values:
        yield _JUMP_EQUAL, 0, 1, value
        yield _refuse(errno.EPERM)


def _sockets() -> Iterator[_Instruction]:
    """Of a family that is known, a protocol that is."""
    for family, protocols in _PROTOCOLS.items():
        inside = [*_load(2)]
        for protocol in protocols:
            inside += [(_JUMP_EQUAL, 0, 1, protocol), (_RETURN, 0, 0, _ALLOW)]
        inside.append(_refuse(errno.EPROTONOSUPPORT))
        if family in (_INET, _INET6):
            kinds = [*_load(1, _SOCKET_TYPE), (_JUMP_EQUAL, 2, 0, _STREAM), (_JUMP_EQUAL, 1, 0, _DATAGRAM)]
            inside = [*kinds, _refuse(errno.EPERM), *inside]
        yield from _load(0)
        yield _JUMP_EQUAL, 0, len(inside), family
        yield from inside
    yield _refuse(errno.EAFNOSUPPORT)
