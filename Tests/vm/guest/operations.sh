#!/bin/bash
# limit: 400 s
# Thousands of random requests to the driver (netlink) and to our engine (UAPI): after every one both tell the same
# configuration, peers in the same order. SWG_SEED repeats a run, SWG_OPERATIONS says how many. `differential` does
# it with the commands of wg(8).
source "$(dirname "$0")/../../lib/test.sh"
engine=${SWG_TEST_ENGINE:-swg-engine}
need wg python3 "$engine"
seed=${SWG_SEED:-$RANDOM}
operations=${SWG_OPERATIONS:-$([ -n "${SWG_FULL:-}" ] && echo 60000 || echo 10000)}

ip netns add driver
ip netns add engine
ip -n driver link add k0 type wireguard
ip netns exec engine "$engine" e0 2>engine.log
wait_until 10 wg show e0 || fail "the engine does not start"
umask 077
for _ in 1 2 3 4; do
    key=$(wg genkey)
    echo "$key $(wg pubkey <<<"$key")"
done >keys
ip netns exec driver "$(dirname "$0")/../../lib/vm/operations" "$seed" "$operations" k0 /var/run/wireguard/e0.sock keys >said ||
    fail "$(cat said)"
# And as wg(8) sees it. The last request may have asked for any port: the driver, which is down, has none then.
ip netns exec driver wg set k0 listen-port 20000
ip netns exec engine wg set e0 listen-port 20000
show() { ip netns exec "$2" wg show "$1" dump | cut -f 1-3,5- | sort; }
diff <(show k0 driver) <(show e0 engine) >difference || { cat difference; fail "wg show dump differs (seed $seed)"; }
ok "$(cat said)"
