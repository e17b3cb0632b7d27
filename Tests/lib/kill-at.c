// kill-at [-b PROGRAM] NUMBER REPORT COMMAND…: runs COMMAND, and sends SIGKILL to the process that is about to enter the
// NUMBERth system call since the program began. The call itself is not made any more.
//
// Counted are the calls of all its threads and of the processes that it forks, until these execute another program:
// one count for all, in the order in which they happen. (strace's `when` counts for each thread and each call apart, and
// so never comes to the third read of a second thread when the first thread has read three times before.)
// -b: counting begins when the command, or what it executes in its place, is called PROGRAM.
//
// REPORT gets `NUMBER NAME PROCESS` of the call it came to, where the process is `itself`, or what a child calls itself;
// with the NUMBER 0, which kills nobody, those of all calls, and the word `creates` behind one that may make a file. Exit status: 0 killed, 1 the command ended before, 2 no such command
// or no right to trace it; with the NUMBER 0 that of the command. Ends when all of them have ended or are another program.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const names[] = {
#include "system-calls.h"
};

static const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
                            PTRACE_O_TRACEVFORK;

static const char *program;  // of -b
static pid_t first;          // the command's own process
static long wanted, count;
static int counts, killed;
static FILE *report;

static void give_up(const char *what) {
    fprintf(stderr, "kill-at: %s: %s\n", what, strerror(errno));
    exit(2);
}

static pid_t start(char **command) {
    int ready[2];
    if (pipe2(ready, O_CLOEXEC) != 0) give_up("pipe2");
    pid_t child = fork();
    if (child < 0) give_up("fork");
    if (child == 0) {
        char byte;
        close(ready[1]);
        if (read(ready[0], &byte, 1) != 1) _exit(127);
        execvp(command[0], command);
        perror(command[0]);
        _exit(127);
    }
    // Seized and not attached: no SIGSTOP that could stay behind when we end before what we trace.
    if (ptrace(PTRACE_SEIZE, child, NULL, options) != 0) give_up("PTRACE_SEIZE");
    if (write(ready[1], "", 1) != 1) give_up("write");
    close(ready[0]);
    close(ready[1]);
    return child;
}

// The line of /proc/THREAD/status that begins with FIELD and a tab, without them; empty when there is none.
static void read_status(pid_t thread, const char *field, char text[64]) {
    char path[64], line[256];
    size_t length = strlen(field);
    text[0] = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)thread);
    FILE *file = fopen(path, "re");
    if (file == NULL) return;
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, field, length) != 0 || strncmp(line + length, ":\t", 2) != 0) continue;
        line[strcspn(line, "\n")] = 0;
        snprintf(text, 64, "%.63s", line + length + 2);
        break;
    }
    fclose(file);
}

static int is_begin(pid_t process) {
    char name[64];
    if (program == NULL) return 1;
    read_status(process, "Name", name);
    return strcmp(name, program) == 0;
}

static void describe_process(pid_t thread, char text[64]) {
    char process[64];
    read_status(thread, "Tgid", process);
    if (atoi(process) == first) {
        strcpy(text, "itself");
    } else {
        read_status(thread, "Name", text);
    }
}

static void at_call(pid_t thread) {
    struct __ptrace_syscall_info info;
    if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof info, &info) <= 0) return;
    if (info.op != PTRACE_SYSCALL_INFO_ENTRY) return;
    count++;
    if (wanted != 0 && count != wanted) return;
    unsigned long number = info.entry.nr;
    const char *name = number < sizeof names / sizeof *names ? names[number] : NULL;
    int creates = (number == SYS_openat && (info.entry.args[2] & O_CREAT) != 0) ||
                  (number == SYS_open && (info.entry.args[1] & O_CREAT) != 0);
    char process[64];
    describe_process(thread, process);
    fprintf(report, "%ld %s %s%s\n", count, name == NULL ? "unknown" : name, process, creates ? " creates" : "");
    // To a thread it is for its whole process. Who is stopped here dies without making the call.
    if (wanted != 0 && syscall(SYS_tkill, thread, SIGKILL) == 0) killed = 1;
}

static void resume(pid_t thread, int signal) {
    ptrace(counts && !killed ? PTRACE_SYSCALL : PTRACE_CONT, thread, NULL, (long)signal);
}

// What has stopped goes on; a thread that is gone meanwhile does not hear it.
static void at_stop(pid_t thread, int status) {
    int signal = WSTOPSIG(status), event = status >> 16;
    if (signal == (SIGTRAP | 0x80)) {
        if (counts && !killed) at_call(thread);
        resume(thread, 0);
    } else if (event == PTRACE_EVENT_EXEC && (thread != first || counts)) {
        ptrace(PTRACE_DETACH, thread, NULL, NULL);  // another program
    } else if (event == PTRACE_EVENT_EXEC) {
        counts = is_begin(thread);
        resume(thread, 0);
    } else if (event == PTRACE_EVENT_STOP && signal != SIGTRAP) {
        ptrace(PTRACE_LISTEN, thread, NULL, NULL);  // stopped by SIGSTOP and its like: stays so until SIGCONT
    } else {
        resume(thread, event == 0 ? signal : 0);
    }
}

int main(int argc, char **argv) {
    if (argc > 2 && strcmp(argv[1], "-b") == 0) {
        program = argv[2];
        argv += 2;
        argc -= 2;
    }
    if (argc < 4) {
        fprintf(stderr, "usage: kill-at [-b PROGRAM] NUMBER REPORT COMMAND...\n");
        return 2;
    }
    wanted = atol(argv[1]);
    report = fopen(argv[2], "we");
    if (report == NULL) give_up(argv[2]);
    first = start(argv + 3);
    int status, ending = 0;
    pid_t thread;
    while ((thread = waitpid(-1, &status, __WALL)) > 0) {
        if (WIFSTOPPED(status)) {
            at_stop(thread, status);
        } else if (thread == first) {
            ending = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
    }
    if (errno != ECHILD) give_up("waitpid");
    if (!counts) return 2;
    if (wanted == 0) return ending;
    return killed ? 0 : 1;
}
