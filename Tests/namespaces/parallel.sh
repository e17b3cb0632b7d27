#!/bin/bash
# Attaches and detaches of different tunnels at the same time do not disturb each other; of the same key one wins.
source "$(dirname "$0")/../lib/test.sh"
# /run/netns becomes a mount with the first name, as with ip netns.
ip netns add first
ip netns delete first
inventory >"$test_folder/before"
peer=$(wg genkey | wg pubkey)
for number in $(seq 12); do
    cat >"$test_folder/t$number.conf" <<CONF
[Interface]
PrivateKey = $(wg genkey)
Address = 10.99.1.$number/32
[Peer]
PublicKey = $peer
Endpoint = 127.0.0.1:9
AllowedIPs = 0.0.0.0/0
CONF
    chmod 600 "$test_folder/t$number.conf"
done

jobs=()
for number in $(seq 12); do
    swg-ns attach "$test_folder/t$number.conf" --netns "n$number" --create --engine "$backend" --quiet 2>"$test_folder/e$number" &
    jobs+=($!)
done
for job in "${jobs[@]}"; do wait "$job" || fail "an attach failed: $(cat "$test_folder"/e*)"; done
[ "$(swg-ns list --json | grep -c '"state": "attached"')" = 12 ] || fail "$(swg-ns list)"
for number in $(seq 12); do swg-ns check "t$number" >/dev/null || fail "check t$number: $(swg-ns check "t$number")"; done
ok "twelve attaches at the same time"

jobs=()
for number in $(seq 12); do
    swg-ns detach "t$number" --quiet &
    jobs+=($!)
    swg-ns detach "t$number" --quiet &
    jobs+=($!)
    swg-ns gc --quiet &
    jobs+=($!)
done
for job in "${jobs[@]}"; do wait "$job" || fail "a detach or gc failed"; done
inventory >"$test_folder/after"
same_inventory "$test_folder/before" "$test_folder/after"
ok "two detaches of each, and gc, at the same time: nothing left"

jobs=()
won=0
for number in $(seq 6); do
    swg-ns attach "$test_folder/t1.conf" --netns "same$number" --create --engine "$backend" --quiet 2>/dev/null &
    jobs+=($!)
done
for job in "${jobs[@]}"; do if wait "$job"; then won=$((won + 1)); fi; done
[ "$won" = 1 ] || fail "one key was given to $won tunnels"
for id in $(swg-ns list --json | sed -n 's/.*"id": "\(.*\)".*/\1/p'); do swg-ns detach "$id" --quiet; done
inventory >"$test_folder/after"
same_inventory "$test_folder/before" "$test_folder/after"
ok "of six attaches with one key exactly one wins, and the others leave nothing"
