#!/bin/bash
# `exec`: a command in an attached namespace, confined as `run` confines it.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/run-modes.sh"
prepare_modes
mkdir -p /run/dbus
/srv/bin/leak-probe listen /run/dbus/system_bus_socket >"$test_folder/ready" </dev/null &
wait_until 5 grep -q ready "$test_folder/ready"

ip netns add blue
/srv/bin/swg-ns attach --quiet --engine "$backend" --wait --id blue "$(configuration_of root)" --netns blue >/dev/null
inside() { /srv/bin/swg-ns exec "$@"; }

for level in "" --strict; do
    # shellcheck disable=SC2086
    [ "$(inside $level blue -- busybox wget -q -O- http://10.99.0.1/)" = "hello from behind the tunnel" ] || fail "exec $level: no way through"
    [ "$(inside $level blue -- /srv/bin/leak-probe unix /run/dbus/system_bus_socket)" = ENOENT ] || fail "exec $level: the bus is reachable"
    [ "$(inside $level blue -- grep -c '^nameserver 10.99.0.1$' /etc/resolv.conf)" = 1 ] || fail "exec $level: resolv.conf"
    inside $level blue -- grep -E '^Cap(Inh|Prm|Eff|Amb)' /proc/self/status | grep >/dev/null -v '0000000000000000$' && fail "exec $level: capabilities"
    [ "$(inside $level blue -- /srv/bin/leak-probe setns /proc/1/ns/net)" != open ] || fail "exec $level: the way back is open"
    expect_status 9 inside $level blue -- "$BASH" -c 'exit 9'
    expect_status 127 inside $level blue -- swg-no-such-command
    [ "$(inside $level --user tester blue -- id -u)" = $tester ] || fail "exec $level: --user"
    inside $level blue -- ping -c1 -W20 10.99.0.1 >/dev/null || fail "exec $level: ping"
    ok "exec ${level:-default}: in the tunnel's namespace, confined"
done
sed "s|^PrivateKey.*|PrivateKeyFile = other.key|" "$test_folder/client3.conf" >/srv/other.conf
cp "$test_folder/client3.key" /srv/other.key
chmod 600 /srv/other.conf /srv/other.key
ip netns add green
/srv/bin/swg-ns attach --quiet --engine "$backend" --id green /srv/other.conf --netns green >/dev/null
[ "$(inside green -- cat /srv/other.key /srv/other.conf | wc -c)" = 0 ] || fail "P3: exec shows the key's file"
chmod 644 /srv/other.key
/srv/bin/swg-ns check green >"$test_folder/output" || true
expect_output '/srv/other.key is readable by everybody'
/srv/bin/swg-ns detach green >/dev/null
ok "P3: the files that keys were read from are hidden from exec's command, and looked at by check"
expect_status 125 inside nobody-there -- true
ok "exec: an unknown tunnel is 125"

# An INET socket of the very namespace is no foreign one.
expect_status 0 ip netns exec blue /srv/bin/leak-probe with udp 0 /srv/bin/swg-ns exec blue -- true
expect_status 125 /srv/bin/leak-probe with udp 0 /srv/bin/swg-ns exec blue -- true
expect_output 'IPv4 socket of another network namespace'
ok "exec: sockets are told apart by the namespace in which they were made"

# The tunnel of a rootless run is joined through its user namespace.
: >"$test_folder/output"
behind rootless "$BASH" -c 'echo here; until [ -e /srv/enough ]; do sleep 0.1; done' >"$test_folder/output" 2>&1 &
wait_until 5 grep -q here "$test_folder/output" || fail "no command"
[ "$(as_tester /srv/bin/swg-ns exec client2 -- busybox wget -q -O- http://10.99.0.1/)" = "hello from behind the tunnel" ] ||
    fail "exec does not join a rootless tunnel"
touch /srv/enough
wait $!
ok "exec: a rootless tunnel by its owner"
/srv/bin/swg-ns detach blue >/dev/null
