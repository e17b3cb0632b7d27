#!/bin/bash
# wg(8) in all its forms, and wg-quick(8), drive the engine unchanged.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/pair.sh"
need wg wg-quick wireguard-go ping

make_pair swg-engine wireguard-go
wg set wgb peer "$a_public" preshared-key psk
wg set wga peer "$b_public" endpoint 192.0.2.2:2222 preshared-key psk persistent-keepalive 25
expect_ping a 10.0.0.2

[ "$(wg show interfaces | tr ' ' '\n' | sort | tr '\n' ' ')" = "wga wgb " ] || fail "wg show interfaces: $(wg show interfaces)"
[ "$(wg show wga public-key)" = "$a_public" ] || fail public-key
[ "$(wg show wga private-key)" = "$(cat a.key)" ] || fail private-key
[ "$(wg show wga listen-port)" = 1111 ] || fail listen-port
[ "$(wg show wga fwmark)" = off ] || fail fwmark
[ "$(wg show wga peers)" = "$b_public" ] || fail peers
[ "$(wg show wga preshared-keys)" = "$b_public	$(cat psk)" ] || fail preshared-keys
[ "$(wg show wga endpoints)" = "$b_public	192.0.2.2:2222" ] || fail endpoints
[ "$(wg show wga allowed-ips)" = "$b_public	10.0.0.2/32 fd00::2/128" ] || fail "allowed-ips: $(wg show wga allowed-ips)"
[ "$(wg show wga persistent-keepalive)" = "$b_public	25" ] || fail persistent-keepalive
now=$(date +%s) noted=$(wg show wga latest-handshakes | cut -f 2)
[ $((now - noted)) -le 5 ] || fail latest-handshakes
[ "$(wg show wga dump | wc -l)" = 2 ] || fail dump
wg show all dump | grep >/dev/null "^wga	$(cat a.key)	$a_public	1111	off$" || fail "show all dump"
wg show wga | grep >/dev/null "transfer: .* received, .* sent" || fail "wg show"
ok "wg show in all its forms"

wg showconf wga >saved.conf
wg set wga peer "$b_public" remove
[ -z "$(wg show wga peers)" ] || fail remove
wg setconf wga saved.conf
[ "$(wg showconf wga)" = "$(cat saved.conf)" ] || fail "setconf of showconf differs"
expect_ping a 10.0.0.2
ok "showconf, setconf"

c_public=$(wg genkey | wg pubkey)
printf '[Peer]\nPublicKey = %s\nAllowedIPs = 10.0.0.3/32\n' "$c_public" >add.conf
wg addconf wga add.conf
[ "$(wg show wga peers | wc -l)" = 2 ] || fail addconf
wg syncconf wga saved.conf
[ "$(wg showconf wga)" = "$(cat saved.conf)" ] || fail "syncconf did not take the peer away"
before=$(wg show wga latest-handshakes)
sed 's/AllowedIPs = .*/AllowedIPs = 10.0.0.2\/32, fd00::2\/128, 10.9.0.0\/16/' saved.conf >more.conf
wg syncconf wga more.conf
wg show wga allowed-ips | grep >/dev/null 10.9.0.0/16 || fail "syncconf: $(wg show wga allowed-ips)"
[ "$(wg show wga latest-handshakes)" = "$before" ] || fail "syncconf dropped the session"
ok "addconf, syncconf"

# A1: an allowed IP moves from peer to peer.
wg set wga peer "$c_public" allowed-ips 10.0.0.2/32
wg show wga allowed-ips | grep >/dev/null "^$b_public	.*10.0.0.2/32" && fail "A1: two owners"
! pings a 10.0.0.2 1 || fail "A1: still goes to the old owner"
wg set wga peer "$b_public" allowed-ips 10.0.0.2/32,fd00::2/128
wg show wga allowed-ips | grep >/dev/null "^$c_public	(none)" || fail "A1: $(wg show wga allowed-ips)"
expect_ping a 10.0.0.2
ok "A1: allowed IPs move"

# D4: no peer, no endpoint: the application hears at once.
start=$(date +%s%N)
in_a ping -c 1 -W 5 10.0.0.99 >unreachable 2>&1 && fail "somebody answers for 10.0.0.99"
grep -q "Unreachable" unreachable || fail "D4: $(cat unreachable)"
in_a ping -c 1 -W 5 fd00::99 >unreachable 2>&1 && fail "somebody answers for fd00::99"
grep -q "Unreachable\|unreachable" unreachable || fail "D4: $(cat unreachable)"
wg set wga peer "$c_public" allowed-ips 10.0.0.3/32
in_a ping -c 1 -W 5 10.0.0.3 >unreachable 2>&1 && fail "somebody answers for 10.0.0.3"
grep -q "Unreachable" unreachable || fail "D4 without an endpoint: $(cat unreachable)"
[ $((($(date +%s%N) - start) / 1000000)) -lt 3000 ] || fail "D4: the answers took their time"
ok "D4: unreachable is told at once, for IPv4 and IPv6"

# wg-quick takes a kernel device where there is one.
if ip link add probe type wireguard 2>/dev/null; then
    ip link del probe
    ok "wg-quick is not tried: this kernel has WireGuard"
    exit 0
fi
cat >quick0.conf <<CONF
[Interface]
PrivateKey = $(cat a.key)
Address = 10.7.0.1/24, fd07::1/64
MTU = 1380
ListenPort = 7777

[Peer]
PublicKey = $b_public
AllowedIPs = 10.7.0.2/32, 10.8.0.0/16, fd07::2/128
Endpoint = 192.0.2.2:2222
CONF
chmod 600 quick0.conf
ip link del wga 2>/dev/null || ip -n a link del wga
in_a env WG_QUICK_USERSPACE_IMPLEMENTATION=swg-engine wg-quick up ./quick0.conf >quick.log 2>&1 || fail "wg-quick up: $(cat quick.log)"
wg set wgb peer "$a_public" preshared-key /dev/null allowed-ips 10.7.0.1/32,fd07::1/128 endpoint 192.0.2.1:7777
ip -n b addr add 10.7.0.2/24 dev wgb
expect_ping a 10.7.0.2
in_a ip route show | grep >/dev/null '10.8.0.0/16 dev quick0' || fail "routes: $(in_a ip route show)"
in_a wg-quick down ./quick0.conf >quick.log 2>&1 || fail "wg-quick down: $(cat quick.log)"
wait_until 2 sh -c '! pgrep -f "[s]wg-engine quick0"' || fail "the engine lives on after wg-quick down"
ok "wg-quick up and down"
