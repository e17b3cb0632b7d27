#!/bin/bash
# limit: 400 s
# The target, the birthplace and the process that made the tunnel end in every order: no page leaves in the
# clear, the kernel frees all of it (run-guest counts), and detach or gc leaves nothing of ours.
source "$(dirname "$0")/../../lib/test.sh"
make_gateway
conf=$test_folder/client1.conf

# The birthplace is a namespace of its own here, with a way to the gateway.
make_birthplace() {
    ip netns add birth
    ip link add birth0 type veth peer name eth0 netns birth
    ip addr add 198.51.100.1/24 dev birth0
    ip link set birth0 up
    ip -n birth addr add 198.51.100.2/24 dev eth0
    ip -n birth link set eth0 up
    ip -n birth link set lo up
    ip -n birth route add default via 198.51.100.1
    ip -n gateway route replace 198.51.100.0/24 via 192.0.2.1
    sysctl -qw net.ipv4.ip_forward=1
}
fetch() { ip netns exec pod curl -s -m 10 http://10.99.0.1/; }
attach() {
    make_birthplace
    ip netns add pod
    # ip netns exec would give it another /sys and mount namespace; only the network is the point.
    expect_status 0 nsenter --net=/run/netns/birth swg-ns attach --engine kernel --id life --wait=60 "$conf" --netns pod
    fetch | grep -q 'hello from behind' || fail "no page"
}
nothing_left() {
    expect_status 0 swg-ns gc
    expect_status 0 swg-ns detach life
    [ -z "$(ls /run/swg-ns/tunnels 2>/dev/null)" ] || fail "$1: state is left"
    [ -z "$(ls /run/swg-ns/leases 2>/dev/null)" ] || fail "$1: a lease is left"
    for name in pod birth; do ! ip netns list | grep -q "^$name" || ip netns delete $name; done
    ip link delete birth0 2>/dev/null || true
    ok "$1"
}

attach
ip netns delete pod
nothing_left "the target ends first"

attach
ip netns delete birth
ip link delete birth0 2>/dev/null || true
! fetch >/dev/null 2>&1 || fail "a page without a birthplace"
[ "$(ip -n pod -o link show type wireguard | wc -l)" = 1 ] || fail "the interface is gone with its birthplace"
nothing_left "the birthplace ends first: the interface stays and leads nowhere"

attach
ip netns delete birth
ip netns delete pod
nothing_left "the birthplace, then the target"

attach
ip netns delete pod
ip netns delete birth
nothing_left "the target, then the birthplace"

# A process in the target keeps it alive after its name is gone.
attach
ip netns exec pod sleep 1000 &
holder=$!
inside() { [ "$(readlink /proc/$holder/ns/net)" != "$(readlink /proc/self/ns/net)" ]; }
wait_until 10 inside
ip netns delete pod
nsenter --net=/proc/$holder/ns/net curl -s -m 10 -o /dev/null http://10.99.0.1/ || fail "the tunnel went with the name"
kill $holder
wait $holder || true
nothing_left "the name, then the last process of the target"

attach
expect_status 0 swg-ns detach life
nothing_left "detach, with all alive"
