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
    wait_until 5 sh -c '! ip netns exec a ss -Hlun | grep -q :1111' || fail "D12: the socket stays open"
    ! pings b 10.0.0.1 1 || fail "D12: answers although it is down"
    ip -n inside link set wg0 up
    wait_until 5 sh -c 'ip netns exec a ss -Hlun | grep -q :1111' || fail "D12: the socket is not opened again"
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
length_of_ping() { # length_of_ping PAYLOAD: UDP payload of the outer packet
    rm -f dump.log
    ip netns exec b tcpdump --immediate-mode -n -c 1 -i vb 'udp and src host 192.0.2.1 and greater 1000' >dump 2>dump.log &
    local dump=$!
    wait_until 5 grep -q listening dump.log || sleep 0.3
    ip netns exec inside ping -q -c 3 -i 0.2 -W 2 -s "$1" 10.0.0.2 >/dev/null
    wait $dump
    sed -n 's/.*length \([0-9]*\).*/\1/p' dump | head -n 1
}
ip -n inside link set wg0 mtu 1301
sleep 0.2
[ "$(length_of_ping 1273)" = $((1301 + 32)) ] || fail "D1: padded beyond the MTU: $(cat dump)"
ip -n inside link set wg0 mtu 1420
sleep 0.2
[ "$(length_of_ping 1273)" = $((1312 + 32)) ] || fail "D1: not padded to 16: $(cat dump)"
ok "D1: the MTU is noticed after the move"

ip -n inside link set wg0 mtu 1500
sleep 0.2
expect_ping inside 10.0.0.2
start=$(date +%s%N)
ip netns del inside
wait_until 2 sh -c '! pgrep -f "[s]wg-engine wga"' || fail "does not end with the namespace"
took=$((($(date +%s%N) - start) / 1000000))
[ $took -lt 1000 ] || fail "took $took ms"
[ ! -e /var/run/wireguard/wga.sock ] || fail "the socket file stays"
ok "the namespace went, and the engine after $took ms"
