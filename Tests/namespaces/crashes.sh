#!/bin/bash
# A dead engine, a namespace deleted underneath, a reboot: no way out, and the next verb cleans up or repairs (P1, P4).
source "$(dirname "$0")/../lib/test.sh"
need curl
make_gateway
inventory >"$test_folder/before"
engine_of() { swg-ns list --json | sed -n 's/.*"enginePID": \([0-9]*\).*/\1/p'; }

# end_device: what takes the tunnel's device away under it.
end_device() { if on_kernel; then ip -n blue link delete wg0; else kill -9 "$(engine_of)"; fi; }

swg-ns attach "$test_folder/client1.conf" --netns blue --create --engine "$backend" --quiet --wait
end_device
wait_until 5 bash -c '! ip -n blue link show wg0' || fail "the device outlives its engine"
[ -z "$(ip -n blue route)$(ip -n blue -6 route | grep -v '^\(local\|ff00\|::1\)')" ] || fail "P1: routes are left: $(ip -n blue route)"
swg-ns list | grep >/dev/null 'client1 *broken' || fail "list: $(swg-ns list)"
expect_status 1 swg-ns check client1
expect_output 'FAIL.*repair'
swg-ns gc --quiet
swg-ns list | grep >/dev/null client1 || fail "gc took a tunnel whose namespace lives"
swg-ns repair client1 --quiet
ip netns exec blue curl -s -m 15 http://10.99.0.1/ | grep >/dev/null "behind the tunnel" || fail "no answer after repair"
swg-ns check client1 >/dev/null || fail "check after repair"
ok "kill -9 of the engine, or the device deleted: no way out, list and check say so, repair brings it back"

before=$(engine_of)
index=$(ip -n blue -o link show wg0 | cut -d: -f1)
swg-ns repair client1 --replace --quiet
on_kernel || [ "$before" != "$(engine_of)" ] || fail "the engine was not replaced"
[ "$index" = "$(ip -n blue -o link show wg0 | cut -d: -f1)" ] || fail "repair of a live tunnel made another interface"
ip netns exec blue curl -s -m 15 http://10.99.0.1/ | grep >/dev/null "behind the tunnel" || fail "no answer after the replacement"
ok "repair replaces a live engine; the interface stays"

engine=$(engine_of)
ip netns delete blue
on_kernel || wait_until 10 bash -c "! test -d /proc/$engine" || fail "P2: the engine outlives the namespace"
swg-ns list | grep >/dev/null 'client1 *orphaned' || fail "list: $(swg-ns list)"
swg-ns gc | grep >/dev/null 'detached client1' || fail "gc"
inventory >"$test_folder/after"
same_inventory "$test_folder/before" "$test_folder/after"
ok "a namespace deleted underneath: gc leaves nothing"

swg-ns attach "$test_folder/client1.conf" --netns blue --create --engine "$backend" --quiet
end_device
# The worker hears of it a moment later; a reboot would leave neither.
wait_until 5 bash -c '! pgrep -f "^swg-engine.*client1" >/dev/null' || fail "the worker outlives the monitor"
ip netns delete blue
# What a reboot leaves when the state is on a disk: files of another boot.
sed -i "s/\"bootID\" : \"[^\"]*\"/\"bootID\" : \"00000000-0000-0000-0000-000000000000\"/" /run/swg-ns/tunnels/client1/*.json
ip netns add blue
ip -n blue link add wg0 type veth peer name wg1
swg-ns gc --quiet
ip -n blue link show wg0 >/dev/null || fail "P5: gc after a reboot touched a namespace that only has the same name"
ip netns delete blue
inventory >"$test_folder/after"
same_inventory "$test_folder/before" "$test_folder/after"
ok "P5: after a reboot gc removes files and touches no namespace"

swg-ns attach "$test_folder/client1.conf" --netns blue --create --engine "$backend" --quiet
ip netns delete blue
ip netns add blue
ip -n blue link add wg0 type veth peer name wg1
swg-ns detach client1 --quiet
ip -n blue link show wg0 >/dev/null || fail "P5: detach touched another namespace under the old name"
[ -e /run/netns/blue ] || fail "P5: detach removed a namespace that it did not make"
ip netns delete blue
inventory >"$test_folder/after"
same_inventory "$test_folder/before" "$test_folder/after"
ok "P5: a new namespace under the old name is left alone"
