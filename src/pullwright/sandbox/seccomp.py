"""The system calls that a sandbox does not have, as a filter for bubblewrap (seccomp(2), classic BPF).

ptrace stays: debuggers and leak checkers are part of the work, it needs no more right than to send a signal, and the
agent is out of its reach (it is not dumpable).
"""

import errno
import struct

_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_SET, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _REFUSE = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCHITECTURE = 0, 4  # offsets in struct seccomp_data
_NAMESPACES = 0x7E020000  # CLONE_NEWNS, CGROUP, UTS, IPC, USER, PID, NET

# Audit architecture, and the numbers of what is refused (asm/unistd_64.h, asm-generic/unistd.h).
_X86_64 = {
    "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "swapon": 167, "swapoff": 168, "reboot": 169,
    "sethostname": 170, "setdomainname": 171, "iopl": 172, "ioperm": 173, "init_module": 175, "delete_module": 176,
    "quotactl": 179, "acct": 163, "settimeofday": 164, "adjtimex": 159, "clock_settime": 227, "clock_adjtime": 305,
    "syslog": 103, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312,
    "add_key": 248, "request_key": 249, "keyctl": 250, "bpf": 321, "perf_event_open": 298, "userfaultfd": 323,
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "kexec_load": 246, "kexec_file_load": 320,
    "finit_module": 313, "open_by_handle_at": 304, "name_to_handle_at": 303, "fanotify_init": 300, "setns": 308,
    "unshare": 272, "lookup_dcookie": 212, "vhangup": 153, "uselib": 134, "ustat": 136, "sysfs": 139, "_sysctl": 156,
    "move_pages": 279, "mbind": 237, "set_mempolicy": 238, "migrate_pages": 256, "modify_ldt": 154, "nfsservctl": 180,
}  # fmt: skip
_AARCH64 = {
    "mount": 40, "umount2": 39, "pivot_root": 41, "chroot": 51, "swapon": 224, "swapoff": 225, "reboot": 142,
    "sethostname": 161, "setdomainname": 162, "init_module": 105, "delete_module": 106, "quotactl": 60, "acct": 89,
    "settimeofday": 170, "adjtimex": 171, "clock_settime": 112, "clock_adjtime": 266, "syslog": 116,
    "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272, "add_key": 217, "request_key": 218, "keyctl": 219,
    "bpf": 280, "perf_event_open": 241, "userfaultfd": 282, "io_uring_setup": 425, "io_uring_enter": 426,
    "io_uring_register": 427, "kexec_load": 104, "kexec_file_load": 294, "finit_module": 273, "open_by_handle_at": 265,
    "name_to_handle_at": 264, "fanotify_init": 262, "setns": 268, "unshare": 97, "lookup_dcookie": 18, "vhangup": 58,
    "move_pages": 239, "mbind": 235, "set_mempolicy": 237, "migrate_pages": 238, "nfsservctl": 42,
}  # fmt: skip
# The same number on every architecture since Linux 5.
_NEW_MOUNTS = {
    "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433,
    "mount_setattr": 442, "quotactl_fd": 443, "process_madvise": 440, "pidfd_getfd": 438, "memfd_secret": 447,
    "open_tree_attr": 467,
}  # fmt: skip
_MACHINES = {
    "x86_64": (0xC000003E, _X86_64, {"clone": 56, "clone3": 435, "ioctl": 16, "socket": 41}),
    "aarch64": (0xC00000B7, _AARCH64, {"clone": 220, "clone3": 435, "ioctl": 29, "socket": 198}),
}
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_SOCKETS = (1, 2, 10, 16)  # AF_UNIX, AF_INET, AF_INET6, AF_NETLINK: the last only shows a network without hosts


def _argument(index: int) -> int:
    return 16 + 8 * index  # the low half, on machines that store it first


def program(machine: str) -> bytes:
    """The filter for `os.uname().machine`. Raises `KeyError` for a machine that it was not written for.

    What names a namespace, a mount, a key ring or another process's memory is refused with EPERM, so that programs go
    on without; `clone3` answers that it does not exist, for its arguments cannot be looked at, and C libraries then
    use `clone`. System calls of another architecture end the process.
    """
    architecture, refused, named = _MACHINES[machine]
    refuse = _RETURN, 0, 0, _REFUSE | errno.EPERM
    code = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_JUMP_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    if machine == "x86_64":
        code += [(_JUMP_AT_LEAST, 0, 1, 0x40000000), (_RETURN, 0, 0, _KILL)]  # x32
    code += [(_JUMP_EQUAL, 0, 1, named["clone3"]), (_RETURN, 0, 0, _REFUSE | errno.ENOSYS)]
    for number in sorted({**refused, **_NEW_MOUNTS}.values()):
        code += [(_JUMP_EQUAL, 0, 1, number), refuse]
    code += [
        (_JUMP_EQUAL, 0, 3, named["clone"]),
        (_LOAD, 0, 0, _argument(0)),
        (_JUMP_SET, 0, 1, _NAMESPACES),
        refuse,
        (_LOAD, 0, 0, _NUMBER),
        (_JUMP_EQUAL, 0, 4, named["ioctl"]),
        (_LOAD, 0, 0, _argument(1)),
        (_JUMP_EQUAL, 1, 0, _TIOCSTI),
        (_JUMP_EQUAL, 0, 1, _TIOCLINUX),
        refuse,
        (_LOAD, 0, 0, _NUMBER),
        (_JUMP_EQUAL, 0, len(_SOCKETS) + 2, named["socket"]),
        (_LOAD, 0, 0, _argument(0)),
        *((_JUMP_EQUAL, len(_SOCKETS) - place, 0, family) for place, family in enumerate(_SOCKETS)),
        (_RETURN, 0, 0, _REFUSE | errno.EAFNOSUPPORT),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)
