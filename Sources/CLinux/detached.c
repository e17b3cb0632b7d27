// A netlink request that outlives its sender. Written in C for the same reason as spawn.c.
#include "CLinux.h"
#include <linux/close_range.h>
#include <linux/netlink.h>

static void run_child(int socket, const void *message, size_t length) {
    // A runtime waits until nobody holds the plugin's output any more, and ^C is not meant for us.
    if (socket > 0) syscall(SYS_close_range, 0U, (unsigned)socket - 1, 0U);
    syscall(SYS_close_range, (unsigned)socket + 1, ~0U, 0U);
    setsid();
    // For a moment it is the only one of us that is left; whoever looks shall see why.
    prctl(PR_SET_NAME, "swg-dellink");
    if (send(socket, message, length, 0) < 0) _exit(errno & 0xff);
    union {
        struct nlmsghdr header;
        char bytes[4096];
    } answer;
    ssize_t count = recv(socket, &answer, sizeof answer, 0);
    if (count < 0) _exit(errno & 0xff);
    if ((size_t)count < NLMSG_LENGTH(sizeof(struct nlmsgerr)) || answer.header.nlmsg_type != NLMSG_ERROR) _exit(EPROTO);
    _exit(-((struct nlmsgerr *)NLMSG_DATA(&answer.header))->error & 0xff);
}

int swg_send_from_child(int socket, const void *message, size_t length, pid_t *pid) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    // fork(2) without a signal at its end: nobody need wait for it, so a loop over a program's other children, such as
    // that of the tests' library, must not find it ended for ever.
    pid_t child = (pid_t)syscall(SYS_clone, 0UL, NULL, NULL, NULL, NULL);
    if (child == 0) run_child(socket, message, length);
    int error = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (child < 0) return error;
    *pid = child;
    return 0;
}
