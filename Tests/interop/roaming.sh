#!/bin/bash
# D8, D9: the endpoint follows authenticated packets; answers leave from the address they were asked at; an address
# that goes away is not clung to.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/pair.sh"
need wg wireguard-go ping

make_pair swg-engine wireguard-go
wg set wga peer "$b_public" endpoint 192.0.2.2:2222
expect_ping a 10.0.0.2

ip -n b addr del 192.0.2.2/24 dev vb
ip -n b addr add 192.0.2.3/24 dev vb
# wireguard-go clings to the source address that is gone until it is given an endpoint anew.
wg set wgb peer "$a_public" endpoint 192.0.2.1:1111
expect_ping b 10.0.0.1
[ "$(wg show wga endpoints | cut -f 2)" = 192.0.2.3:2222 ] || fail "not followed: $(wg show wga endpoints)"
expect_ping a 10.0.0.2
ok "D9: roaming to another address"

wg set wgb listen-port 3333
expect_ping b 10.0.0.1
[ "$(wg show wga endpoints | cut -f 2)" = 192.0.2.3:3333 ] || fail "not followed: $(wg show wga endpoints)"
ok "D9: roaming to another port"

wg set wgb peer "$a_public" endpoint '[2001:db8::1]:1111'
expect_ping b 10.0.0.1
[ "$(wg show wga endpoints | cut -f 2)" = '[2001:db8::2]:3333' ] || fail "not followed: $(wg show wga endpoints)"
expect_ping a fd00::2
ok "D9: roaming to IPv6"

# Sticky source: asked at its second address, a answers from there; wireguard-go notes where answers come from.
ip -n a addr add 192.0.2.9/24 dev va
wg set wgb peer "$a_public" endpoint 192.0.2.9:1111
expect_ping b 10.0.0.1
[ "$(wg show wgb endpoints | cut -f 2)" = 192.0.2.9:1111 ] || fail "D8: answered from $(wg show wgb endpoints)"
ok "D8: answers leave from the address that was asked"

# What changes elsewhere on a busy machine, in this namespace or in another that is known to it, is no reason to move.
ip -n a route add blackhole 203.0.113.0/24
ip -n a addr add 203.0.113.1/32 dev lo
ip -n a addr del 203.0.113.1/32 dev lo
ip -n b route add blackhole default metric 9
ip -n b route del blackhole default metric 9
expect_ping a 10.0.0.2
[ "$(wg show wgb endpoints | cut -f 2)" = 192.0.2.9:1111 ] || fail "D8: another route moved it to $(wg show wgb endpoints)"
ok "D8: routes that do not lead to the peer leave its source alone"

ip -n a addr del 192.0.2.9/24 dev va
expect_ping a 10.0.0.2
[ "$(wg show wgb endpoints | cut -f 2)" = 192.0.2.1:1111 ] || fail "D8b: clings to $(wg show wgb endpoints)"
ok "D8b: a source address that is gone is given up at once"

ip -n a addr add 2001:db8::9/64 dev va nodad
wg set wgb peer "$a_public" endpoint '[2001:db8::9]:1111'
expect_ping b 10.0.0.1
ip -n a addr del 2001:db8::9/64 dev va
expect_ping a 10.0.0.2
ok "D8b: the same over IPv6"
