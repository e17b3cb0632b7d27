// The parts of Linux that Swift cannot import by itself: headers that the Glibc module leaves out, and
// inline wrappers for what is a macro, variadic, or without a glibc function. No logic but that of what happens after fork.
// _GNU_SOURCE comes from the build (see Package.swift), never from here.
#ifndef SWG_CLINUX_H
#define SWG_CLINUX_H

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/icmp6.h>
#include <netinet/udp.h>
#include <netpacket/packet.h>
#include <sys/auxv.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <linux/capability.h>
#include <linux/errqueue.h>
#include <linux/genetlink.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/magic.h>
#include <linux/net_namespace.h>
#include <linux/falloc.h>
#include <linux/fib_rules.h>
#include <linux/netlink.h>
#include <linux/nsfs.h>
#include <linux/rtnetlink.h>
#include <linux/securebits.h>
#include <linux/sockios.h>
#include <linux/virtio_net.h>
#include <linux/wireguard.h>

// ---- constants that are _IO() macros, or newer than Debian 12's headers ----

static const unsigned long swg_TUNSETIFF = TUNSETIFF;
static const unsigned long swg_TUNGETIFF = TUNGETIFF;
static const unsigned long swg_TUNSETOFFLOAD = TUNSETOFFLOAD;
static const unsigned long swg_TUNGETVNETHDRSZ = TUNGETVNETHDRSZ;
static const unsigned long swg_TUNGETDEVNETNS = _IO('T', 227);
static const unsigned long swg_SIOCSIFTXQLEN = SIOCSIFTXQLEN;
static const unsigned long swg_NS_GET_NSTYPE = NS_GET_NSTYPE;
static const unsigned long swg_NS_GET_USERNS = NS_GET_USERNS;
static const unsigned int swg_TUN_F_USO4 = 0x20;
static const unsigned int swg_TUN_F_USO6 = 0x40;
static const int swg_SI_KERNEL = SI_KERNEL;
/// uid 0 is a user like any other, and stays one. (Not KEEP_CAPS_LOCKED: Debian's ping insists on setting that bit.)
static const unsigned long swg_SECUREBITS_ORDINARY_ROOT = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED |
    SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
static const int swg_SO_NETNS_COOKIE = 71;
static const int swg_NSFS_MAGIC = 0x6e736673;

// ---- variadic ----

static inline int swg_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d) {
    return prctl(option, a, b, c, d);
}
static inline int swg_set_name(const char *name) { return prctl(PR_SET_NAME, (unsigned long)name, 0, 0, 0); }
static inline int swg_ioctl_pointer(int fd, unsigned long request, void *argument) {
    return ioctl(fd, request, argument);
}
static inline int swg_ioctl_value(int fd, unsigned long request, unsigned long argument) {
    return ioctl(fd, request, argument);
}
static inline long swg_syscall(long number, long a, long b) { return syscall(number, a, b, 0, 0, 0, 0); }
static inline int swg_fcntl(int fd, int command, long argument) { return fcntl(fd, command, argument); }

// ---- system calls without a glibc function ----

static inline int swg_pidfd_open(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }
static inline int swg_pidfd_send_signal(int pidfd, int signal) {
    return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, (void *)0, 0);
}
static inline int swg_pidfd_getfd(int pidfd, int fd) { return (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0); }
// sched_getattr(2) and sched_setattr(2) of the calling thread, with the first 48 bytes of their struct.
struct swg_sched_attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};
static inline int swg_sched_getattr(struct swg_sched_attributes *attributes) {
    return (int)syscall(SYS_sched_getattr, 0, attributes, sizeof *attributes, 0);
}
static inline int swg_sched_setattr(struct swg_sched_attributes *attributes) {
    attributes->size = sizeof *attributes;
    return (int)syscall(SYS_sched_setattr, 0, attributes, 0);
}

// The argument of mount_setattr(2), spelled out because its struct is in different headers from one glibc to the next.
static inline int swg_mount_setattr(const char *path, unsigned int at_flags, uint64_t set, uint64_t clear, uint64_t propagation) {
    uint64_t attributes[4] = {set, clear, propagation, 0};
    return (int)syscall(SYS_mount_setattr, AT_FDCWD, path, at_flags, attributes, sizeof attributes);
}
static inline long swg_keyctl(int operation, unsigned long a, unsigned long b) {
    return syscall(SYS_keyctl, operation, a, b, 0, 0);
}
static inline int swg_setresgid(gid_t gid) { return (int)syscall(SYS_setresgid, gid, gid, gid); }
static inline int swg_setresuid(uid_t uid) { return (int)syscall(SYS_setresuid, uid, uid, uid); }
static inline int swg_close_range(unsigned int first, unsigned int last, int flags) {
    return (int)syscall(SYS_close_range, first, last, flags);
}

// ---- seccomp(2): a compiled program, installed for the calling thread and what it starts ----

struct swg_filter_instruction { uint16_t code; uint8_t jump_true; uint8_t jump_false; uint32_t operand; };
static inline int swg_seccomp_install(const struct swg_filter_instruction *program, unsigned short count) {
    struct { unsigned short count; const struct swg_filter_instruction *program; } argument = {count, program};
    return (int)syscall(SYS_seccomp, 1 /* SECCOMP_SET_MODE_FILTER */, 0, &argument);
}

// ---- SO_ATTACH_FILTER: only messages whose 32-bit word at `offset`, read as big-endian, is `value` ----

static inline int swg_attach_word_filter(int fd, uint32_t offset, uint32_t value) {
    struct swg_filter_instruction program[] = {
        {0x20 /* BPF_LD|BPF_W|BPF_ABS */, 0, 0, offset},
        {0x15 /* BPF_JMP|BPF_JEQ|BPF_K */, 0, 1, value},
        {0x06 /* BPF_RET|BPF_K */, 0, 0, UINT32_MAX},
        {0x06, 0, 0, 0},
    };
    struct { unsigned short count; const struct swg_filter_instruction *program; } argument = {4, program};
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &argument, sizeof argument);
}
static inline int swg_detach_filter(int fd) {
    int unused = 0;
    return setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof unused);
}

// ---- function-like macros ----

static inline int swg_wifexited(int status) { return WIFEXITED(status); }
static inline int swg_wexitstatus(int status) { return WEXITSTATUS(status); }
static inline int swg_wifsignaled(int status) { return WIFSIGNALED(status); }
static inline int swg_wtermsig(int status) { return WTERMSIG(status); }
static inline int swg_wifstopped(int status) { return WIFSTOPPED(status); }
static inline int swg_sigrtmin(void) { return SIGRTMIN; }
static inline int swg_s_isreg(mode_t mode) { return S_ISREG(mode); }
static inline int swg_s_isdir(mode_t mode) { return S_ISDIR(mode); }
static inline int swg_s_issock(mode_t mode) { return S_ISSOCK(mode); }
static inline dev_t swg_makedev(unsigned int major, unsigned int minor) {
    return (dev_t)((minor & 0xff) | (major << 8) | ((dev_t)(minor & ~0xffU) << 12));
}

static inline struct cmsghdr *swg_cmsg_first(const struct msghdr *message) { return CMSG_FIRSTHDR(message); }
static inline struct cmsghdr *swg_cmsg_next(struct msghdr *message, struct cmsghdr *current) {
    return CMSG_NXTHDR(message, current);
}
static inline void *swg_cmsg_data(struct cmsghdr *header) { return CMSG_DATA(header); }
static inline size_t swg_cmsg_len(size_t length) { return CMSG_LEN(length); }
static inline size_t swg_cmsg_space(size_t length) { return CMSG_SPACE(length); }

// Names inside unions of struct ifreq are imported awkwardly; these are all that is needed.
static inline short swg_ifreq_flags(const struct ifreq *request) { return request->ifr_flags; }
static inline void swg_ifreq_set_flags(struct ifreq *request, short flags) { request->ifr_flags = flags; }
static inline void swg_ifreq_set_queue_length(struct ifreq *request, int packets) { request->ifr_qlen = packets; }
static inline void swg_ifreq_set_mtu(struct ifreq *request, int mtu) { request->ifr_mtu = mtu; }
static inline void swg_ifreq_set_name(struct ifreq *request, const char *name) {
    strncpy(request->ifr_name, name, IFNAMSIZ - 1);
}
static inline void swg_ifreq_get_name(const struct ifreq *request, char *name16) {
    memcpy(name16, request->ifr_name, IFNAMSIZ);
    name16[IFNAMSIZ - 1] = 0;
}

/// fork(2) into a new pid namespace, as a child of our own parent. Only for a process with a single thread.
static inline pid_t swg_fork_sibling_in_new_pid_namespace(void) {
    return (pid_t)syscall(SYS_clone, CLONE_PARENT | CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);
}

static inline char **swg_environment(void) { extern char **environ; return environ; }

// ---- fork to exec ----

/// Everything the child does between fork and exec, decided and allocated by the parent beforehand:
/// in the child only async-signal-safe system calls run.
struct swg_spawn_plan {
    int executable_fd;           ///< execveat target, or -1 to use `path`
    const char *path;            ///< absolute path (no PATH search)
    char *const *argv;
    char *const *envp;
    const int *descriptors;      ///< source descriptor per target number 0…count-1, -1 = closed
    int descriptor_count;
    int new_session;             ///< setsid()
    int network_namespace;       ///< setns() target or -1
    int cgroup_procs;            ///< descriptor of a cgroup.procs to write "0" to, or -1
    int change_ids;              ///< setgroups(0), setresgid, setresuid
    uid_t uid;
    gid_t gid;
    int parent_death_signal;     ///< 0 = none
    int reset_oom_score;         ///< write 0 to oom_score_adj (failure ignored)
    int identity_file;           ///< gets the child's line of /proc/self/stat before anything else happens, or -1
    const char *directory;       ///< chdir, or NULL
};

/// Returns 0 and fills pid and pidfd, or an errno with the failed step's name in *step.
int swg_spawn(const struct swg_spawn_plan *plan, pid_t *pid, int *pidfd, const char **step);

// Sends one netlink request with NLM_F_ACK from a child that holds nothing but the socket, and returns at once. The
// child exits with the errno of the kernel's answer. The message must not lie in memory that is wiped on fork.
int swg_send_from_child(int socket, const void *message, size_t length, pid_t *pid);

#endif
