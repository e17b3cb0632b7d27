#!/bin/bash
# D11: transfer counters, byte for byte as the kernel counts: ten pings in each direction and one handshake.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/pair.sh"
need wg ping

make_pair swg-engine swg-engine
wg set wga peer "$b_public" endpoint 192.0.2.2:2222
in_a ping -q -c 10 -f -W 20 10.0.0.2 >/dev/null
in_b ping -q -c 10 -f -W 20 10.0.0.1 >/dev/null
# 20 messages of 128 bytes each way, 148 bytes of initiation, 92 of response; kernel netns.sh counts the same way.
count() {
    read -r _ a_rx a_tx < <(wg show wga transfer)
    read -r _ b_rx b_tx < <(wg show wgb transfer)
}
# An answer can be here before its sender has counted it.
all_are_counted() { count && [ "$b_tx $a_tx" = "$a_rx $b_rx" ]; }
wait_until 2 all_are_counted || true
count
[ "$a_rx" = $((20 * 128 + 92)) ] || fail "received at a: $a_rx"
[ "$a_tx" = $((20 * 128 + 148)) ] || fail "sent at a: $a_tx"
[ "$b_rx" = "$a_tx" ] || fail "received at b: $b_rx of $a_tx"
[ "$b_tx" = "$a_rx" ] || fail "sent at b: $b_tx of $a_rx"
ok "D11: the counters are exact"
