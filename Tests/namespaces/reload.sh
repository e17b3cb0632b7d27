#!/bin/bash
# set, hooks, SaveConfig, dry run, foreground, interruption: what a live tunnel goes through from day two on.
source "$(dirname "$0")/../lib/test.sh"
need curl jq
make_gateway
inventory >"$test_folder/before"
conf=$test_folder/client1.conf
reaches() { ip netns exec blue curl -s -m 15 http://10.99.0.1/ | grep >/dev/null "behind the tunnel"; }

swg-ns attach "$conf" --netns blue --create --engine "$backend" --dry-run --json --wait >"$test_folder/output"
jq -e '.dryRun and .interface == "wg0" and (.addresses | length) == 2' "$test_folder/output" >/dev/null || fail "dry run"
inventory >"$test_folder/after"
same_inventory "$test_folder/before" "$test_folder/after"
ok "a dry run makes nothing, and says in JSON what it would"

swg-ns attach "$conf" --netns blue --create --engine "$backend" --wait --json >"$test_folder/output"
made='.backend == "userspace" and .enginePID > 1'
! on_kernel || made='.backend == "kernel" and .enginePID == null'
jq -e ".handshakeAfter > 0 and $made" "$test_folder/output" >/dev/null || { cat "$test_folder/output"; fail "attach --json"; }
reaches || fail "no answer"
handshake=$(swg-ns show client1 --json | jq '.tunnels[0].peers[0].lastHandshake')
sed -i 's|^AllowedIPs.*|AllowedIPs = 10.99.0.0/24, 10.5.0.0/16, fd99::/64|; s|^Address.*|&, 10.99.7.7/32|' "$conf"
echo "PersistentKeepalive = 21" >>"$conf"
swg-ns set client1 >"$test_folder/output" || fail "set: $(cat "$test_folder/output")"
expect_route() { ip -n blue route | grep >/dev/null "$1" || fail "no route $1: $(ip -n blue route)"; }
expect_route '10.5.0.0/16 dev wg0'
ip -n blue route | grep >/dev/null default && fail "the old route stayed"
ip -n blue addr | grep >/dev/null 10.99.7.7 || fail "the new address is missing"
[ "$(swg-ns show client1 --json | jq '.tunnels[0].peers[0].persistentKeepalive')" = 21 ] || fail "keepalive"
[ "$(swg-ns show client1 --json | jq '.tunnels[0].peers[0].lastHandshake')" = "$handshake" ] || fail "set dropped the session"
reaches || fail "no answer after set"
[ "$(swg-ns set client1)" = "nothing to change" ] || fail "a second set changes something"
sed -i 's|^DNS.*|DNS = 10.99.0.9|' "$conf"
expect_status 1 swg-ns set client1
expect_output 'not applied: DNS='
ok "set applies the smallest difference, keeps the session, and says what it could not apply"
swg-ns detach client1 --quiet

cp "$conf" "$test_folder/subnet.conf"
subnet() { # subnet ADDRESS ALLOWEDIPS: writes the file
    sed -i "s|^Address.*|Address = $1|; s|^AllowedIPs.*|AllowedIPs = $2|" "$test_folder/subnet.conf"
}
subnet 10.99.0.2/24 10.99.0.1/32
swg-ns attach "$test_folder/subnet.conf" --netns blue --create --engine "$backend" --quiet 2>/dev/null
# The kernel has made the route of the interface's own subnet already.
subnet 10.99.0.2/24 '10.99.0.0/24, 10.5.0.0/16'
swg-ns set subnet >"$test_folder/output" 2>&1 || fail "a route that is there: $(cat "$test_folder/output")"
expect_route '10.5.0.0/16 dev wg0'
# It takes the second address of a subnet away with the first, and every route with the last.
subnet 10.99.0.77/24 '10.99.0.0/24, 10.5.0.0/16'
swg-ns set subnet >"$test_folder/output" 2>&1 || fail "another address: $(cat "$test_folder/output")"
[ "$(ip -n blue -4 -br addr show wg0 | awk '{ print $3, $4 }')" = "10.99.0.77/24 " ] || fail "addresses: $(ip -n blue addr)"
expect_route '10.5.0.0/16 dev wg0'
swg-ns check subnet >"$test_folder/output" || fail "check after set: $(cat "$test_folder/output")"
[ "$(swg-ns set subnet 2>/dev/null)" = "nothing to change" ] || fail "a second set changes something"
swg-ns detach subnet --quiet
ok "set copes with what the kernel does by itself: routes of a subnet, addresses that go with another"

cat >>"$conf" <<CONF
[Interface]
SaveConfig = true
PreUp = echo "pre-up %i \$(ip -o link | wc -l)" >>/run/test/hooks
PostUp = ip route show >/run/test/routes; echo "post-up %i" >>/run/test/hooks
PreDown = echo "pre-down %i" >>/run/test/hooks
PostDown = echo "post-down %i" >>/run/test/hooks
CONF
swg-ns attach "$conf" --netns blue --create --engine "$backend" >"$test_folder/output" 2>&1
expect_output 'PreUp, PostUp, PreDown, PostDown of the file are not run'
[ ! -e /run/test/hooks ] || fail "hooks ran without --hooks"
swg-ns detach client1 --quiet
ok "without --hooks they do not run, and one notice lists them"
swg-ns attach "$conf" --netns blue --create --engine "$backend" --hooks --quiet
grep -q wg0 /run/test/routes || fail "PostUp did not run in the target"
set=(wg set client1)
! on_kernel || set=(ip netns exec blue wg set wg0)
"${set[@]}" peer "$(cat "$test_folder/gateway.pub")" persistent-keepalive 33
swg-ns detach client1 --quiet
[ "$(cut -d' ' -f1,2 /run/test/hooks | tr '\n' ,)" = "pre-up wg0,post-up wg0,pre-down wg0,post-down wg0," ] ||
    fail "hooks: $(cat /run/test/hooks)"
grep -q 'PersistentKeepalive = 33' "$conf" || fail "SaveConfig did not save"
[ "$(stat -c %a "$conf")" = 600 ] || fail "SaveConfig changed the mode to $(stat -c %a "$conf")"
ok "hooks run in the target in order; SaveConfig writes the live state back"

sed 's/ = true/ = false/; /^P[a-z]*[UD][a-z]* =/d' "$conf" >"$test_folder/plain.conf"
chmod 600 "$test_folder/plain.conf"
swg-ns attach "$test_folder/plain.conf" --netns blue --create --engine "$backend" --foreground --quiet &
service=$!
wait_until 10 bash -c "swg-ns list | grep >/dev/null 'plain *attached'" || fail "foreground does not attach"
kill -TERM "$service"
wait "$service" || fail "foreground ended with $?"
inventory >"$test_folder/after"
same_inventory "$test_folder/before" "$test_folder/after"
ok "foreground detaches on SIGTERM and exits 0"

sed 's/^Endpoint.*/Endpoint = 192.0.2.99:51820/' "$test_folder/plain.conf" >"$test_folder/silent.conf"
chmod 600 "$test_folder/silent.conf"
swg-ns attach "$test_folder/silent.conf" --netns blue --create --engine "$backend" --wait=30 --quiet 2>/dev/null &
waiting=$!
wait_until 10 bash -c 'ip -n blue link show wg0' || fail "no device"
kill -INT "$waiting" 2>/dev/null || true
kill -TERM "$waiting"
wait "$waiting" && fail "an interrupted attach succeeded"
inventory >"$test_folder/after"
same_inventory "$test_folder/before" "$test_folder/after"
swg-ns attach "$test_folder/silent.conf" --netns blue --create --engine "$backend" --wait=30 --foreground --quiet 2>/dev/null &
waiting=$!
wait_until 10 bash -c 'ip -n blue link show wg0' || fail "no device"
kill -TERM "$waiting"
wait "$waiting" || fail "a service that is stopped while it starts ended with $?"
inventory >"$test_folder/after"
same_inventory "$test_folder/before" "$test_folder/after"
expect_status 1 swg-ns attach "$test_folder/silent.conf" --netns blue --create --engine "$backend" --wait=1
expect_output 'no handshake with .* at 192.0.2.99:51820'
inventory >"$test_folder/after"
same_inventory "$test_folder/before" "$test_folder/after"
ok "P4: an attach that is interrupted, or waits in vain, undoes itself"
