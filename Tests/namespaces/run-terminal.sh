#!/bin/bash
# `run` on a terminal: Ctrl-C, Ctrl-Z, fg and the window size work as with env(1).
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/run-modes.sh"
prepare_modes
mount -t devpts -o newinstance,ptmxmode=0666 devpts /dev/pts 2>/dev/null && mount --bind /dev/pts/ptmx /dev/ptmx 2>/dev/null || true

# It starts no process on its own: the kernel gives the child of a fork that was under way a Ctrl-Z that came meanwhile,
# and forgets the `fg` that came after it (a SIGCONT with its default action leaves the set of delayed signals alone), so
# on a busy machine such a child stays stopped, behind env(1) as well.
mkfifo -m 666 /srv/bin/never
cat >/srv/bin/ticker <<'TICKER'
#!/bin/bash
trap 'echo "size $(stty size)"' WINCH
exec 3<>/srv/bin/never
echo started
while :; do
    echo tick
    read -r -t 0.1 -u 3 || true
done
TICKER
chmod 755 /srv/bin/ticker

for mode in root root-strict; do
    # shellcheck disable=SC2046 # one word or none
    "$(dirname "$0")/../lib/terminal" /srv/bin/swg-ns run --quiet $(strict_of $mode) "$(configuration_of $mode)" -- /srv/bin/ticker \
        >"$test_folder/output" || fail "($mode) $(cat "$test_folder/output")"
    ok "terminal ($mode): $(tr '\n' ' ' <"$test_folder/output")"
done
for mode in rootless rootless-strict; do
    # shellcheck disable=SC2046 # one word or none
    as_tester "$(dirname "$0")/../lib/terminal" /srv/bin/swg-ns run --quiet $(strict_of $mode) "$(configuration_of $mode)" -- /srv/bin/ticker \
        >"$test_folder/output" || fail "($mode) $(cat "$test_folder/output")"
    ok "terminal ($mode): $(tr '\n' ' ' <"$test_folder/output")"
done
# Typing into the caller's terminal: the filter's answer is EPERM, where the kernel would type, or say EIO. The kernel looks
# at the lower half of the request only.
cat >/srv/bin/typist <<'TYPIST'
#!/usr/bin/python3
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
assert os.isatty(0)
for name, request in ("TIOCSTI", 0x5412), ("TIOCLINUX", 0x541C):
    for upper in 0, 1 << 32:
        failed = libc.syscall(16, 0, ctypes.c_ulong(request | upper), b"\x06x") < 0
        print(name, errno.errorcode[ctypes.get_errno()] if failed else "done")
TYPIST
chmod 755 /srv/bin/typist
for mode in root-strict rootless-strict; do
    [[ " $modes " == *" $mode "* ]] || continue
    caller_of $mode script -qec "/srv/bin/swg-ns run --quiet --strict $(configuration_of $mode) -- /srv/bin/typist" /dev/null >"$test_folder/output" </dev/null ||
        fail "($mode) $(cat "$test_folder/output")"
    [ "$(tr -d '\r' <"$test_folder/output" | sort | uniq -c | xargs)" = "2 TIOCLINUX EPERM 2 TIOCSTI EPERM" ] ||
        fail "what is typed into the terminal ($mode): $(cat "$test_folder/output")"
    ok "terminal ($mode): nothing can be typed into it"
done
# A command that stops itself stops swg-ns, or the shell would wait for ever.
cat >/srv/bin/stopper <<'STOPPER'
#!/bin/bash
kill -STOP $$
echo woken
STOPPER
chmod 755 /srv/bin/stopper
for mode in root rootless root-strict; do
    behind $mode /srv/bin/stopper >"$test_folder/output" &
    wait_until 10 sh -c 'pgrep -r T -f "^/srv/bin/swg-ns run"' || fail "($mode) swg-ns does not stop with its command"
    pkill -CONT -f '^/srv/bin/swg-ns run'
    wait $! && grep -q woken "$test_folder/output" || fail "($mode) not continued"
    ok "terminal ($mode): a command that stops itself stops swg-ns, and is continued with it"
done
[ -z "$(ls /run/swg-ns/tunnels 2>/dev/null)" ] || fail "state is left"
