#!/bin/bash
# Each side as initiator and as responder, IPv4 and IPv6 outside and inside, with and without a preshared key.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/pair.sh"
need wg wireguard-go ping

make_pair swg-engine wireguard-go
for key in none psk; do
    for outside in 192.0.2 2001:db8; do
        for initiator in a b; do
            # A new peer has no session: whoever sends first initiates.
            file=/dev/null
            [ $key = none ] || file=psk
            wg set wga peer "$b_public" remove
            wg set wgb peer "$a_public" remove
            wg set wga peer "$b_public" preshared-key $file allowed-ips 10.0.0.2/32,fd00::2/128
            wg set wgb peer "$a_public" preshared-key $file allowed-ips 10.0.0.1/32,fd00::1/128
            if [ $outside = 192.0.2 ]; then there_a=192.0.2.1:1111 there_b=192.0.2.2:2222
            else there_a='[2001:db8::1]:1111' there_b='[2001:db8::2]:2222'; fi
            if [ $initiator = a ]; then
                wg set wga peer "$b_public" endpoint $there_b
                expect_ping a 10.0.0.2
                expect_ping a fd00::2
                expect_ping b 10.0.0.1
            else
                wg set wgb peer "$a_public" endpoint $there_a
                expect_ping b 10.0.0.1
                expect_ping b fd00::1
                expect_ping a fd00::2
            fi
            [ "$(wg show wga endpoints | cut -f 2)" = $there_b ] || fail "endpoint at a: $(wg show wga endpoints)"
            [ "$(wg show wga latest-handshakes | cut -f 2)" -gt 0 ] || fail "no handshake noted"
            ok "initiator $initiator, outside $outside, preshared key $key"
        done
    done
done
