#!/bin/bash
# exec leaves what its command left in the namespace, and detach puts back what exec had to set (P4).
source "$(dirname "$0")/../lib/test.sh"
make_gateway
conf=$test_folder/client1.conf
ip netns add blue
range() { ip netns exec blue cat /proc/sys/net/ipv4/ping_group_range; }
before=$(range)
swg-ns attach "$conf" --netns blue --engine "$backend" --quiet --wait
[ "$(range)" = "$before" ] || fail "attach changed ping_group_range to $(range)"
[ "$before" = "1	0" ] || fail "a fresh namespace lets $before ping: the test has no point"
swg-ns exec client1 -- ping -q -c 1 -W 20 10.99.0.1 >"$test_folder/output" || fail "no ping in exec: $(cat "$test_folder/output")"
[ "$(range)" = "0	2147483647" ] || fail "ping was not allowed: $(range)"
swg-ns exec client1 -- true
[ "$(grep -c restoreSetting /run/swg-ns/tunnels/client1/journal.json)" = 1 ] || fail "the journal has it twice, or not"
swg-ns detach client1
[ "$(range)" = "$before" ] || fail "P4: detach left ping_group_range at $(range)"
ok "P4: exec lets the namespace ping, and detach puts the setting back"

# What the administrator allows stays as it is.
ip netns exec blue sysctl -qw net.ipv4.ping_group_range="0 100"
swg-ns attach "$conf" --netns blue --engine "$backend" --quiet
swg-ns exec client1 -- true
[ "$(range)" = "0	100" ] || fail "exec changed a range that was wide enough: $(range)"
ok "a range that allows the user is left alone"

# As ip netns exec and nsenter do: a daemon that a command started lives on, in a namespace with one way out. The
# namespace is the user's, not ours to empty; --strict has its own pids, and they end.
swg-ns exec client1 -- sh -c 'sleep 71 >/dev/null 2>&1 &'
pgrep -f 'sleep 71' >/dev/null || fail "exec killed what its command left"
swg-ns exec client1 --strict -- sh -c 'sleep 72 >/dev/null 2>&1 &'
wait_until 3 sh -c '! pgrep -f "sleep 7[2]"' || fail "exec --strict left a process"
swg-ns detach client1 --quiet
pgrep -f 'sleep 71' >/dev/null || fail "detach killed a process of the user"
stray=$(pgrep -f 'sleep 71')
[ "$(nsenter -t "$stray" -n ip -o link | awk '{print $2}')" = "lo:" ] || fail "P1: the stray has a way out"
kill "$stray"
ok "P1: what a command leaves lives on with no way out; under --strict it ends with the command"
