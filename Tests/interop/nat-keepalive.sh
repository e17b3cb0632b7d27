#!/bin/bash
# early
# A persistent keepalive through NAT: the side outside reaches the one inside after the mapping would have expired.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/pair.sh"
need wg wireguard-go ping nft

make_wire
# a sits behind a router r: a 192.168.1.2 - r 192.168.1.1 / 192.0.2.9 - b.
ip netns add r
ip -n a link set va down
ip -n a addr flush dev va
ip -n a link set va netns r name vout
ip -n r addr add 192.0.2.9/24 dev vout
ip -n r link set vout up
ip link add va netns a type veth peer name vin netns r
ip -n a addr add 192.168.1.2/24 dev va
ip -n r addr add 192.168.1.1/24 dev vin
ip -n a link set va up
ip -n r link set vin up
ip -n a route add default via 192.168.1.1
ip netns exec r sysctl -qw net.ipv4.ip_forward=1
ip netns exec r nft -f - <<'NFT' || skip "no NAT in this kernel"
table ip translation {
    chain out {
        type nat hook postrouting priority 100
        oifname vout masquerade
    }
}
NFT
ip netns exec r sysctl -qw net.netfilter.nf_conntrack_udp_timeout=2 net.netfilter.nf_conntrack_udp_timeout_stream=2 ||
    skip "no connection tracking in this kernel"
start_engine a swg-engine
start_engine b wireguard-go
wg set wga private-key a.key listen-port 1111 peer "$b_public" allowed-ips 10.0.0.2/32,fd00::2/128
wg set wgb private-key b.key listen-port 2222 peer "$a_public" allowed-ips 10.0.0.1/32,fd00::1/128
wg set wga peer "$b_public" endpoint 192.0.2.2:2222
expect_ping a 10.0.0.2
sleep 4
! pings b 10.0.0.1 1 || fail "the mapping does not expire: the test proves nothing"
wg set wga peer "$b_public" persistent-keepalive 1
sleep 5
expect_ping b 10.0.0.1
ok "R7: reachable behind NAT with a persistent keepalive"
