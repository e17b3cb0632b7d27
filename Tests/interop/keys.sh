#!/bin/bash
# S7, A6: changing private keys, preshared keys, ports and marks while the tunnel is in use.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/pair.sh"
need wg wireguard-go ping

make_pair swg-engine wireguard-go
wg set wga peer "$b_public" endpoint 192.0.2.2:2222
wg set wgb peer "$a_public" endpoint 192.0.2.1:1111
expect_ping a 10.0.0.2

(
    ulimit -l 0
    in_a env LOG_LEVEL=error swg-engine unlocked 2>unlocked.log
)
wg set unlocked private-key a.key
wait_until 2 grep -q RLIMIT_MEMLOCK unlocked.log || fail "P3: no warning of unlocked keys: $(cat unlocked.log)"
[ "$(wc -l <unlocked.log)" = 1 ] || fail "P3: more than one warning: $(cat unlocked.log)"
if [ "$(ulimit -l)" = unlimited ] || [ "$(ulimit -l)" -ge 8192 ]; then
    [ ! -s a.log ] || fail "P3: a warning without a cause: $(cat a.log)"
fi
in_a ip link delete unlocked
ok "P3: keys that cannot be locked are one warning and no failure"

umask 077
wg genkey >new.key
new_public=$(wg pubkey <new.key)
wg set wgb peer "$new_public" preshared-key psk allowed-ips 10.0.0.1/32,fd00::1/128 endpoint 192.0.2.1:1111
wg set wgb peer "$a_public" remove
wg set wga private-key new.key peer "$b_public" preshared-key psk
expect_ping a 10.0.0.2
ok "S7: our private key changed, a handshake with the new one followed at once"

wg genpsk >psk2
wg set wga peer "$b_public" preshared-key psk2
expect_ping a 10.0.0.2
ok "S7: a preshared key changed, the session goes on"

wg set wga listen-port 4444
expect_ping a 10.0.0.2
[ "$(wg show wgb endpoints | cut -f 2)" = 192.0.2.1:4444 ] || fail "$(wg show wgb endpoints)"
[ "$(wg show wga listen-port)" = 4444 ] || fail "port $(wg show wga listen-port)"
ok "A6: our port changed"

in_a wg set wga listen-port 53
[ "$(wg show wga listen-port)" = 53 ] || fail "port $(wg show wga listen-port)"
expect_ping a 10.0.0.2
ok "a port below 1024, although the worker has no capability"

in_a env LOG_LEVEL=error wireguard-go other 2>/dev/null
wg set other listen-port 5555
ip -n a link set other up
wait_until 5 sh -c 'ip netns exec a ss -Hlun | grep >/dev/null :5555' || fail "nobody listens on port 5555"
if wg set wga listen-port 5555 2>refusal; then fail "took a port that is in use"; fi
grep -q "in use" refusal || fail "not EADDRINUSE: $(cat refusal)"
[ "$(wg show wga listen-port)" = 53 ] || fail "the old port is gone: $(wg show wga listen-port)"
expect_ping a 10.0.0.2
ip -n a link del other
ok "A6: a port in use is refused, the old socket stays"

wg set wga listen-port 0
port=$(wg show wga listen-port)
[ "$port" -gt 1023 ] || fail "random port: $port"
expect_ping a 10.0.0.2
ok "A6: port 0 asks for a random one"

wg set wga fwmark 0x1234
[ "$(wg show wga fwmark)" = 0x1234 ] || fail "mark $(wg show wga fwmark)"
ip -n a rule add fwmark 0x1234 unreachable
! pings a 10.0.0.2 1 || fail "the mark is not on the packets"
ip -n a rule del fwmark 0x1234 unreachable
expect_ping a 10.0.0.2
ok "D10: the mark is on the packets"

wg set wga fwmark 0 private-key a.key
[ "$(wg show wga fwmark)" = off ] || fail "mark $(wg show wga fwmark)"
[ "$(wg show wga public-key)" = "$a_public" ] || fail "key $(wg show wga public-key)"
ok "the mark is off again"
