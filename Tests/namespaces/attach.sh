#!/bin/bash
# attach and detach of a named namespace, a path and a process, with real packets to a gateway (P1, P2, P7).
source "$(dirname "$0")/../lib/test.sh"
need curl wg
make_gateway
inventory >"$test_folder/before"

reaches() { ip netns exec "$1" curl -s -m 15 "http://10.99.0.1/" | grep >/dev/null "behind the tunnel"; }

swg-ns attach "$test_folder/client1.conf" --netns blue --create --engine "$backend" --quiet
reaches blue || fail "no answer over IPv4"
ip netns exec blue curl -s -m 15 "http://[fd99::1]/" | grep >/dev/null "behind the tunnel" || fail "no answer over IPv6"
ok "a created namespace reaches what is behind the tunnel, over both families"

links=$(ip -n blue -o link | awk -F': ' '{ print $2 }' | sort | tr '\n' ' ')
[ "$links" = "lo wg0 " ] || fail "P1: the namespace holds: $links"
swg-ns check client1 >"$test_folder/output" || fail "P1: $(cat "$test_folder/output")"
ok "P1: lo and the tunnel, nothing else; check proves it"

wg_of client1 blue wg0 | grep >/dev/null "latest handshake" || fail "P7: wg show"
ip netns exec blue cat /etc/resolv.conf | grep >/dev/null "nameserver 10.99.0.1" || fail "P7: DNS= reaches ip netns exec"
swg-ns show client1 | grep >/dev/null "socket: outside" || fail "show does not say where the socket lives"
port=$(wg_of client1 blue wg0 listen-port)
ss -Huln | grep >/dev/null ":$port " || fail "P2: no UDP socket here, in the birthplace"
[ -z "$(ip netns exec blue ss -Huln)" ] || fail "P2: a UDP socket in the target"
swg-ns list --json | grep >/dev/null '"state": "attached"' || fail "list"
ok "P7: wg show ID and ip netns exec work on what we made"

swg-ns detach client1 --quiet
inventory >"$test_folder/after"
same_inventory "$test_folder/before" "$test_folder/after"
swg-ns detach client1 --quiet
swg-ns detach never-was --quiet
swg-ns detach --netns nowhere --quiet
ok "P4: detach leaves what was there before; again, and for what never was, is success"

ip netns add green
swg-ns attach "$test_folder/client2.conf" --netns /run/netns/green --ifname tun9 --id by-path --engine "$backend" --quiet
reaches green || fail "no answer in a namespace by path"
swg-ns detach by-path --quiet
[ "$(ip -n green -o link | wc -l)" = 1 ] || fail "detach left an interface"
ip -n green -o link show lo | grep >/dev/null "state DOWN" || fail "P4: lo was down before, and is up now"
ok "by path, with another interface name and id; lo is down again"

unshare --net sleep 1000 &
sleeper=$!
# Looked up anew each time: the shell would look once.
wait_until 5 bash -c "[ \$(readlink /proc/$sleeper/ns/net) != \$(readlink /proc/self/ns/net) ]"
swg-ns attach "$test_folder/client3.conf" --pid "$sleeper" --engine "$backend" --quiet
nsenter -t "$sleeper" -n curl -s -m 15 http://10.99.0.1/ | grep >/dev/null "behind the tunnel" || fail "no answer by pid"
engine=$(swg-ns list --json | sed -n 's/.*"enginePID": \([0-9]*\).*/\1/p')
on_kernel || [ "$engine" -gt 1 ] || fail "no engine"
port=$(swg-ns show client3 --json | sed -n 's/.*"listenPort": \([0-9]*\).*/\1/p')
kill "$sleeper"
wait "$sleeper" 2>/dev/null || true
# Nothing of ours holds the namespace: with its last process it ends, and with it the TUN and the engine.
on_kernel || wait_until 10 bash -c "! test -d /proc/$engine" || fail "P2: the engine outlives the namespace"
wait_until 10 bash -c "! ss -Huln | grep ':$port '" || fail "P2: the UDP socket outlives the namespace"
swg-ns gc --quiet
ip netns delete green
inventory >"$test_folder/after"
same_inventory "$test_folder/before" "$test_folder/after"
ok "P2: by process; the namespace ends with its last process, engine and socket with it, and gc leaves nothing"
