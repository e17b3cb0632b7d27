#!/bin/bash
# How the engine is started and how it ends: arguments, environment, handed-over descriptors, sockets, signals.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/pair.sh"
need wg wireguard-go ping

# A process that has given up its memory, and with it its name, may still hold the interface.
no_link() { ! ip link show "$1"; }
no_engine() { ! pgrep -f "swg-engine.*$1\$"; }

# Background by default, names and modes as wireguard-go's.
swg-engine one
[ -S /var/run/wireguard/one.sock ] || fail "no UAPI socket"
[ "$(stat -c %a /var/run/wireguard/one.sock)" = 700 ] || fail "U1: mode $(stat -c %a /var/run/wireguard/one.sock)"
ip link show one >/dev/null
ip link show one | grep >/dev/null 'qlen 4000' || fail "the queue of the interface: $(ip link show one)"
[ "$(cut -d' ' -f 6 /proc/"$(monitor one)"/stat)" != "$(cut -d' ' -f 6 /proc/$$/stat)" ] || fail "still in our session"
wg show one >/dev/null
ok "U1: in the background, with its UAPI socket"

# A pipe that the engine kept open would never end.
expect_status 0 timeout 60 bash -c 'words=$(swg-engine held 2>&1) && [ -z "$words" ]'
kill -TERM "$(monitor held)"
wait_until 10 no_engine held || fail "SIGTERM does not end it"
ok "U1: in the background nothing of its caller's is held"

expect_status 1 swg-engine one
expect_output "one"
wg show one >/dev/null
ok "U1: a live interface is refused"

kill -TERM "$(monitor one)"
wait_until 2 no_engine one || fail "SIGTERM does not end it"
wait_until 2 no_link one || fail "the interface stays"
[ ! -e /var/run/wireguard/one.sock ] || fail "the socket file stays"
ok "SIGTERM ends it cleanly"

swg-engine -f two &
wait_until 5 wg show two
kill -INT $!
wait $! || fail "SIGINT: exit status $?"
WG_PROCESS_FOREGROUND=1 swg-engine two &
wait_until 5 wg show two
rm /var/run/wireguard/two.sock
wait_until 2 no_engine two || fail "U1: removing the socket file does not end it"
wait $! || fail "exit status $?"
ok "U1: foreground; SIGINT and removal of the socket file end it"

# A stale socket is replaced, probes are tolerated.
swg-engine three

# Short turns for the threads that packets wait for, where the kernel takes requests (Linux 6.12) and tells.
turns() { # of tx and rx, in nanoseconds
    local name
    for name in swg-tx swg-rx; do
        awk '/^se.slice/ { print $3 }' "$(grep -lx $name /proc/"$(workers three)"/task/*/comm | sed 's/comm$/sched/')"
    done | xargs
}
have_turns() { [ "$(turns)" = "400000 400000" ]; }
if [ "$(printf '%s\n' 6.12 "$(uname -r)" | sort -V | head -n 1)" = 6.12 ] && grep -q '^se.slice' /proc/$$/sched; then
    wait_until 10 have_turns || fail "turns of $(turns) ns"
    ok "the loops have asked for short turns"
fi
kill -KILL "$(monitor three)"
wait_until 2 no_engine three || fail "the worker outlives its monitor"
[ -S /var/run/wireguard/three.sock ] || fail "the test wants a stale socket"
swg-engine three
for _ in 1 2 3 4 5; do busybox nc -w 1 local:/var/run/wireguard/three.sock </dev/null >/dev/null 2>&1 || true; done
wg show three >/dev/null
ok "U1: a stale socket is replaced; the worker dies with its monitor"
ip link del three
wait_until 2 no_engine three || fail "deleting the interface does not end it"
[ ! -e /var/run/wireguard/three.sock ] || fail "the socket file stays"
ok "deleting the interface ends it"

# Usage.
expect_status 2 swg-engine
expect_status 2 swg-engine a b
expect_status 2 swg-engine --nonsense a
expect_status 2 swg-engine a/b
expect_status 2 swg-engine 1234567890123456
expect_status 2 env WG_TUN_FD=99 swg-engine -f four
expect_output WG_TUN_FD
ok "usage errors are status 2"
