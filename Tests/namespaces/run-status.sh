#!/bin/bash
# `run`: exit statuses, signals, strays, and what is left when something is killed.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/run-modes.sh"
prepare_modes

for mode in $modes; do
    expect_status 0 behind "$mode" true
    expect_status 42 behind "$mode" "$BASH" -c 'exit 42'
    expect_status 127 behind "$mode" swg-no-such-command
    expect_output 'cannot run swg-no-such-command: ENOENT'
    expect_status 126 behind "$mode" /srv/tester
    expect_output 'cannot run /srv/tester: EACCES'
    expect_status 137 behind "$mode" "$BASH" -c 'kill -KILL $$'
    expect_status 143 behind "$mode" "$BASH" -c 'kill -TERM $$'
    expect_status 130 behind "$mode" "$BASH" -c 'trap - INT; kill -INT $$'
    ok "exit statuses ($mode): the command's own, 126, 127, 128 and the signal"
done
# swg-ns ignores SIGPIPE itself. With it ignored, `yes` would end with 1 and a complaint.
for mode in root root-strict rootless; do
    [ "$(behind $mode "$BASH" -c 'yes | head -n 1 >/dev/null; echo ${PIPESTATUS[0]}')" = 141 ] || fail "($mode) the command ignores SIGPIPE"
done
ok "the command gets SIGPIPE with its default"
expect_status 125 swg root run
expect_status 125 swg root run --no-such-option x -- true
expect_status 125 swg root run /srv/no-such.conf -- true
expect_status 125 swg rootless run --user root "$(configuration_of rootless)" -- true
expect_output 'only root can run a command as root'
expect_status 125 swg root run --user nobody-there "$(configuration_of root)" -- true
# The numbers of setresuid(2) that mean "leave it as it is": the command would be root's.
expect_status 125 swg root run --user 4294967295 "$(configuration_of root)" -- true
expect_status 125 swg root run --user tester:4294967295 "$(configuration_of root)" -- true
ok "exit status 125 for what is ours"

ignoring_children() { python3 -c 'import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execvp(sys.argv[1], sys.argv[1:])' "$@"; }
for level in "" --strict; do
    # shellcheck disable=SC2086
    expect_status 42 ignoring_children timeout 60 env /srv/bin/swg-ns run $level --quiet "$(configuration_of root)" -- sh -c 'exit 42'
done
expect_status 42 ignoring_children /srv/bin/swg-ns run --quiet "$(configuration_of root)" -- sh -c 'exit 42'
ok "a caller that ignores SIGCHLD does not keep us from hearing of the command's end"

# The user: who called, behind sudo too, or --user.
[ "$(behind root id -u)" = 0 ] && [ "$(behind sudo id -u)" = $tester ] && [ "$(behind rootless id -u)" = $tester ] || fail "users"
[ "$(swg root run --quiet --user tester "$(configuration_of root)" -- "$BASH" -c 'id -un; echo $HOME $USER')" = $'tester\n/srv/tester tester' ] ||
    fail "--user"
[ -z "$(behind sudo env | grep ^SUDO_)" ] || fail "SUDO_ variables inside"
ok "the command runs as the invoking user, under sudo too, or as --user"

# What is sent to swg-ns alone reaches the command.
for mode in root root-strict rootless rootless-strict; do
    : >"$test_folder/output"
    (
        trap - ERR
        behind $mode "$BASH" -c 'trap "echo got; exit 5" TERM; echo here; while :; do sleep 0.05; done' >"$test_folder/output" 2>&1
    ) &
    wait_until 10 grep -q here "$test_folder/output" || fail "($mode) no command"
    pkill -TERM -o -f '^/srv/bin/swg-ns run'
    status=0
    wait $! || status=$?
    [ $status = 5 ] && grep -q got "$test_folder/output" || fail "signals ($mode): status $status, $(cat "$test_folder/output")"
    ok "signals ($mode): SIGTERM is passed on, once"
done

# Strays end with the command.
for mode in $modes; do
    expect_status 3 behind "$mode" "$BASH" -c 'setsid sleep 4321 & (sleep 4321 & sleep 4321) & sleep 0.2; exit 3'
    ! pgrep -f 'sleep 4321' >/dev/null || fail "strays ($mode): $(pgrep -af 'sleep 4321')"
    ok "strays ($mode): killed at the command's end, a daemon in its own session too"
done

both_sleep() { [ "$(pgrep -cf '^sleep 4321')" = 2 ]; }
# Nothing is left after an end, however it came. The greatest TAI64N stays by design, so it is there before.
inventory >"$test_folder/before"
for mode in $modes; do
    expect_status 0 behind "$mode" true
    inventory >"$test_folder/after"
    same_inventory "$test_folder/before" "$test_folder/after"
    ok "nothing is left ($mode) after the command's end"
    : >"$test_folder/output"
    (
        trap - ERR
        behind "$mode" "$BASH" -c 'echo here; setsid sleep 4321 & sleep 4321' >"$test_folder/output" 2>&1
    ) &
    wait_until 10 grep -q here "$test_folder/output" || fail "($mode) no command: $(cat "$test_folder/output")"
    wait_until 10 both_sleep || fail "($mode) the command does not go on"
    pkill -KILL -o -f '^/srv/bin/swg-ns run'
    wait $! 2>/dev/null || true
    # The stray of the default level lives on, in a namespace without device or route.
    if is_strict "$mode"; then
        wait_until 5 sh -c '! pgrep -f "^sleep 4321"' || fail "killed ($mode): strays live"
    else
        stray=$(pgrep -n -f '^sleep 4321')
        wait_until 5 sh -c "! nsenter -t $stray -n ip -o link | grep >/dev/null wg0" || fail "killed ($mode): the device lives"
        [ -z "$(nsenter -t "$stray" -n ip route)" ] || fail "killed ($mode): a route is left"
        pkill -KILL -f '^sleep 4321' || true
    fi
    settled() {
        inventory >"$test_folder/after"
        cmp -s "$test_folder/before" "$test_folder/after"
    }
    wait_until 5 settled || same_inventory "$test_folder/before" "$test_folder/after"
    ok "nothing is left ($mode) after SIGKILL of swg-ns: device, engine, socket, state, command"
done
