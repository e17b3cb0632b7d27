// fork → exec. Written in C because between the two only async-signal-safe calls are allowed, and Swift
// cannot promise that: it may allocate or take a lock that another thread held at the fork.
#include "CLinux.h"
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <linux/close_range.h>

struct failure {
    int error;
    int step;
};

enum step { STEP_RECORD, STEP_DESCRIPTORS, STEP_NAMESPACE, STEP_SESSION, STEP_CGROUP, STEP_IDENTITY, STEP_DIRECTORY, STEP_EXEC };

static const char *const step_names[] = {
    "record the process", "dup2", "setns", "setsid", "write cgroup.procs", "setresuid", "chdir", "exec",
};

static void fail(int channel, enum step step) {
    struct failure failure = {errno, step};
    ssize_t written = write(channel, &failure, sizeof failure);
    (void)written;
    _exit(127);
}

// The child itself writes who it is: a parent that dies between fork and its own note would leave a process
// that nobody knows.
static int record_identity(int file) {
    char line[1024];
    int status = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    if (status < 0) return -1;
    ssize_t count = read(status, line, sizeof line);
    close(status);
    if (count <= 0) return -1;
    return write(file, line, (size_t)count) == count ? 0 : -1;
}

static int arrange_descriptors(const struct swg_spawn_plan *plan, int *scratch, int *channel) {
    // First lift every source above the target range, so that no dup2 overwrites a source still needed.
    int floor = plan->descriptor_count + 1;
    int lifted = fcntl(*channel, F_DUPFD_CLOEXEC, floor);
    if (lifted < 0) return -1;
    *channel = lifted;
    for (int i = 0; i < plan->descriptor_count; i++) {
        scratch[i] = -1;
        if (plan->descriptors[i] < 0) continue;
        scratch[i] = fcntl(plan->descriptors[i], F_DUPFD_CLOEXEC, floor);
        if (scratch[i] < 0) return -1;
    }
    for (int i = 0; i < plan->descriptor_count; i++) {
        if (scratch[i] < 0) {
            close(i);
        } else if (dup2(scratch[i], i) < 0) {
            return -1;
        }
    }
    // Everything else goes at exec; the error channel must live until then.
    return (int)syscall(SYS_close_range, (unsigned)plan->descriptor_count, ~0U, CLOSE_RANGE_CLOEXEC);
}

// A parent that has ended before the call sends nothing any more.
static void die_with_parent(int signal, pid_t parent) {
    prctl(PR_SET_PDEATHSIG, signal);
    if (getppid() != parent) _exit(127);
}

__attribute__((noinline, noreturn)) static void run_child(const struct swg_spawn_plan *plan, int *scratch, int channel,
                                                          pid_t parent) {
    sigset_t none;
    sigemptyset(&none);
    struct sigaction fallback = {.sa_handler = SIG_DFL};
    for (int signal = 1; signal < NSIG; signal++) sigaction(signal, &fallback, NULL);

    if (plan->identity_file >= 0 && record_identity(plan->identity_file) != 0) fail(channel, STEP_RECORD);
    if (plan->cgroup_procs >= 0 && write(plan->cgroup_procs, "0", 1) != 1) fail(channel, STEP_CGROUP);
    if (plan->reset_oom_score) {
        int adjust = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
        if (adjust >= 0) {
            ssize_t written = write(adjust, "0", 1);
            (void)written;
            close(adjust);
        }
    }
    if (plan->network_namespace >= 0 && setns(plan->network_namespace, CLONE_NEWNET) != 0) fail(channel, STEP_NAMESPACE);
    if (plan->new_session && setsid() < 0) fail(channel, STEP_SESSION);
    int executable = plan->executable_fd;
    if (executable >= 0 && executable < plan->descriptor_count) {
        executable = fcntl(executable, F_DUPFD_CLOEXEC, plan->descriptor_count + 1);
        if (executable < 0) fail(channel, STEP_DESCRIPTORS);
    }
    if (arrange_descriptors(plan, scratch, &channel) != 0) fail(channel, STEP_DESCRIPTORS);
    if (plan->change_ids) {
        // The raw calls: glibc's wrappers broadcast to threads that do not exist after fork.
        if (syscall(SYS_setgroups, 0, NULL) != 0 || syscall(SYS_setresgid, plan->gid, plan->gid, plan->gid) != 0 ||
            syscall(SYS_setresuid, plan->uid, plan->uid, plan->uid) != 0)
            fail(channel, STEP_IDENTITY);
    }
    if (plan->directory != NULL && chdir(plan->directory) != 0) fail(channel, STEP_DIRECTORY);
    if (plan->parent_death_signal != 0) die_with_parent(plan->parent_death_signal, parent);  // setresuid clears it
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (executable >= 0)
        syscall(SYS_execveat, executable, "", plan->argv, plan->envp, AT_EMPTY_PATH);
    else
        execve(plan->path, plan->argv, plan->envp);
    fail(channel, STEP_EXEC);
    _exit(127);
}

int swg_spawn(const struct swg_spawn_plan *plan, pid_t *pid, int *pidfd, const char **step) {
    int channel[2];
    *step = "pipe2";
    if (pipe2(channel, O_CLOEXEC) != 0) return errno;
    int *scratch = calloc((size_t)plan->descriptor_count + 1, sizeof *scratch);
    if (scratch == NULL) {
        close(channel[0]);
        close(channel[1]);
        return ENOMEM;
    }

    // All signals blocked over the fork: a handler of the parent must not run in the child.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t parent = getpid();
    // vfork copies no page table, and spares both sides the faults on pages that would be shared from then on: half a
    // millisecond for a plugin. Until exec the child is in our memory, where nobody with another user may be.
    pid_t child = plan->change_ids ? fork() : vfork();
    if (child == 0) {
        close(channel[0]);
        if (plan->parent_death_signal != 0) die_with_parent(plan->parent_death_signal, parent);
        run_child(plan, scratch, channel[1], parent);
    }
    int fork_error = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(channel[1]);
    free(scratch);
    if (child < 0) {
        close(channel[0]);
        *step = "fork";
        return fork_error;
    }
    struct failure failure;
    ssize_t count;
    do {
        count = read(channel[0], &failure, sizeof failure);
    } while (count < 0 && errno == EINTR);
    close(channel[0]);
    if (count == sizeof failure) {
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {}
        *step = step_names[failure.step];
        return failure.error;
    }
    // The child is unreaped, so its number cannot have been given to another process yet.
    int descriptor = swg_pidfd_open(child);
    if (descriptor < 0) {
        int error = errno;
        kill(child, SIGKILL);
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {}
        *step = "pidfd_open";
        return error;
    }
    fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    *pid = child;
    *pidfd = descriptor;
    return 0;
}
