#!/bin/bash
# The interface moved into another namespace and renamed: it goes on working, MTU and state are noticed, and when
# the namespace goes the engine ends within a second; the namespace is not kept alive.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/pair.sh"
need wg wireguard-go ping tcpdump

make_pair swg-engine wireguard-go
wg set wga peer "$b_public" endpoint 192.0.2.2:2222
ip netns add inside
move() {
    ip -n a link set wga netns inside name wg0
    ip -n inside addr add 10.0.0.1/24 dev wg0
    ip -n inside addr add fd00::1/64 dev wg0 nodad
    ip -n inside link set wg0 mtu 1420 up
    expect_ping inside 10.0.0.2
    expect_ping b fd00::1
}
down_and_up() {
    ip -n inside link set wg0 down
    wait_until 5 sh -c '! ip netns exec a ss -Hlun | grep >/dev/null :1111' || fail "D12: the socket stays open"
    ! pings b 10.0.0.1 1 || fail "D12: answers although it is down"
    ip -n inside link set wg0 up
    wait_until 5 sh -c 'ip netns exec a ss -Hlun | grep >/dev/null :1111' || fail "D12: the socket is not opened again"
    ip -n inside addr replace fd00::1/64 dev wg0 nodad
    expect_ping inside 10.0.0.2
}
move
ok "moved and renamed, it works"

# D12: down forgets the sessions and closes the sockets, up starts anew.
down_and_up
ok "D12: down and up again"

# Back, and to where its index is another's: it gets a new one, and its news are told under that.
ip -n inside link set wg0 netns a name wga
index=$(ip -n a -o link show wga | cut -d : -f 1)
ip -n inside link add taken index "$index" type veth peer name taken2
move
[ "$(ip -n inside -o link show wg0 | cut -d : -f 1)" != "$index" ] || fail "it kept its index $index"
down_and_up
ok "D12: down and up again under another index"

# D1: padding follows the MTU without polling. 1300 bytes with MTU 1300 must not be padded to 1312.
pads_ping_to() { # pads_ping_to BYTES: the UDP payload of a ping of 1273 bytes
    rm -f dump.log
    ip netns exec b timeout 20 tcpdump --immediate-mode -n -c 1 -i vb 'udp and src host 192.0.2.1 and greater 1000' >dump 2>dump.log &
    local dump=$!
    wait_until 5 grep -q listening dump.log
    ip netns exec inside ping -q -c 3 -i 0.2 -W 2 -s 1273 10.0.0.2 >/dev/null
    wait $dump || return 1
    grep -q "length $1\$" dump
}
# The news of the MTU comes a moment after the change.
ip -n inside link set wg0 mtu 1301
wait_until 5 pads_ping_to $((1301 + 32)) || fail "D1: padded beyond the MTU: $(cat dump)"
ip -n inside link set wg0 mtu 1420
wait_until 5 pads_ping_to $((1312 + 32)) || fail "D1: not padded to 16: $(cat dump)"
ok "D1: the MTU is noticed after the move"

ip -n inside link set wg0 mtu 1500
expect_ping inside 10.0.0.2
for round in 1 2 3; do
    start=$(date +%s%N)
    ip netns del inside
    wait_until 2 sh -c '! pgrep -f "[s]wg-engine wga"' || fail "does not end with the namespace"
    took=$((($(date +%s%N) - start) / 1000000))
    [ ! -e /var/run/wireguard/wga.sock ] || fail "the socket file stays"
    [ $took -ge 1000 ] || break
    # A busy machine may have made it wait, but not every time.
    [ $round -lt 3 ] || fail "took $took ms, the third time in a row"
    ip netns add inside
    start_engine a swg-engine
    ip -n a link set wga netns inside name wg0
done
ok "the namespace went, and the engine after $took ms"
