/* The launcher and the agent of a sandbox, in one static program.
 *
 *   machine launch [-u UID] [-g FILE]... [-l RESOURCE:MOST]... -r ROOT [-b SOURCE]... -o OPTIONS -- BWRAP ARG...
 *     Builds what bubblewrap starts from: as root it first shows what lies under closed directories at a place of its
 *     own and then stops being root; a user and a mount namespace in which 1000 is that user; the overlay. Then it
 *     becomes bubblewrap. ROOT appears at STAGE/box, the n-th SOURCE at STAGE/bN, the overlay at STAGE/merged.
 *     FILE is a cgroup.procs to enter.
 *
 *   machine agent FD
 *     Process 1 inside. Takes orders over a SOCK_SEQPACKET socket, runs commands, reports their ends. It ends, and with
 *     it everything inside, when the other end of the socket is closed.
 *
 * An order is a struct order, then `strings` NUL-terminated strings: working directory, arguments, variables. Its
 * descriptors (standard input, output, error; or one terminal) come with it (unix(7), SCM_RIGHTS).
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define STAGE "/tmp/pw"
#define MAX_SOURCES 64
#define MAX_MESSAGE (256 * 1024)
#define MAX_EXECS 4096
#define INSIDE_ID 1000

enum { ORDER_RUN = 1, ORDER_KILL = 2, ORDER_READ = 3, ORDER_WRITE = 4, ORDER_KILL_ALL = 5 };
enum { FLAG_TERMINAL = 1 };
enum { SAY_HELLO = 1, SAY_ENDED = 2, SAY_CLEARED = 3 };

struct order {
    uint32_t kind, id, flags, arguments, variables;
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

/* ---- launch ---- */

static const char *sources[MAX_SOURCES];
static int source_fds[MAX_SOURCES];
static int source_count;

static void show_one(int file, const char *target) {
    struct stat facts;
    char path[64];
    if (fstat(file, &facts) < 0) die("stat %s", target);
    if (S_ISDIR(facts.st_mode)) {
        if (mkdir(target, 0755) < 0) die("mkdir %s", target);
    } else {
        int made = open(target, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        if (made < 0) die("create %s", target);
        close(made);
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    if (mount(path, target, NULL, MS_BIND | MS_REC, NULL) < 0) die("bind %s", target);
}

/* Shows ROOT and the sources below STAGE, in a mount namespace that is already ours. */
static void stage(const char *root) {
    char target[64];
    int root_fd;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) die("make mounts private");
    if ((root_fd = open(root, O_PATH | O_CLOEXEC)) < 0) die("open %s", root);
    for (int i = 0; i < source_count; i++)
        if ((source_fds[i] = open(sources[i], O_PATH | O_CLOEXEC)) < 0) die("open %s", sources[i]);
    umask(022);
    if (mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=1m") < 0) die("mount the stage");
    if (mkdir(STAGE, 0755) < 0 || mkdir(STAGE "/merged", 0755) < 0) die("mkdir %s", STAGE);
    show_one(root_fd, STAGE "/box");
    for (int i = 0; i < source_count; i++) {
        snprintf(target, sizeof target, STAGE "/b%d", i);
        show_one(source_fds[i], target);
    }
}

/* RESOURCE:MOST, as setrlimit(2) numbers them. */
static void limit(const char *text) {
    int resource;
    unsigned long long most;
    struct rlimit now;
    if (sscanf(text, "%d:%llu", &resource, &most) != 2) die("bad limit %s", text);
    if (getrlimit(resource, &now) < 0) die("limit %s", text);
    if (now.rlim_max == RLIM_INFINITY || most < now.rlim_max) now.rlim_max = most;
    now.rlim_cur = now.rlim_max;
    if (setrlimit(resource, &now) < 0) die("limit %s", text);
}

static int launch(int count, char **words) {
    const char *root = NULL, *options = NULL;
    uid_t uid = getuid();
    gid_t gid = getgid();
    int as_root = geteuid() == 0, at = 0;
    char map[64];
    for (; at < count && strcmp(words[at], "--") != 0; at += 2) {
        if (at + 1 >= count || words[at][0] != '-') die("bad argument %s", words[at]);
        const char *value = words[at + 1];
        switch (words[at][1]) {
        case 'u': uid = gid = (uid_t)strtoul(value, NULL, 10); break;
        case 'g': write_text(value, "0"); break;
        case 'l': limit(value); break;
        case 'r': root = value; break;
        case 'o': options = value; break;
        case 'b':
            if (source_count == MAX_SOURCES) die("too many sources");
            sources[source_count++] = value;
            break;
        default: die("bad argument %s", words[at]);
        }
    }
    if (at + 1 >= count || root == NULL || options == NULL) die("arguments are missing");
    if (as_root) {
        if (uid == 0) die("refusing to run as root");
        if (unshare(CLONE_NEWNS) < 0) die("unshare mounts");
        stage(root);
        if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0) die("stop being root");
    }
    if (prctl(PR_SET_DUMPABLE, 1) < 0) die("prctl");
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0) die("unshare user");
    write_text("/proc/self/setgroups", "deny");
    snprintf(map, sizeof map, "%d %u 1", INSIDE_ID, uid);
    write_text("/proc/self/uid_map", map);
    snprintf(map, sizeof map, "%d %u 1", INSIDE_ID, gid);
    write_text("/proc/self/gid_map", map);
    if (as_root) {
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) die("make mounts private");
    } else {
        stage(root);
    }
    if (mount("overlay", STAGE "/merged", "overlay", MS_NOSUID | MS_NODEV, options) < 0) die("mount overlay (%s)", options);
    if (chdir("/") < 0) die("chdir");
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
static char message[MAX_MESSAGE];

static void say(uint32_t kind, uint32_t id, int32_t code) {
    struct saying saying = {kind, id, code};
    while (send(control, &saying, sizeof saying, MSG_NOSIGNAL) < 0)
        if (errno != EINTR && errno != EAGAIN) _exit(0);
}

static int code_of(int status) {
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
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

static int descends(pid_t pid, pid_t from) {
    for (int depth = 0; pid > 1 && depth < 100000; depth++) {
        pid_t parent = parent_of(pid);
        if (parent == from) return 1;
        pid = parent;
    }
    return 0;
}

/* Kills what descends from `from` (0: everything but us) until a pass finds nothing alive. */
static void kill_below(pid_t from) {
    for (int pass = 0; pass < 1000; pass++) {
        int found = 0;
        if (from == 0) {
            if (kill(-1, SIGKILL) < 0) return;
            while (waitpid(-1, NULL, WNOHANG) > 0) found = 1;
            if (!found) {
                usleep(1000);
                if (kill(-1, 0) < 0) return;
            }
            continue;
        }
        DIR *list = opendir("/proc");
        if (list == NULL) return;
        for (struct dirent *entry; (entry = readdir(list)) != NULL;) {
            pid_t pid = (pid_t)atoi(entry->d_name);
            char path[64], state = 'Z';
            if (pid <= 1 || !descends(pid, from)) continue;
            snprintf(path, sizeof path, "/proc/%d/stat", pid);
            FILE *file = fopen(path, "re");
            char text[1024], *end;
            if (file != NULL) {
                if (fgets(text, sizeof text, file) != NULL && (end = strrchr(text, ')')) != NULL) state = end[2];
                fclose(file);
            }
            if (state != 'Z') {
                found = 1;
                kill(pid, SIGKILL);
            }
        }
        closedir(list);
        if (!found) return;
    }
}

static int copy(int from, int to, unsigned long long limit) {
    char block[65536];
    unsigned long long total = 0;
    for (;;) {
        ssize_t size = read(from, block, sizeof block);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return errno;
        if (size == 0) return 0;
        total += (unsigned long long)size;
        if (total > limit) return EFBIG;
        for (ssize_t at = 0; at < size;) {
            ssize_t part = write(to, block + at, (size_t)(size - at));
            if (part < 0 && errno == EINTR) continue;
            if (part < 0) return errno;
            at += part;
        }
    }
}

static int read_file(const char *path, unsigned long long limit) {
    struct stat facts;
    int file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (file < 0) return errno;
    if (fstat(file, &facts) < 0) return errno;
    if (!S_ISREG(facts.st_mode)) return EISDIR;
    return copy(file, 1, limit);
}

static int write_file(char *path, mode_t mode) {
    char aside[PATH_MAX];
    for (char *slash = path + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = 0;
        if (mkdir(path, 0755) < 0 && errno != EEXIST) return errno;
        *slash = '/';
    }
    if (snprintf(aside, sizeof aside, "%s.%d.new", path, getpid()) >= (int)sizeof aside) return ENAMETOOLONG;
    int file = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0) return errno;
    int error = copy(0, file, ~0ULL);
    if (!error && (fchmod(file, mode) < 0 || close(file) < 0 || rename(aside, path) < 0)) error = errno;
    if (error) unlink(aside);
    return error;
}

static void run(const struct order *order, char **strings, int *fds, int fd_count) {
    char **arguments = strings + 1, **variables = strings + 2 + order->arguments;
    setsid();
    if (order->flags & FLAG_TERMINAL) {
        if (fd_count != 1 || ioctl(fds[0], TIOCSCTTY, 0) < 0) _exit(125);
        dup2(fds[0], 0), dup2(fds[0], 1), dup2(fds[0], 2);
    } else {
        if (fd_count != 3) _exit(125);
        dup2(fds[0], 0), dup2(fds[1], 1), dup2(fds[2], 2);
    }
    syscall(SYS_close_range, 3, ~0U, 0);
    signal(SIGPIPE, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (order->kind == ORDER_READ) _exit(read_file(arguments[0], strtoull(arguments[1], NULL, 10)));
    if (order->kind == ORDER_WRITE) {
        umask(022);
        _exit(write_file(arguments[0], (mode_t)strtoul(arguments[1], NULL, 8)));
    }
    umask(022);
    if (chdir(strings[0]) < 0) {
        dprintf(2, "cannot enter %s: %s\n", strings[0], strerror(errno));
        _exit(126);
    }
    environ = variables;
    const char *path = getenv("PATH");
    if (path != NULL) setenv("PATH", path, 1);
    execvp(arguments[0], arguments);
    int error = errno;
    dprintf(2, "cannot run %s: %s\n", arguments[0], strerror(error));
    _exit(error == ENOENT ? 127 : 126);
}

/* Stands between the agent and a command: what the command leaves behind stays below it, where it can be found. */
static void supervise(const struct order *order, char **strings, int *fds, int fd_count) {
    int status;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    setsid();
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    close(control);
    pid_t child = fork();
    if (child < 0) _exit(125);
    if (child == 0) run(order, strings, fds, fd_count);
    syscall(SYS_close_range, 0, ~0U, 0);
    for (;;) {
        pid_t ended = waitpid(-1, &status, 0);
        if (ended == child) _exit(code_of(status));
        if (ended < 0 && errno == ECHILD) _exit(125);
    }
}

static void start(const struct order *order, char **strings, int *fds, int fd_count) {
    for (int i = 0; i < MAX_EXECS; i++) {
        if (execs[i].supervisor != 0) continue;
        pid_t pid = fork();
        if (pid == 0) supervise(order, strings, fds, fd_count);
        if (pid < 0) break;
        execs[i].id = order->id;
        execs[i].supervisor = pid;
        return;
    }
    say(SAY_ENDED, order->id, 125);
}

static void reap(void) {
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        for (int i = 0; i < MAX_EXECS; i++)
            if (execs[i].supervisor == pid) {
                execs[i].supervisor = 0;
                say(SAY_ENDED, execs[i].id, code_of(status));
                break;
            }
}

static void obey(size_t size, int *fds, int fd_count) {
    static char *strings[65536];
    struct order order;
    if (size < sizeof order) return;
    memcpy(&order, message, sizeof order);
    if (order.kind == ORDER_KILL || order.kind == ORDER_KILL_ALL) {
        if (order.kind == ORDER_KILL_ALL) {
            kill_below(0);
            for (int i = 0; i < MAX_EXECS; i++)
                if (execs[i].supervisor != 0) {
                    execs[i].supervisor = 0;
                    say(SAY_ENDED, execs[i].id, 137);
                }
            say(SAY_CLEARED, order.id, 0);
            return;
        }
        for (int i = 0; i < MAX_EXECS; i++)
            if (execs[i].supervisor != 0 && execs[i].id == order.id) {
                kill_below(execs[i].supervisor);
                kill(execs[i].supervisor, SIGKILL);
            }
        return;
    }
    size_t wanted = 1 + (size_t)order.arguments + order.variables, count = 0, slot = 0;
    if (order.arguments == 0 || wanted > 60000) return;
    char *at = message + sizeof order, *end = message + size;
    while (at < end && count < wanted) {
        char *stop = memchr(at, 0, (size_t)(end - at));
        if (stop == NULL) return;
        strings[slot++] = at;
        if (++count == 1 + (size_t)order.arguments) strings[slot++] = NULL;
        at = stop + 1;
    }
    if (count != wanted) return;
    strings[slot] = NULL;
    start(&order, strings, fds, fd_count);
}

static int agent(const char *number) {
    char ancillary[CMSG_SPACE(3 * sizeof(int))];
    sigset_t children;
    control = atoi(number);
    if (prctl(PR_SET_DUMPABLE, 0) < 0) die("prctl");
    if (control != 3 && dup2(control, 3) < 0) die("dup2");
    control = 3;
    syscall(SYS_close_range, 4, ~0U, 0);
    int nothing = open("/dev/null", O_RDWR);
    for (int i = 0; i < 3; i++) dup2(nothing, i);
    if (nothing > 3) close(nothing);
    fcntl(control, F_SETFD, FD_CLOEXEC);
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    sigprocmask(SIG_BLOCK, &children, NULL);
    int signals = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals < 0) die("signalfd");
    say(SAY_HELLO, 0, 0);
    for (;;) {
        struct pollfd waits[2] = {{control, POLLIN, 0}, {signals, POLLIN, 0}};
        if (poll(waits, 2, -1) < 0 && errno != EINTR) return 1;
        if (waits[1].revents) {
            struct signalfd_siginfo info;
            while (read(signals, &info, sizeof info) > 0) continue;
            reap();
        }
        if (waits[0].revents == 0) continue;
        struct iovec part = {message, sizeof message};
        struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = ancillary, .msg_controllen = sizeof ancillary};
        ssize_t size = recvmsg(control, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        if (size == 0) return 0;
        if (size < 0) {
            if (errno == EINTR || errno == EAGAIN) continue;
            return 0;
        }
        int fds[3], fd_count = 0;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&header); c != NULL; c = CMSG_NXTHDR(&header, c))
            if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
                fd_count = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
                memcpy(fds, CMSG_DATA(c), (size_t)fd_count * sizeof(int));
            }
        if (!(header.msg_flags & MSG_TRUNC)) obey((size_t)size, fds, fd_count);
        for (int i = 0; i < fd_count; i++) close(fds[i]);
    }
}

int main(int count, char **words) {
    if (count > 2 && strcmp(words[1], "launch") == 0) return launch(count - 2, words + 2);
    if (count == 3 && strcmp(words[1], "agent") == 0) return agent(words[2]);
    fprintf(stderr, "this program is started by Pullwright\n");
    return 64;
}
