/* The launcher and the agent of a sandbox, in one static program.
 *
 *   machine launch [-u UID] [-g FILE]... -r ROOT [-b SOURCE]... [-e NAME]... -o OPTIONS [-s BYTES]
 *                  -- BWRAP ARG...
 *     Builds what bubblewrap starts from: as root it first shows what lies under closed directories at a place of its
 *     own and then stops being root; a user and a mount namespace in which 1000 is that user; the overlay. Then it
 *     becomes bubblewrap. ROOT appears at STAGE/box, the n-th SOURCE at STAGE/bN, the overlay at STAGE/merged, a tmpfs
 *     of BYTES at STAGE/shm. FILE is a cgroup.procs to enter. Each NAME of the host's /etc is shown at its place below
 *     ROOT/etc: bubblewrap then binds that as one, which takes a tenth of the time.
 *
 *   machine agent FD [RESOURCE:MOST]...
 *     Process 1 inside. Takes orders over a SOCK_SEQPACKET socket, runs commands under these limits (setrlimit(2)),
 *     reports their ends. It ends, and with it everything inside, when the other end of the socket is closed.
 *
 * An order is a struct order. With ORDER_RUN come descriptors (unix(7), SCM_RIGHTS): the request, standard output,
 * standard error, and standard input unless it is /dev/null; with FLAG_TERMINAL the request alone, and SAY_TERMINAL
 * brings the terminal's other end back. A request is a file: the number of arguments and of variables (uint32_t), then
 * the working directory, the arguments and the variables as NUL-terminated strings. ORDER_LISTEN opens 127.0.0.1:FLAGS
 * inside, and SAY_LISTENING hands the listening socket out: a socket stays in the network that it was made in, so the
 * host itself answers in there.
 *
 * The agent trusts the host; the host trusts nothing that comes from here.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
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
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STAGE "/tmp/pw"
#define MAX_SOURCES 64
#define MAX_REQUEST (64 * 1024 * 1024)
#define MAX_EXECS 4096
#define KILL_PASSES 500 /* about two seconds */
#define INSIDE_ID 1000

enum { ORDER_RUN = 1, ORDER_KILL = 2, ORDER_LISTEN = 3 };
enum { FLAG_TERMINAL = 1, FLAG_READ = 2, FLAG_WRITE = 4 };
enum { SAY_HELLO = 1, SAY_TERMINAL = 2, SAY_ENDED = 3, SAY_GONE = 4, SAY_REFUSED = 5, SAY_LISTENING = 6 };
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

/* ---- launch ---- */

static const char *sources[MAX_SOURCES], *etc_names[MAX_SOURCES];
static int source_fds[MAX_SOURCES];
static int source_count, etc_count;

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
    if (mkdir(STAGE, 0755) < 0 || mkdir(STAGE "/merged", 0755) < 0 || mkdir(STAGE "/shm", 0755) < 0)
        die("mkdir %s", STAGE);
    show_one(root_fd, STAGE "/box");
    for (int i = 0; i < source_count; i++) {
        snprintf(target, sizeof target, STAGE "/b%d", i);
        show_one(source_fds[i], target);
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

static int launch(int count, char **words) {
    const char *root = NULL, *options = NULL;
    uid_t uid = getuid();
    gid_t gid = getgid();
    int staged = 0, at = 0;
    char shm[64] = "mode=1777,size=64m";
    for (; at < count && strcmp(words[at], "--") != 0; at += 2) {
        if (at + 1 >= count || words[at][0] != '-') die("bad argument %s", words[at]);
        const char *value = words[at + 1];
        switch (words[at][1]) {
        case 'u': uid = gid = (uid_t)strtoul(value, NULL, 10); break;
        case 'g': write_text(value, "0"); break;
        case 'r': root = value; break;
        case 'o': options = value; break;
        case 'e':
            if (etc_count == MAX_SOURCES) die("too many names");
            etc_names[etc_count++] = value;
            break;
        case 's': snprintf(shm, sizeof shm, "mode=1777,size=%llu", strtoull(value, NULL, 10)); break;
        case 'b':
            if (source_count == MAX_SOURCES) die("too many sources");
            sources[source_count++] = value;
            break;
        default: die("bad argument %s", words[at]);
        }
    }
    if (at + 1 >= count || root == NULL || options == NULL) die("arguments are missing");
    if (geteuid() == 0) {
        if (uid == 0) die("refusing to run as root");
        /* As root, since the ways to the sources may be closed to the user that we become. A root that may not mount
         * anything has to do with open ways. */
        if (unshare(CLONE_NEWNS) == 0) {
            stage(root);
            staged = 1;
        } else if (errno != EPERM) {
            die("unshare mounts");
        }
        stop_being_root(uid, gid);
    }
    enter_user_namespace(uid, gid);
    if (!staged) stage(root);
    show_etc();
    if (mount("overlay", STAGE "/merged", "overlay", MS_NOSUID | MS_NODEV, options) < 0) die("mount overlay (%s)", options);
    if (mount("shm", STAGE "/shm", "tmpfs", MS_NOSUID | MS_NODEV, shm) < 0) die("mount shared memory");
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
static int limit_count;
static char **limits;

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
    char *cwd, **arguments, **variables;
};

static int read_request(int file, struct request *request) {
    struct stat facts;
    uint32_t counts[2];
    if (fstat(file, &facts) < 0 || facts.st_size <= (off_t)sizeof counts || facts.st_size > MAX_REQUEST) return -1;
    size_t size = (size_t)facts.st_size;
    char *text = malloc(size);
    if (text == NULL || pread(file, text, size, 0) != (ssize_t)size || text[size - 1] != 0) return -1;
    memcpy(counts, text, sizeof counts);
    if (counts[0] < 1 || counts[0] > size || counts[1] > size) return -1;
    char **list = calloc((size_t)counts[0] + counts[1] + 2, sizeof *list), *at = text + sizeof counts;
    if (list == NULL) return -1;
    request->cwd = at;
    request->arguments = list;
    request->variables = list + counts[0] + 1;
    for (uint32_t i = 0; i < counts[0] + counts[1]; i++) {
        at += strlen(at) + 1;
        if (at >= text + size) return -1;
        list[i < counts[0] ? i : i + 1] = at;
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
    for (int i = 0; i < limit_count; i++) set_limit(limits[i]);
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
    if (size == sizeof order && order.kind == ORDER_KILL)
        for (int i = 0; i < MAX_EXECS; i++)
            if (execs[i].supervisor != 0 && execs[i].id == order.id) {
                kill(execs[i].supervisor, SIGTERM);
                kill(execs[i].supervisor, SIGCONT); /* the workload may have stopped it */
            }
    for (int i = 0; i < fd_count; i++) close(fds[i]);
}

static void on_child(int number) { (void)number; }

static _Noreturn void agent(int count, char **words) {
    struct sigaction action = {.sa_handler = on_child};
    sigset_t watched, none;
    /* Else the workload reads and writes us through /proc/1/mem, and takes our socket out of /proc/1/fd. */
    if (prctl(PR_SET_DUMPABLE, 0) < 0) die("prctl");
    limit_count = count - 1;
    limits = words + 1;
    control = atoi(words[0]);
    if (control != 3 && dup2(control, 3) < 0) die("dup2");
    control = 3;
    syscall(SYS_close_range, 4, ~0U, 0);
    fcntl(control, F_SETFD, FD_CLOEXEC);
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
    say(SAY_HELLO, 0, 0, -1);
    for (;;) {
        struct pollfd wait = {control, POLLIN, 0};
        int ready = ppoll(&wait, 1, NULL, &none);
        reap();
        if (ready > 0) obey();
    }
}

int main(int count, char **words) {
    if (count > 2 && strcmp(words[1], "launch") == 0) return launch(count - 2, words + 2);
    if (count > 2 && strcmp(words[1], "agent") == 0) agent(count - 2, words + 2);
    fprintf(stderr, "this program is started by Pullwright\n");
    return 64;
}
