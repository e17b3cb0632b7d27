#!/bin/bash
# early
# A real rekey across REKEY_AFTER_TIME, our side and theirs as initiator, without a lost packet.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/pair.sh"
need wg wireguard-go ping

make_pair swg-engine wireguard-go
start_engine_c() {
    ip netns add c
    ip link add vc netns c type veth peer name vd netns b
    ip -n c addr add 198.51.100.1/24 dev vc
    ip -n b addr add 198.51.100.2/24 dev vd
    ip -n c link set vc up
    ip -n b link set vd up
    ip netns exec c swg-engine wgc
    wg genkey >c.key
    wg set wgc private-key c.key listen-port 3333 peer "$b_public" allowed-ips 10.0.0.2/32
    wg set wgb peer "$(wg pubkey <c.key)" allowed-ips 10.0.0.3/32 endpoint 198.51.100.1:3333
    ip -n c addr add 10.0.0.3/24 dev wgc
    ip -n c link set wgc mtu 1420 up
}
start_engine_c
wg set wga peer "$b_public" endpoint 192.0.2.2:2222
expect_ping a 10.0.0.2
expect_ping b 10.0.0.3
first_a=$(wg show wga latest-handshakes | cut -f 2)
first_c=$(wg show wgc latest-handshakes | cut -f 2)
ip netns exec a ping -q -c 270 -i 0.5 -W 2 10.0.0.2 >a.ping &
pinging=$!
ip netns exec b ping -q -c 270 -i 0.5 -W 2 10.0.0.3 >c.ping || fail "$(cat c.ping)"
wait $pinging || fail "$(cat a.ping)"
grep -q " 0% packet loss" a.ping || fail "lost packets as the initiator: $(cat a.ping)"
grep -q " 0% packet loss" c.ping || fail "lost packets as the responder: $(cat c.ping)"
second_a=$(wg show wga latest-handshakes | cut -f 2)
second_c=$(wg show wgc latest-handshakes | cut -f 2)
[ $((second_a - first_a)) -ge 119 ] && [ $((second_a - first_a)) -le 126 ] || fail "rekeyed after $((second_a - first_a)) s"
[ $((second_c - first_c)) -ge 119 ] && [ $((second_c - first_c)) -le 126 ] || fail "rekeyed after $((second_c - first_c)) s"
ok "rekeyed after $((second_a - first_a)) s as the initiator, $((second_c - first_c)) s as the responder, no packet lost"
