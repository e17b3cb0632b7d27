#!/bin/bash
# `run`: no way to a process outside through a socket with a path or a name. Leak rows 4, 5, 9, 10.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/run-modes.sh"
prepare_modes
# Not the machine's own.
mount -t tmpfs -o mode=1777 tmpfs /tmp

mkdir -p /run/dbus /run/podman /tmp/.X11-unix /srv/agents /tmp/own
chmod 755 /tmp/own
paths="/run/docker.sock /run/dbus/system_bus_socket /run/podman/podman.sock /run/user/$tester/bus /run/user/0/bus
    /tmp/own/agent /srv/agents/gpg /tmp/.X11-unix/X77"
# shellcheck disable=SC2086
/srv/bin/leak-probe listen $paths @swg-test-abstract >"$test_folder/ready" </dev/null &
listener=$!
wait_until 5 grep -q ready "$test_folder/ready" || fail "no listener"
chmod 755 /run/user/$tester /run/user/0

for path in $paths; do
    [ "$(/srv/bin/leak-probe unix "$path")" = open ] || fail "the listener on $path does not work outside"
done
[ "$(/srv/bin/leak-probe abstract swg-test-abstract)" = open ] || fail "the abstract listener does not work outside"

for mode in $modes; do
    behind "$mode" "$BASH" -c 'for path in "$@"; do echo "$path $(/srv/bin/leak-probe unix "$path")"; done' probe $paths \
        </dev/null >"$test_folder/answers"
    ! grep -E ' open$' "$test_folder/answers" || fail "leak row 4 ($mode): reachable from inside"
    [ "$(grep -c . "$test_folder/answers")" = 8 ] || fail "leak row 4 ($mode): $(cat "$test_folder/answers")"
    ok "leak row 4 ($mode): sockets below /run, /tmp, XDG_RUNTIME_DIR and elsewhere are out of reach"
    ok "leak row 9 ($mode): container engines and agents among them"
    expect_closed 5 "$mode" ECONNREFUSED abstract swg-test-abstract
    ok "leak row 5 ($mode): abstract names of the host do not exist inside"
    environment=$(
        export DBUS_SESSION_BUS_ADDRESS=unix:path=/x SSH_AUTH_SOCK=/x DOCKER_HOST=unix:///x WAYLAND_DISPLAY=w DISPLAY=:7
        export TMUX=/x PULSE_SERVER=/x KEPT=kept
        behind "$mode" env </dev/null
    )
    ! grep -E '^(DBUS_|SSH_AUTH_SOCK|DOCKER_HOST|WAYLAND_DISPLAY|DISPLAY|TMUX|PULSE_SERVER)' <<<"$environment" ||
        fail "leak row 10 ($mode): the environment names a service outside"
    grep -q '^KEPT=kept$' <<<"$environment" || fail "($mode): the rest of the environment is lost"
    ok "leak row 10 ($mode): no bus, display or multiplexer in the environment, the rest is kept"
done

# A service that starts later, in a directory where services put their sockets.
for mode in root rootless; do
    behind $mode "$BASH" -c 'until [ -e /srv/later ]; do sleep 0.05; done; /srv/bin/leak-probe unix /tmp/.X11-unix/X78' \
        </dev/null >"$test_folder/answer" &
    command=$!
    # The mounts are made before the handshake, and what listens by then is looked up before them.
    wait_until 10 pgrep -f "^/[^ ]*bash -c until" || fail "no command"
    : >"$test_folder/ready"
    /srv/bin/leak-probe listen /tmp/.X11-unix/X78 >"$test_folder/ready" </dev/null &
    later=$!
    wait_until 5 grep -q ready "$test_folder/ready" || fail "no later listener"
    [ "$(/srv/bin/leak-probe unix /tmp/.X11-unix/X78)" = open ] || fail "the later listener does not work outside"
    touch /srv/later
    wait $command || true
    kill $later
    rm -f /srv/later /tmp/.X11-unix/X78
    [ "$(cat "$test_folder/answer")" = ENOENT ] || fail "leak row 4 ($mode): a later socket: $(cat "$test_folder/answer")"
done
ok "leak row 4: the socket of a service that starts later is out of reach, too"
kill "$listener"

# Files stay, at the default level.
echo visible >/tmp/own/file
for mode in root rootless sudo; do
    [ "$(behind $mode cat /tmp/own/file)" = visible ] || fail "($mode) a file in /tmp is hidden"
done
for mode in root-strict rootless-strict sudo-strict; do
    [ -z "$(behind $mode ls -A /tmp)" ] || fail "($mode) /tmp is not private"
done
ok "files in /tmp stay visible at the default level, and /tmp is private under --strict"
