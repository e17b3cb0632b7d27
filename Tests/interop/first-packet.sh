#!/bin/bash
# S2: the first packet of a session is answered, although the other side still holds the session that an
# earlier client with the same key and another port has left. Our engine at both ends.
GATEWAY_ENGINE=swg-engine
source "$(dirname "$0")/../lib/test.sh"
need ping
make_gateway

for round in 1 2 3 4 5 6 7 8; do
    swg-ns run --quiet client1.conf -- ping -q -c 1 -W 4 10.99.0.1 >/dev/null || fail "round $round: the first ping was lost"
done
ok "S2: the first of a session's packets is answered, eight sessions in a row"
for round in 1 2 3 4; do
    swg-ns attach --quiet client1.conf --netns inside --create --no-wait >/dev/null
    # A lost initiation is repeated after five seconds, and the packet waits for it.
    ip netns exec inside ping -q -c 1 -W 20 10.99.0.1 >/dev/null || fail "round $round: the packet that set the handshake off was lost"
    swg-ns detach client1 >/dev/null
done
ok "D7: the packet that waited for the handshake arrives"
