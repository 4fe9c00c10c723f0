/* The launcher and the agent of a sandbox, in one static program.
 *
 *   machine launch [-u UID] [-g FILE]... [-e NAME]... [-R RANGE] [-h DIR]... [-o OPTIONS]... -r ROOT -m FD
 *                  -- BWRAP ARG...
 *     Builds what bubblewrap starts from: as root it first shows ROOT and itself, which may lie under closed directories,
 *     at STAGE/box and STAGE/machine, and then stops being root; a user and a mount namespace in which 1000 is that user. Then it becomes
 *     bubblewrap, and leaves a mounter behind. FILE is a cgroup.procs to enter. Each NAME of the host's /etc is shown at
 *     its place below ROOT/etc: bubblewrap then binds that as one, which takes a tenth of the time.
 *
 *     With -R, 0 is that user instead of 1000, and the ids from 1 on are further ones of the host's: a root that package
 *     managers can work with. RANGE is FIRST-UID:FIRST-GID:COUNT. The n-th DIR of the host is shown at STAGE/hN; with -R its files then belong to
 *     whom that map says, which takes a real root (mount_setattr(2), MOUNT_ATTR_IDMAP). The n-th overlay of OPTIONS is
 *     mounted at STAGE/oN.
 *
 *     The mounter waits at the SOCK_SEQPACKET socket FD for the one thing that nobody knows when a wall is built ahead:
 *     what is to be shown behind it. The message is NUL-terminated words: the overlay's options, the bytes of shared
 *     memory, `ro` or `rw` for the workspace, the mount that is closed to writes in the end, then a source and a target for each tree that is shown read-only. With it
 *     come descriptors: the mount namespace inside, then a detached mount (open_tree(2)) for each source that is empty.
 *     It mounts, closes, answers `ok` and ends; or it says on standard error why not.
 *
 *   machine mapped RANGE COMMAND ARG...
 *     Runs a command as the 0 of such a map, for what belongs to ids that are nobody's here.
 *
 *   machine join SOCKET FILTER
 *     Process 1 of a container: first the same filter of system calls (struct sock_filter, as bytes), and the line to
 *     the host by the name of a socket; then an agent.
 *
 *   machine agent FD
 *     Process 1 inside. Takes orders over a SOCK_SEQPACKET socket, runs commands, reports their ends. It ends, and with
 *     it everything inside, when the other end of the socket is closed. Its first saying brings its mount namespace.
 *
 * An order is a struct order. With ORDER_RUN come descriptors (unix(7), SCM_RIGHTS): the request, standard output,
 * standard error, and standard input unless it is /dev/null; with FLAG_TERMINAL the request alone, and SAY_TERMINAL
 * brings the terminal's other end back. A request is a file: the number of arguments, of variables and of limits
 * (uint32_t), then as NUL-terminated strings the working directory, the arguments, the variables and the limits, each
 * RESOURCE:MOST (setrlimit(2)). ORDER_LISTEN opens 127.0.0.1:FLAGS
 * inside, and SAY_LISTENING hands the listening socket out: a socket stays in the network that it was made in, so the
 * host itself answers in there. ORDER_FREEZE and ORDER_THAW stop and continue every process inside but this one, where the
 * host has no freezer; SAY_GONE tells that it is done. ORDER_CONNECT asks for a socket that connects to 127.0.0.1:FLAGS,
 * or with ROWS to [::1]:FLAGS; SAY_CONNECTING hands it out on its way.
 *
 * The agent trusts the host; the host trusts nothing that comes from here.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STAGE "/tmp/pw"
#define MAX_SOURCES 64
#define MAX_HOSTS 12
#define MAX_MESSAGE (128 * 1024) /* bytes of what the mounter is told */
#define MAX_REQUEST (64 * 1024 * 1024)
#define MAX_EXECS 4096
#define KILL_PASSES 500 /* about two seconds */
#define FREEZE_PASSES 200 /* about a quarter of a second */
#define INSIDE_ID 1000

/* Of the mount system calls since Linux 5.2, whose names and constants C libraries have had for a few years only. */
enum { NR_OPEN_TREE = 428, NR_MOVE_MOUNT = 429, NR_MOUNT_SETATTR = 442 };
enum { TREE_CLONE = 1, TREE_CLOSED_AT_EXEC = O_CLOEXEC, TREE_WHOLE = 0x8000, MOVE_FROM_EMPTY = 4, MOVE_TO_EMPTY = 0x40 };
enum { MOUNT_READ_ONLY = 1, MOUNT_NO_SUID = 2, MOUNT_NO_DEVICES = 4, MOUNT_MAPS_IDS = 0x100000 };
enum { OWNER_OF_NAMESPACE = 0xb701 }; /* ioctl_ns(2), NS_GET_USERNS */
struct mount_attributes {
    uint64_t set, clear, propagation, user_namespace;
};

enum { ORDER_RUN = 1, ORDER_KILL = 2, ORDER_LISTEN = 3, ORDER_FREEZE = 4, ORDER_THAW = 5, ORDER_CONNECT = 6 };
enum { FLAG_TERMINAL = 1, FLAG_READ = 2, FLAG_WRITE = 4 };
enum { SAY_HELLO = 1, SAY_TERMINAL = 2, SAY_ENDED = 3, SAY_GONE = 4, SAY_REFUSED = 5, SAY_LISTENING = 6, SAY_CONNECTING = 7 };
enum { CODE_REFUSED = 125, CODE_NO_FILE = 120, CODE_TOO_LONG = 121 }; /* exit codes that are no errno(3) */

struct order {
    uint32_t kind, id, flags;
    uint16_t rows, columns;
};
struct saying {
    uint32_t kind, id;
    int32_t code;
};

static void die(const char *format, ...) {
    int error = errno;
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "sandbox: ");
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, ": %s\n", strerror(error));
    exit(70);
}

static void write_text(const char *path, const char *text) {
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0 || write(file, text, strlen(text)) != (ssize_t)strlen(text)) die("write %s", path);
    close(file);
}

/* Closes every other descriptor beyond standard error; the one is number 3 then. */
static void keep_only(int descriptor) {
    if (descriptor != 3 && dup2(descriptor, 3) < 0) die("dup2");
    syscall(SYS_close_range, 4, ~0U, 0);
    fcntl(3, F_SETFD, FD_CLOEXEC);
}

/* ---- launch ---- */

static const char *etc_names[MAX_SOURCES], *hosts[MAX_HOSTS], *overlays[MAX_HOSTS];
static int etc_count, host_count, overlay_count;
static int covered; /* the directory that the stage is mounted over */

/* A directory of the host; with `users` its files belong to the ids that this user namespace maps theirs to. */
static int host_tree(const char *path, int users) {
    struct mount_attributes attributes = {.set = MOUNT_MAPS_IDS, .user_namespace = (uint64_t)users};
    unsigned whole = users < 0 ? TREE_WHOLE : 0; /* one with mounts in it would be no layer of an overlay */
    int tree = (int)syscall(NR_OPEN_TREE, AT_FDCWD, path, TREE_CLONE | TREE_CLOSED_AT_EXEC | whole);
    if (tree < 0) die("show %s", path);
    if (users >= 0 && syscall(NR_MOUNT_SETATTR, tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes) < 0)
        die("map the ids of %s", path);
    return tree;
}

/* Shows ROOT, this program and the host's directories below STAGE, in a mount namespace that is already ours. */
static void stage(const char *root, int users) {
    int root_fd, self, place, trees[MAX_HOSTS];
    char path[64], own[PATH_MAX];
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) die("make mounts private");
    if ((root_fd = open(root, O_PATH | O_CLOEXEC)) < 0) die("open %s", root);
    /* By its path: /proc/self/exe is a file of the mount namespace that we have left. */
    ssize_t size = readlink("/proc/self/exe", own, sizeof own - 1);
    own[size < 0 ? 0 : size] = 0;
    if ((self = open(own, O_PATH | O_CLOEXEC)) < 0) die("open %s", own);
    if ((covered = open("/tmp", O_PATH | O_CLOEXEC)) < 0) die("open /tmp");
    for (int i = 0; i < host_count; i++) trees[i] = host_tree(hosts[i], users);
    umask(022);
    if (mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=1m") < 0) die("mount the stage");
    if (mkdir(STAGE, 0755) < 0 || mkdir(STAGE "/box", 0755) < 0 || mkdir(STAGE "/merged", 0755) < 0 ||
        mkdir(STAGE "/shm", 0755) < 0)
        die("mkdir %s", STAGE);
    snprintf(path, sizeof path, "/proc/self/fd/%d", root_fd);
    if (mount(path, STAGE "/box", NULL, MS_BIND | MS_REC, NULL) < 0) die("bind %s", root);
    if ((place = open(STAGE "/machine", O_WRONLY | O_CREAT | O_CLOEXEC, 0644)) < 0) die("create a place");
    snprintf(path, sizeof path, "/proc/self/fd/%d", self);
    if (mount(path, STAGE "/machine", NULL, MS_BIND, NULL) < 0) die("bind the launcher");
    close(root_fd);
    close(self);
    close(place);
    for (int i = 0; i < host_count; i++) {
        snprintf(path, sizeof path, STAGE "/h%d", i);
        if (mkdir(path, 0755) < 0 || syscall(NR_MOVE_MOUNT, trees[i], "", AT_FDCWD, path, MOVE_FROM_EMPTY) < 0)
            die("show %s", hosts[i]);
        close(trees[i]);
    }
    for (int i = 0; i < overlay_count; i++) {
        snprintf(path, sizeof path, STAGE "/o%d", i);
        if (mkdir(path, 0755) < 0) die("mkdir %s", path);
    }
}

static void stack_overlays(void) {
    char path[64];
    for (int i = 0; i < overlay_count; i++) {
        snprintf(path, sizeof path, STAGE "/o%d", i);
        if (mount("overlay", path, "overlay", MS_NOSUID | MS_NODEV, overlays[i]) < 0)
            die("mount overlay (%s)", overlays[i]);
    }
}

static void show_etc(void) {
    char source[PATH_MAX], target[PATH_MAX];
    for (int i = 0; i < etc_count; i++) {
        snprintf(source, sizeof source, "/etc/%s", etc_names[i]);
        snprintf(target, sizeof target, STAGE "/box/etc/%s", etc_names[i]);
        if (mount(source, target, NULL, MS_BIND | MS_REC, NULL) < 0) die("bind %s", source);
    }
}

/* For good: what follows could not become root again if it wanted to. */
static void stop_being_root(uid_t uid, gid_t gid) {
    if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0) die("stop being root");
    if (setuid(0) == 0 || setgid(0) == 0) die("stop being root for good");
}

static void enter_user_namespace(uid_t uid, gid_t gid) {
    char map[64];
    /* The change of user hid /proc/self from ourselves, and the maps are written there. */
    if (prctl(PR_SET_DUMPABLE, 1) < 0) die("prctl");
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0) die("unshare user");
    write_text("/proc/self/setgroups", "deny");
    snprintf(map, sizeof map, "%d %u 1", INSIDE_ID, uid);
    write_text("/proc/self/uid_map", map);
    snprintf(map, sizeof map, "%d %u 1", INSIDE_ID, gid);
    write_text("/proc/self/gid_map", map);
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) die("make mounts private");
}

static void run_mapper(const char *program, pid_t pid, unsigned own, const char *first, const char *count) {
    char process[16], number[16];
    int status = 0;
    snprintf(process, sizeof process, "%d", pid);
    snprintf(number, sizeof number, "%u", own);
    pid_t mapper = fork();
    if (mapper == 0) {
        execlp(program, program, process, "0", number, "1", "1", first, count, NULL);
        die("run %s", program);
    }
    if (mapper < 0 || waitpid(mapper, &status, 0) < 0) die("run %s", program);
    if (status != 0) exit(70); /* it has said why */
}

static void write_map(pid_t pid, const char *kind, unsigned own, const char *first, const char *count) {
    char path[64], map[96];
    snprintf(path, sizeof path, "/proc/%d/%s_map", pid, kind);
    snprintf(map, sizeof map, "0 %u 1\n1 %s %s\n", own, first, count);
    write_text(path, map);
}

/* A user namespace in which 0 is this user and the ids from 1 on are those of the range. A root writes the map itself,
 * others have newuidmap(1) write what /etc/subuid grants them. */
static int ranged_user_namespace(uid_t uid, gid_t gid, char *range) {
    int ready[2], done[2];
    char byte, path[64], *first_gid = strchr(range, ':'), *count = strrchr(range, ':');
    if (count == first_gid) die("bad range %s", range);
    *first_gid++ = *count++ = 0;
    if (pipe2(ready, O_CLOEXEC) < 0 || pipe2(done, O_CLOEXEC) < 0) die("pipe");
    pid_t holder = fork();
    if (holder < 0) die("fork");
    if (holder == 0) {
        close(done[1]);
        if (geteuid() == 0) stop_being_root(uid, gid); /* whoever owns the namespace may enter it */
        if (prctl(PR_SET_DUMPABLE, 1) < 0 || unshare(CLONE_NEWUSER) < 0) die("unshare user");
        if (write(ready[1], "", 1) != 1 || read(done[0], &byte, 1) < 0) _exit(70);
        _exit(0);
    }
    close(ready[1]);
    if (read(ready[0], &byte, 1) != 1) exit(70); /* it has said why */
    if (geteuid() == 0) {
        write_map(holder, "uid", uid, range, count);
        write_map(holder, "gid", gid, first_gid, count);
    } else {
        run_mapper("newuidmap", holder, uid, range, count);
        run_mapper("newgidmap", holder, gid, first_gid, count);
    }
    snprintf(path, sizeof path, "/proc/%d/ns/user", holder);
    int users = open(path, O_RDONLY | O_CLOEXEC);
    if (users < 0) die("open %s", path);
    close(done[1]);
    waitpid(holder, NULL, 0);
    close(done[0]);
    close(ready[0]);
    return users;
}

static void enter_ranged(int users) {
    if (prctl(PR_SET_DUMPABLE, 1) < 0) die("prctl");
    if (setns(users, CLONE_NEWUSER) < 0 || unshare(CLONE_NEWNS) < 0) die("enter the user namespace");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) die("make mounts private");
    close(users);
}

/* ---- launch: the mounter ---- */

static int tree_of(const char *path, int directory) {
    int tree = (int)syscall(NR_OPEN_TREE, directory, path, TREE_CLONE | TREE_CLOSED_AT_EXEC | TREE_WHOLE);
    if (tree < 0) die("show %s", path);
    return tree;
}

static int source_tree(const char *path) {
    return strncmp(path, "/tmp/", 5) == 0 ? tree_of(path + 5, covered) : tree_of(path, AT_FDCWD);
}

static void set_all(int tree, uint64_t what) {
    struct mount_attributes attributes = {.set = what};
    unsigned flags = TREE_WHOLE | AT_EMPTY_PATH;
    if (syscall(NR_MOUNT_SETATTR, tree, "", flags, &attributes, sizeof attributes) < 0) die("set what a mount allows");
}

static int is_directory(int file) {
    struct stat facts;
    return fstat(file, &facts) == 0 && S_ISDIR(facts.st_mode);
}

/* Makes the place that a tree is shown at, where there is none. No link is followed: what lies under a target is what a
 * workload may have left in a layer. */
static int place_of(const char *target, int directory) {
    char path[PATH_MAX];
    if (target[0] != '/' || snprintf(path, sizeof path, "%s", target) >= (int)sizeof path) die("bad target %s", target);
    int at = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (char *name = strtok(path, "/"), *next; name != NULL; name = next) {
        next = strtok(NULL, "/");
        int file = next == NULL && !directory;
        if (!file && mkdirat(at, name, 0755) < 0 && errno != EEXIST) die("mkdir %s", target);
        if (file) {
            int made = openat(at, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
            if (made < 0 && errno != EEXIST) die("create %s", target);
            close(made);
        }
        int below = openat(at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC | (file ? 0 : O_DIRECTORY));
        if (below < 0) die("enter %s", target);
        close(at);
        at = below;
    }
    return at;
}

static void show(int tree, const char *target) {
    int at = place_of(target, is_directory(tree));
    if (syscall(NR_MOVE_MOUNT, tree, "", at, "", MOVE_FROM_EMPTY | MOVE_TO_EMPTY) < 0)
        die("mount %s", target);
    close(at);
    close(tree);
}

static void enter(int mounts) {
    int user = ioctl(mounts, OWNER_OF_NAMESPACE);
    /* Where 0 is mapped, bubblewrap makes no user namespace of its own, and nobody enters the one that they are in. */
    if (user < 0 || (setns(user, CLONE_NEWUSER) < 0 && errno != EINVAL) || setns(mounts, CLONE_NEWNS) < 0) die("enter the sandbox");
    close(user);
}

/* What is mounted here goes in as detached trees: inside, none of our paths is seen. */
static void mount_all(char **words, int word_count, const int *fds, int fd_count) {
    static const char *parts[] = {"workspace", "home", "env"}, *places[] = {"/workspace", "/home/agent", "/opt/env"};
    int trees[MAX_SOURCES], part_trees[3], shm, count = (word_count - 4) / 2, taken = 1;
    char text[64];
    if (word_count < 4 || word_count % 2 != 0 || count > MAX_SOURCES || fd_count < 1) die("bad message");
    if (mount("overlay", STAGE "/merged", "overlay", MS_NOSUID | MS_NODEV, words[0]) < 0) die("mount overlay (%s)", words[0]);
    snprintf(text, sizeof text, "mode=1777,size=%llu", strtoull(words[1], NULL, 10));
    if (mount("shm", STAGE "/shm", "tmpfs", MS_NOSUID | MS_NODEV, text) < 0) die("mount shared memory");
    shm = tree_of(STAGE "/shm", AT_FDCWD);
    for (int i = 0; i < 3; i++) {
        snprintf(text, sizeof text, STAGE "/merged/%s", parts[i]);
        part_trees[i] = tree_of(text, AT_FDCWD);
    }
    if (strcmp(words[2], "ro") == 0) set_all(part_trees[0], MOUNT_READ_ONLY);
    for (int i = 0; i < count; i++) {
        char *source = words[4 + 2 * i];
        if (source[0] == 0 && taken == fd_count) die("a mount is missing");
        trees[i] = source[0] == 0 ? fds[taken++] : source_tree(source);
        set_all(trees[i], MOUNT_READ_ONLY | MOUNT_NO_SUID | MOUNT_NO_DEVICES);
    }
    enter(fds[0]);
    show(shm, "/dev/shm");
    for (int i = 0; i < 3; i++) show(part_trees[i], places[i]);
    for (int i = 0; i < count; i++) show(trees[i], words[5 + 2 * i]);
    struct mount_attributes closed = {.set = MOUNT_READ_ONLY};
    if (syscall(NR_MOUNT_SETATTR, AT_FDCWD, words[3], 0, &closed, sizeof closed) < 0) die("close %s", words[3]);
}

static _Noreturn void mounter(int line) {
    static char message[MAX_MESSAGE];
    static char *words[4 + 2 * MAX_SOURCES];
    int fds[MAX_SOURCES + 1], fd_count = 0, word_count = 0;
    union {
        char space[CMSG_SPACE(sizeof fds)];
        struct cmsghdr aligned;
    } rights;
    struct iovec part = {message, sizeof message - 1};
    struct msghdr header = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = rights.space, .msg_controllen = sizeof rights.space};
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) die("prctl");
    int kept = fcntl(covered, F_DUPFD_CLOEXEC, line + 1);
    if (kept < 0) die("dup");
    syscall(SYS_close_range, 3, line - 1, 0);
    syscall(SYS_close_range, line + 1, kept - 1, 0);
    syscall(SYS_close_range, kept + 1, ~0U, 0);
    covered = kept;
    ssize_t size = recvmsg(line, &header, MSG_CMSG_CLOEXEC);
    if (size <= 0) exit(0); /* it is not wanted */
    struct cmsghdr *given = CMSG_FIRSTHDR(&header);
    if (given != NULL && given->cmsg_level == SOL_SOCKET && given->cmsg_type == SCM_RIGHTS) {
        fd_count = (int)((given->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(fds, CMSG_DATA(given), (size_t)fd_count * sizeof(int));
    }
    if (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) die("the message is too long");
    for (char *at = message; at < message + size; at += strlen(at) + 1) {
        if (word_count == sizeof words / sizeof *words) die("too many words");
        words[word_count++] = at;
    }
    mount_all(words, word_count, fds, fd_count);
    if (send(line, "ok", 2, MSG_NOSIGNAL) < 0) die("answer");
    exit(0);
}

static int launch(int count, char **words) {
    const char *root = NULL;
    char *range = NULL;
    uid_t uid = getuid();
    gid_t gid = getgid();
    int staged = 0, line = -1, at = 0, users = -1;
    for (; at < count && strcmp(words[at], "--") != 0; at += 2) {
        if (at + 1 >= count || words[at][0] != '-') die("bad argument %s", words[at]);
        const char *value = words[at + 1];
        switch (words[at][1]) {
        case 'u': uid = gid = (uid_t)strtoul(value, NULL, 10); break;
        case 'g': write_text(value, "0"); break;
        case 'r': root = value; break;
        case 'm': line = atoi(value); break;
        case 'R': range = words[at + 1]; break;
        case 'h':
            if (host_count == MAX_HOSTS) die("too many directories");
            hosts[host_count++] = value;
            break;
        case 'o':
            if (overlay_count == MAX_HOSTS) die("too many overlays");
            overlays[overlay_count++] = value;
            break;
        case 'e':
            if (etc_count == MAX_SOURCES) die("too many names");
            etc_names[etc_count++] = value;
            break;
        default: die("bad argument %s", words[at]);
        }
    }
    if (at + 1 >= count || root == NULL || line < 0) die("arguments are missing");
    if (geteuid() == 0) {
        if (uid == 0) die("refusing to run as root");
        if (range != NULL) users = ranged_user_namespace(uid, gid, range);
        /* As root, since the ways to the sources may be closed to the user that we become. A root that may not mount
         * anything has to do with open ways. */
        if (unshare(CLONE_NEWNS) == 0) {
            stage(root, users);
            staged = 1;
        } else if (errno != EPERM) {
            die("unshare mounts");
        }
        stop_being_root(uid, gid);
    } else if (range != NULL) {
        users = ranged_user_namespace(uid, gid, range);
    }
    if (users >= 0)
        enter_ranged(users);
    else
        enter_user_namespace(uid, gid);
    if (!staged) stage(root, -1);
    show_etc();
    stack_overlays();
    if (chdir("/") < 0) die("chdir");
    pid_t child = fork();
    if (child < 0) die("fork");
    if (child == 0) mounter(line);
    close(line);
    execv(words[at + 1], words + at + 1);
    die("run %s", words[at + 1]);
    return 70;
}

/* ---- agent ---- */

static struct {
    uint32_t id;
    pid_t supervisor;
} execs[MAX_EXECS];
static int control;

static void say(uint32_t kind, uint32_t id, int32_t code, int descriptor) {
    struct saying saying = {kind, id, code};
    struct iovec part = {&saying, sizeof saying};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr aligned;
    } rights;
    if (descriptor >= 0) {
        memset(&rights, 0, sizeof rights);
        header.msg_control = rights.space;
        header.msg_controllen = sizeof rights.space;
        struct cmsghdr *first = CMSG_FIRSTHDR(&header);
        first->cmsg_level = SOL_SOCKET;
        first->cmsg_type = SCM_RIGHTS;
        first->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(first), &descriptor, sizeof(int));
    }
    while (sendmsg(control, &header, MSG_NOSIGNAL) < 0)
        if (errno != EINTR) return; /* nobody listens any more: the agent's next recvmsg says so too */
}

static int code_of(int status) {
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* ---- agent: files ---- */

static int copy(int from, int to, unsigned long long most) {
    static char block[65536];
    for (;;) {
        ssize_t size = read(from, block, sizeof block);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return errno;
        if (size == 0) return 0;
        if ((unsigned long long)size > most) return CODE_TOO_LONG;
        most -= (unsigned long long)size;
        for (ssize_t at = 0; at < size;) {
            ssize_t part = write(to, block + at, (size_t)(size - at));
            if (part < 0 && errno == EINTR) continue;
            if (part < 0) return errno;
            at += part;
        }
    }
}

static int read_file(const char *path, unsigned long long most) {
    struct stat facts;
    int file = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (file < 0) return errno;
    if (fstat(file, &facts) < 0) return errno;
    if (!S_ISREG(facts.st_mode)) return CODE_NO_FILE;
    if ((unsigned long long)facts.st_size > most) return CODE_TOO_LONG;
    return copy(file, 1, most);
}

static int fill(int file, mode_t mode) {
    int error = copy(0, file, ~0ULL);
    if (!error && fchmod(file, mode) < 0) error = errno;
    if (close(file) < 0 && !error) error = errno;
    return error;
}

/* Written aside and then put in its place, so that nobody reads half of it. A link is followed. */
static int write_file(const char *given, mode_t mode) {
    char path[PATH_MAX], aside[PATH_MAX];
    if (realpath(given, path) == NULL) {
        if (errno != ENOENT) return errno;
        if (snprintf(path, sizeof path, "%s", given) >= (int)sizeof path) return ENAMETOOLONG;
    }
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        int error = mkdir(path, 0755) < 0 ? errno : 0;
        *slash = '/';
        if (error && error != EEXIST) return error;
    }
    char *name = strrchr(path, '/');
    int length = name == NULL ? snprintf(aside, sizeof aside, ".new-%d~", getpid())
                              : snprintf(aside, sizeof aside, "%.*s/.new-%d~", (int)(name - path), path, getpid());
    if (length >= (int)sizeof aside) return ENAMETOOLONG;
    int file = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0 && errno == EACCES) {
        file = open(path, O_WRONLY | O_TRUNC | O_NONBLOCK | O_NOCTTY | O_CLOEXEC); /* a file may be ours where its directory is not */
        return file < 0 ? (errno == ENOENT ? EACCES : errno) : fill(file, mode);
    }
    if (file < 0) return errno;
    int error = fill(file, mode);
    if (!error && rename(aside, path) < 0) error = errno;
    if (error) unlink(aside);
    return error;
}

/* ---- agent: commands ---- */

struct request {
    char *cwd, **arguments, **variables, **limits;
};

static int read_request(int file, struct request *request) {
    struct stat facts;
    uint32_t counts[3];
    if (fstat(file, &facts) < 0 || facts.st_size <= (off_t)sizeof counts || facts.st_size > MAX_REQUEST) return -1;
    size_t size = (size_t)facts.st_size, words = 0;
    char *text = malloc(size);
    if (text == NULL || pread(file, text, size, 0) != (ssize_t)size || text[size - 1] != 0) return -1;
    memcpy(counts, text, sizeof counts);
    if (counts[0] < 1) return -1;
    for (int i = 0; i < 3; i++) {
        if (counts[i] > size) return -1;
        words += counts[i];
    }
    char **list = calloc(words + 3, sizeof *list), *at = text + sizeof counts;
    if (list == NULL) return -1;
    request->cwd = at;
    char ***lists[] = {&request->arguments, &request->variables, &request->limits};
    for (int i = 0; i < 3; i++) {
        *lists[i] = list;
        for (uint32_t k = 0; k < counts[i]; k++) {
            at += strlen(at) + 1;
            if (at >= text + size) return -1;
            *list++ = at;
        }
        list++; /* ends with NULL */
    }
    return 0;
}

/* RESOURCE:MOST, as setrlimit(2) numbers them. */
static void set_limit(const char *text) {
    int resource;
    unsigned long long most;
    struct rlimit now;
    if (sscanf(text, "%d:%llu", &resource, &most) != 2 || getrlimit(resource, &now) < 0) _exit(CODE_REFUSED);
    if (now.rlim_max == RLIM_INFINITY || most < now.rlim_max) now.rlim_max = most;
    now.rlim_cur = now.rlim_max;
    if (setrlimit(resource, &now) < 0) _exit(CODE_REFUSED);
}

static void become(const struct order *order, const struct request *request, int in, int out, int err) {
    sigset_t none;
    /* Whoever started the platform may have had signals ignored (nohup, a shell's `&`); that is not the command's. */
    for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    if (order->flags & FLAG_TERMINAL && ioctl(in, TIOCSCTTY, 0) < 0) _exit(CODE_REFUSED);
    if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0) _exit(CODE_REFUSED);
    syscall(SYS_close_range, 3, ~0U, 0);
    /* Nothing of the agent's is left in here, and /proc/self is wanted: when memory runs out, commands go first. */
    prctl(PR_SET_DUMPABLE, 1);
    int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (score >= 0 && write(score, "500", 3) == 3) close(score);
    for (char **limit = request->limits; *limit != NULL; limit++) set_limit(*limit);
    char **arguments = request->arguments;
    if (order->flags & FLAG_READ) _exit(read_file(arguments[0], strtoull(arguments[1], NULL, 10)));
    if (order->flags & FLAG_WRITE) {
        signal(SIGXFSZ, SIG_IGN);
        _exit(write_file(arguments[0], (mode_t)strtoul(arguments[1], NULL, 8) & 07777));
    }
    if (chdir(request->cwd) < 0) {
        dprintf(2, "cannot enter %s: %s\n", request->cwd, strerror(errno));
        _exit(126);
    }
    environ = request->variables;
    execvp(arguments[0], arguments);
    int error = errno;
    dprintf(2, "cannot run %s: %s\n", arguments[0], strerror(error));
    _exit(error == ENOENT || error == ENOTDIR ? 127 : 126);
}

/* The parent of a process by /proc/PID/stat (proc(5)): the second field after the last parenthesis. */
static pid_t parent_of(pid_t pid) {
    char path[64], text[1024], *end;
    int parent = -1;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return -1;
    ssize_t size = read(file, text, sizeof text - 1);
    close(file);
    if (size <= 0) return -1;
    text[size] = 0;
    if ((end = strrchr(text, ')')) != NULL && sscanf(end + 1, " %*c %d", &parent) == 1) return parent;
    return -1;
}

/* Kills what stems from this process. What is born meanwhile is met by the next call. */
static void kill_descendants(void) {
    enum { MOST = 32768 };
    static pid_t pids[MOST], parents[MOST];
    static char found[MOST];
    int count = 0, more = 1;
    DIR *list = opendir("/proc");
    if (list == NULL) return;
    for (struct dirent *entry; count < MOST && (entry = readdir(list)) != NULL;) {
        pid_t pid = (pid_t)atoi(entry->d_name);
        if (pid <= 1) continue;
        pids[count] = pid;
        parents[count] = parent_of(pid);
        found[count++] = 0;
    }
    closedir(list);
    while (more) {
        more = 0;
        for (int i = 0; i < count; i++) {
            if (found[i]) continue;
            int ours = parents[i] == getpid();
            for (int k = 0; !ours && k < count; k++) ours = found[k] && pids[k] == parents[i];
            if (ours) more = found[i] = 1;
        }
    }
    /* Stopped first: who forks while others are killed leaves one more to look for. */
    for (int i = 0; i < count; i++)
        if (found[i]) kill(pids[i], SIGSTOP);
    for (int i = 0; i < count; i++)
        if (found[i]) kill(pids[i], SIGKILL);
}

/* The new terminal's inner end; its other end goes to the host. */
static int open_terminal(const struct order *order) {
    struct winsize size = {.ws_row = order->rows, .ws_col = order->columns};
    int unlocked = 0, outer = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (outer < 0 || ioctl(outer, TIOCSPTLCK, &unlocked) < 0) return -1;
    ioctl(outer, TIOCSWINSZ, &size);
    int inner = ioctl(outer, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (inner >= 0) say(SAY_TERMINAL, order->id, 0, outer);
    close(outer);
    return inner;
}

/* Stands between the agent and a command for as long as anything of the command lives: every orphan of its tree becomes
 * a child of this process, so nothing gets out of reach by forking twice or by leaving its session. */
static void supervise(const struct order *order, const int *fds, int fd_count) {
    struct request request;
    int status, killing = 0, passes = 0, in, out, err;
    sigset_t watched;
    sigemptyset(&watched);
    sigaddset(&watched, SIGCHLD);
    sigaddset(&watched, SIGTERM);
    sigprocmask(SIG_SETMASK, &watched, NULL);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (fd_count < 1 || read_request(fds[0], &request) < 0) goto refused;
    close(fds[0]);
    if (order->flags & FLAG_TERMINAL) {
        in = out = err = open_terminal(order);
    } else {
        if (fd_count < 3) goto refused;
        out = fds[1];
        err = fds[2];
        in = fd_count > 3 ? fds[3] : open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    if (in < 0) goto refused;
    pid_t child = fork();
    if (child == 0) become(order, &request, in, out, err);
    if (child < 0) goto refused;
    close(in);
    if (out != in) close(out);
    if (err != out && err != in) close(err);
    for (;;) {
        pid_t pid;
        while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
            if (pid == child) say(SAY_ENDED, order->id, code_of(status), -1);
        if (pid < 0) _exit(0); /* no child is left; the agent says that we are gone */
        if (killing) kill_descendants();
        /* A signal to everybody is the one that no fork escapes. */
        if (killing && ++passes > KILL_PASSES) kill(-1, SIGKILL);
        struct timespec soon = {0, 2000000};
        if ((killing ? sigtimedwait(&watched, NULL, &soon) : sigwaitinfo(&watched, NULL)) == SIGTERM) killing = 1;
    }
refused:
    say(SAY_REFUSED, order->id, errno, -1);
    _exit(0);
}

static void start(const struct order *order, const int *fds, int fd_count) {
    for (int i = 0; i < MAX_EXECS; i++) {
        if (execs[i].supervisor != 0) continue;
        pid_t pid = fork();
        if (pid == 0) supervise(order, fds, fd_count);
        if (pid < 0) break;
        execs[i].id = order->id;
        execs[i].supervisor = pid;
        return;
    }
    say(SAY_REFUSED, order->id, errno, -1);
    say(SAY_GONE, order->id, 0, -1);
}

static void reap(void) {
    for (pid_t pid; (pid = waitpid(-1, NULL, WNOHANG)) > 0;)
        for (int i = 0; i < MAX_EXECS; i++)
            if (execs[i].supervisor == pid) {
                execs[i].supervisor = 0;
                say(SAY_GONE, execs[i].id, 0, -1);
                break;
            }
}

/* A listening socket of this network, for the host to answer at. Nothing of it stays here. */
static void listen_inside(const struct order *order) {
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons((uint16_t)order->flags)};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (listener < 0 || bind(listener, (struct sockaddr *)&place, sizeof place) < 0 || listen(listener, 256) < 0)
        say(SAY_REFUSED, order->id, errno, -1);
    else
        say(SAY_LISTENING, order->id, 0, listener);
    if (listener >= 0) close(listener);
    say(SAY_GONE, order->id, 0, -1);
}

/* The state of a process by /proc/PID/stat (proc(5)): the first field after the last parenthesis. */
static char state_of(const char *pid) {
    char path[64], text[1024], *end;
    snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    ssize_t size = read(file, text, sizeof text - 1);
    close(file);
    if (size <= 0) return 0;
    text[size] = 0;
    return (end = strrchr(text, ')')) != NULL && end[1] == ' ' ? end[2] : 0;
}

static int all_stopped(void) {
    DIR *list = opendir("/proc");
    int stopped = 1;
    if (list == NULL) return 1;
    for (struct dirent *entry; stopped && (entry = readdir(list)) != NULL;)
        if (atoi(entry->d_name) > 1 && strchr("RSD", state_of(entry->d_name)) != NULL) stopped = state_of(entry->d_name) == 0;
    closedir(list);
    return stopped;
}

/* A signal to everybody is the one that no fork escapes; it does not reach process 1. */
static void freeze(const struct order *order) {
    for (int pass = 0; pass < FREEZE_PASSES; pass++) {
        kill(-1, SIGSTOP);
        if (all_stopped()) break;
        struct timespec soon = {0, 1000000};
        nanosleep(&soon, NULL);
    }
    say(SAY_GONE, order->id, 0, -1);
}

/* A socket that connects to a port of this network's loopback. Whoever gets it waits: a full queue shall not hold us up. */
static void connect_inside(const struct order *order) {
    struct sockaddr_in near = {.sin_family = AF_INET, .sin_port = htons((uint16_t)order->flags)};
    struct sockaddr_in6 near6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)order->flags)};
    int six = order->rows != 0, end = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    near.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    near6.sin6_addr = in6addr_loopback;
    const struct sockaddr *place = six ? (struct sockaddr *)&near6 : (struct sockaddr *)&near;
    if (end < 0 || (connect(end, place, six ? sizeof near6 : sizeof near) < 0 && errno != EINPROGRESS))
        say(SAY_REFUSED, order->id, errno, -1);
    else
        say(SAY_CONNECTING, order->id, 0, end);
    if (end >= 0) close(end);
    say(SAY_GONE, order->id, 0, -1);
}

static void obey(void) {
    struct order order;
    int fds[8], fd_count = 0;
    union {
        char space[CMSG_SPACE(sizeof fds)];
        struct cmsghdr aligned;
    } rights;
    struct iovec part = {&order, sizeof order};
    struct msghdr header = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = rights.space, .msg_controllen = sizeof rights.space};
    ssize_t size = recvmsg(control, &header, MSG_CMSG_CLOEXEC);
    if (size < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (size <= 0) _exit(0); /* the platform is gone: as process 1 we take everything along */
    struct cmsghdr *given = CMSG_FIRSTHDR(&header);
    if (given != NULL && given->cmsg_level == SOL_SOCKET && given->cmsg_type == SCM_RIGHTS) {
        fd_count = (int)((given->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(fds, CMSG_DATA(given), (size_t)fd_count * sizeof(int));
    }
    if (size == sizeof order && order.kind == ORDER_RUN) start(&order, fds, fd_count);
    if (size == sizeof order && order.kind == ORDER_LISTEN) listen_inside(&order);
    if (size == sizeof order && order.kind == ORDER_FREEZE) freeze(&order);
    if (size == sizeof order && order.kind == ORDER_THAW) {
        kill(-1, SIGCONT);
        say(SAY_GONE, order.id, 0, -1);
    }
    if (size == sizeof order && order.kind == ORDER_CONNECT) connect_inside(&order);
    if (size == sizeof order && order.kind == ORDER_KILL)
        for (int i = 0; i < MAX_EXECS; i++)
            if (execs[i].supervisor != 0 && execs[i].id == order.id) {
                kill(execs[i].supervisor, SIGTERM);
                kill(execs[i].supervisor, SIGCONT); /* the workload may have stopped it */
            }
    for (int i = 0; i < fd_count; i++) close(fds[i]);
}

static void on_child(int number) { (void)number; }

static _Noreturn void agent(const char *line) {
    struct sigaction action = {.sa_handler = on_child};
    sigset_t watched, none;
    /* Else the workload reads and writes us through /proc/1/mem, and takes our socket out of /proc/1/fd. */
    if (prctl(PR_SET_DUMPABLE, 0) < 0) die("prctl");
    keep_only(atoi(line));
    control = 3;
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int i = 0; i < 3; i++)
        if (dup2(nothing, i) < 0) die("dup2");
    close(nothing);
    umask(022);
    sigemptyset(&none);
    sigemptyset(&watched);
    sigaddset(&watched, SIGCHLD);
    sigprocmask(SIG_SETMASK, &watched, NULL);
    sigaction(SIGCHLD, &action, NULL);
    int mounts = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    say(SAY_HELLO, 0, 0, mounts);
    close(mounts);
    for (;;) {
        struct pollfd wait = {control, POLLIN, 0};
        int ready = ppoll(&wait, 1, NULL, &none);
        reap();
        if (ready > 0) obey();
    }
}

/* ---- join ---- */

static void filter_calls(const char *path) {
    static struct sock_filter code[BPF_MAXINSNS];
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = file < 0 ? -1 : read(file, code, sizeof code);
    if (size <= 0 || (size_t)size % sizeof *code != 0) die("read %s", path);
    close(file);
    struct sock_fprog program = {.len = (unsigned short)((size_t)size / sizeof *code), .filter = code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
        die("filter system calls");
}

static _Noreturn void join(const char *name, const char *filter) {
    struct sockaddr_un place = {.sun_family = AF_UNIX};
    char number[16];
    if (snprintf(place.sun_path, sizeof place.sun_path, "%s", name) >= (int)sizeof place.sun_path) die("bad name %s", name);
    int line = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (line < 0 || connect(line, (struct sockaddr *)&place, sizeof place) < 0) die("connect to %s", name);
    filter_calls(filter);
    if (chdir("/") < 0) die("chdir");
    snprintf(number, sizeof number, "%d", line);
    agent(number);
}

int main(int count, char **words) {
    if (count > 2 && strcmp(words[1], "launch") == 0) return launch(count - 2, words + 2);
    if (count > 3 && strcmp(words[1], "mapped") == 0) {
        enter_ranged(ranged_user_namespace(getuid(), getgid(), words[2]));
        execvp(words[3], words + 3);
        die("run %s", words[3]);
    }
    if (count > 3 && strcmp(words[1], "join") == 0) join(words[2], words[3]);
    if (count > 2 && strcmp(words[1], "agent") == 0) agent(words[2]);
    fprintf(stderr, "this program is started by Pullwright\n");
    return 64;
}
