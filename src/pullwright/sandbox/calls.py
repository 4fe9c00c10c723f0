"""Which system calls a sandbox has, by what they are for, and which are refused by name.

An allow list: what is not named here does not exist inside. A word is `name:number`, the number being that of x86-64
(asm/unistd_64.h), then where it is another one that of arm64 (asm-generic/unistd.h); `-` where a machine has none.
`clone`, `ioctl`, `socket`, `mknod` and `mknodat` are allowed as far as their arguments are (`seccomp.py`).
"""

_ALLOWED = {
    # reading and writing what the mounts show; a mount decides what may be written
    "files": """
        read:0:63 write:1:64 readv:19:65 writev:20:66 pread64:17:67 pwrite64:18:68 preadv:295:69
        pwritev:296:70 preadv2:327:286 pwritev2:328:287 open:2:- openat:257:56 openat2:437
        creat:85:- close:3:57 close_range:436 lseek:8:62 stat:4:- fstat:5:80 lstat:6:-
        newfstatat:262:79 statx:332:291 statfs:137:43 fstatfs:138:44 access:21:- faccessat:269:48
        faccessat2:439 readlink:89:- readlinkat:267:78 getdents:78:- getdents64:217:61 getcwd:79:17
        chdir:80:49 fchdir:81:50 rename:82:- renameat:264:38 renameat2:316:276 mkdir:83:-
        mkdirat:258:34 rmdir:84:- unlink:87:- unlinkat:263:35 link:86:- linkat:265:37 symlink:88:-
        symlinkat:266:36 chmod:90:- fchmod:91:52 fchmodat:268:53 fchmodat2:452 chown:92:-
        fchown:93:55 lchown:94:- fchownat:260:54 truncate:76:45 ftruncate:77:46 fallocate:285:47
        fadvise64:221:223 readahead:187:213 fsync:74:82 fdatasync:75:83 sync_file_range:277:84
        umask:95:166 utime:132:- utimes:235:- utimensat:280:88 futimesat:261:- flock:73:32
        fcntl:72:25 dup:32:23 dup2:33:- dup3:292:24 pipe:22:- pipe2:293:59 sendfile:40:71
        copy_file_range:326:285 splice:275:76 tee:276:77 vmsplice:278:75 setxattr:188:5
        lsetxattr:189:6 fsetxattr:190:7 getxattr:191:8 lgetxattr:192:9 fgetxattr:193:10
        listxattr:194:11 llistxattr:195:12 flistxattr:196:13 removexattr:197:14 lremovexattr:198:15
        fremovexattr:199:16 setxattrat:463 getxattrat:464 listxattrat:465 removexattrat:466
        file_getattr:468 inotify_init:253:- inotify_init1:294:26 inotify_add_watch:254:27
        inotify_rm_watch:255:28 cachestat:451
    """,
    # of the process itself
    "memory": """
        mmap:9:222 munmap:11:215 mremap:25:216 mprotect:10:226 brk:12:214 madvise:28:233
        msync:26:227 mincore:27:232 mlock:149:228 mlock2:325:284 munlock:150:229 mlockall:151:230
        munlockall:152:231 memfd_create:319:279 pkey_alloc:330:289 pkey_free:331:290
        pkey_mprotect:329:288 membarrier:324:283 map_shadow_stack:453 mseal:462
        get_mempolicy:239:236
    """,
    # for descriptors, time, locks and other threads
    "waiting": """
        select:23:- pselect6:270:72 poll:7:- ppoll:271:73 epoll_create:213:- epoll_create1:291:20
        epoll_ctl:233:21 epoll_ctl_old:214:- epoll_wait:232:- epoll_wait_old:215:-
        epoll_pwait:281:22 epoll_pwait2:441 eventfd:284:- eventfd2:290:19 signalfd:282:-
        signalfd4:289:74 futex:202:98 futex_waitv:449 futex_wake:454 futex_wait:455
        futex_requeue:456 set_robust_list:273:99 get_robust_list:274:100 rseq:334:293
        nanosleep:35:101 clock_nanosleep:230:115 pause:34:- timer_create:222:107
        timer_settime:223:110 timer_gettime:224:108 timer_getoverrun:225:109 timer_delete:226:111
        timerfd_create:283:85 timerfd_settime:286:86 timerfd_gettime:287:87 alarm:37:-
        getitimer:36:102 setitimer:38:103 io_setup:206:0 io_destroy:207:1 io_submit:209:2
        io_cancel:210:3 io_getevents:208:4 io_pgetevents:333:292
    """,
    # starting, signalling, waiting for and tracing processes of the same sandbox; limits of one's own
    "processes": """
        fork:57:- vfork:58:- execve:59:221 execveat:322:281 exit:60:93 exit_group:231:94
        wait4:61:260 waitid:247:95 kill:62:129 tkill:200:130 tgkill:234:131 rt_sigaction:13:134
        rt_sigprocmask:14:135 rt_sigpending:127:136 rt_sigtimedwait:128:137 rt_sigsuspend:130:133
        rt_sigreturn:15:139 rt_sigqueueinfo:129:138 rt_tgsigqueueinfo:297:240 sigaltstack:131:132
        restart_syscall:219:128 set_tid_address:218:96 pidfd_open:434 pidfd_send_signal:424
        ptrace:101:117 process_mrelease:448 getpid:39:172 getppid:110:173 gettid:186:178
        getpgid:121:155 setpgid:109:154 getpgrp:111:- getsid:124:156 setsid:112:157 prctl:157:167
        arch_prctl:158:- personality:135:92 getcpu:309:168 sched_yield:24:124
        sched_getaffinity:204:123 sched_setaffinity:203:122 sched_getparam:143:121
        sched_setparam:142:118 sched_getscheduler:145:120 sched_setscheduler:144:119
        sched_getattr:315:275 sched_setattr:314:274 sched_get_priority_max:146:125
        sched_get_priority_min:147:126 sched_rr_get_interval:148:127 getpriority:140:141
        setpriority:141:140 ioprio_get:252:31 ioprio_set:251:30 getrlimit:97:163 setrlimit:160:164
        prlimit64:302:261 getrusage:98:165 times:100:153
    """,
    # there is one user inside and no right to become another: programs ask all the same
    "users": """
        getuid:102:174 geteuid:107:175 getgid:104:176 getegid:108:177 getresuid:118:148
        getresgid:120:150 getgroups:115:158 setuid:105:146 setgid:106:144 setreuid:113:145
        setregid:114:143 setresuid:117:147 setresgid:119:149 setfsuid:122:151 setfsgid:123:152
        setgroups:116:159 capget:125:90 capset:126:91
    """,
    # sockets that exist; which may be made is decided by their family (seccomp.py)
    "network": """
        socketpair:53:199 bind:49:200 listen:50:201 accept:43:202 accept4:288:242 connect:42:203
        getsockname:51:204 getpeername:52:205 getsockopt:55:209 setsockopt:54:208 sendto:44:206
        sendmsg:46:211 sendmmsg:307:269 recvfrom:45:207 recvmsg:47:212 recvmmsg:299:243
        shutdown:48:210
    """,
    # System V and POSIX, in a namespace of its own: databases share memory this way
    "ipc": """
        shmget:29:194 shmat:30:196 shmdt:67:197 shmctl:31:195 semget:64:190 semop:65:193
        semtimedop:220:192 semctl:66:191 msgget:68:186 msgsnd:69:189 msgrcv:70:188 msgctl:71:187
        mq_open:240:180 mq_unlink:241:181 mq_timedsend:242:182 mq_timedreceive:243:183
        mq_notify:244:184 mq_getsetattr:245:185
    """,
    # clocks are read, never set; random numbers
    "time": """
        time:201:- gettimeofday:96:169 clock_gettime:228:113 clock_getres:229:114 uname:63:160
        sysinfo:99:179 getrandom:318:278
    """,
    # a program may lock itself in further
    "narrowing": """
        seccomp:317:277 landlock_create_ruleset:444 landlock_add_rule:445 landlock_restrict_self:446
        lsm_get_self_attr:459 lsm_list_modules:461
    """,
}

# Told "not permitted", so that programs say so or go on without: mounts and other roots, namespaces, modules and
# kernels, clocks, keys, other processes' memory and descriptors, and parts of the kernel that holes were found in.
_REFUSED = """
    mount:165:40 umount2:166:39 pivot_root:155:41 chroot:161:51 open_tree:428 move_mount:429 fsopen:430 fsconfig:431
    fsmount:432 fspick:433 mount_setattr:442 open_tree_attr:467 setns:308:268 unshare:272:97 swapon:167:224
    swapoff:168:225 reboot:169:142 kexec_load:246:104 kexec_file_load:320:294 init_module:175:105 finit_module:313:273
    delete_module:176:106 sethostname:170:161 setdomainname:171:162 iopl:172:- ioperm:173:- modify_ldt:154:-
    quotactl:179:60 quotactl_fd:443 acct:163:89 settimeofday:164:170 adjtimex:159:171 clock_settime:227:112
    clock_adjtime:305:266 syslog:103:116 vhangup:153:58 process_vm_readv:310:270 process_vm_writev:311:271
    process_madvise:440 pidfd_getfd:438 kcmp:312:272 add_key:248:217 request_key:249:218 keyctl:250:219 bpf:321:280
    perf_event_open:298:241 userfaultfd:323:282 io_uring_setup:425 io_uring_enter:426 io_uring_register:427
    open_by_handle_at:304:265 name_to_handle_at:303:264 fanotify_init:300:262 fanotify_mark:301:263
    move_pages:279:239 mbind:237:235 set_mempolicy:238:237 set_mempolicy_home_node:450 migrate_pages:256:238
    memfd_secret:447
"""

# Done without doing anything: what a sandbox wrote outlives no power cut, and a flush is of the whole host's disks.
_IDLE = "sync:162:81 syncfs:306:267"
_BY_ARGUMENTS = "clone:56:220 clone3:435 ioctl:16:29 socket:41:198 mknod:133:- mknodat:259:33"
_COLUMNS = {"x86_64": 1, "aarch64": -1}  # where a machine's number is in a word


def _numbers(words: str, machine: str) -> dict[str, int]:
    parts = [word.split(":") for word in words.split()]
    return {name[0]: int(name[_COLUMNS[machine]]) for name in parts if name[_COLUMNS[machine]] != "-"}


def allowed(machine: str) -> dict[str, dict[str, int]]:
    """What is allowed whatever its arguments, by kind, with its numbers. Raises `KeyError` for an unknown machine."""
    return {kind: _numbers(words, machine) for kind, words in _ALLOWED.items()}


def refused(machine: str) -> dict[str, int]:
    """What is refused by name."""
    return _numbers(_REFUSED, machine)


def idle(machine: str) -> dict[str, int]:
    """What succeeds and does nothing."""
    return _numbers(_IDLE, machine)


def by_arguments(machine: str) -> dict[str, int]:
    """What depends on its arguments."""
    return _numbers(_BY_ARGUMENTS, machine)
