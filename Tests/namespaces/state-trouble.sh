#!/bin/bash
# A full or read-only state directory: attach fails cleanly, detach still works (P4).
source "$(dirname "$0")/../lib/test.sh"
need jq
make_gateway
mkdir /run/state
mount -t tmpfs -o size=64k,mode=700 tmpfs /run/state
ip netns add blue
inventory >"$test_folder/before"
attach=(swg-ns attach "$test_folder/client1.conf" --netns blue --engine "$backend" --state-dir /run/state --quiet)

dd if=/dev/zero of=/run/state/filler bs=4k status=none 2>/dev/null || true
expect_status 1 "${attach[@]}"
expect_output 'ENOSPC.*make room'
rm /run/state/filler
inventory >"$test_folder/after"
same_inventory "$test_folder/before" "$test_folder/after"
ok "a full state directory: a clear error, and nothing left"

mount -o remount,ro /run/state
expect_status 1 "${attach[@]}"
expect_output 'EROFS.*--state-dir'
mount -o remount,rw /run/state
inventory >"$test_folder/after"
same_inventory "$test_folder/before" "$test_folder/after"
ok "a read-only state directory: a clear error, and nothing left"

"${attach[@]}"
dd if=/dev/zero of=/run/state/filler bs=4k status=none 2>/dev/null || true
swg-ns detach client1 --state-dir /run/state --quiet || fail "detach on a full disk"
rm /run/state/filler
swg-ns gc --state-dir /run/state --quiet
inventory >"$test_folder/after"
same_inventory "$test_folder/before" "$test_folder/after"
ok "detach works on a full disk"

"${attach[@]}"
# The engine has its log open for writing: only the mount can be made read-only.
mount --bind /run/state /run/state
mount -o remount,bind,ro /run/state
swg-ns detach client1 --state-dir /run/state --quiet >"$test_folder/output" 2>&1 && fail "detach cannot succeed on a read-only disk"
ip -n blue link show wg0 >/dev/null 2>&1 && fail "P4: a read-only disk kept the device alive"
umount /run/state
swg-ns detach client1 --state-dir /run/state --quiet
inventory >"$test_folder/after"
same_inventory "$test_folder/before" "$test_folder/after"
ok "on a read-only disk the device goes all the same, and the files when it can be written again"

# What an attach leaves that died between its journal and `ip netns add`, when somebody else took the name meanwhile.
died() {
    mkdir -p /run/state/tunnels/dead
    echo '{"format":1,"id":"dead","phase":"attaching","bootID":"'"$(cat /proc/sys/kernel/random/boot_id)"'","undo":[{"action":"deleteNamespace","name":"red"}]}' >/run/state/tunnels/dead/journal.json
}
died
ip netns add red
ip -n red link add theirs type veth peer name theirs-too
swg-ns gc --state-dir /run/state --quiet
ip -n red link show theirs >/dev/null || fail "P5: gc deleted somebody else's namespace"
ip -n red link delete theirs
died
swg-ns gc --state-dir /run/state --quiet
[ ! -e /run/netns/red ] || fail "P4: gc left the namespace that an attach died over"
ok "a namespace that nobody can prove to be ours is deleted only while nobody uses it"

expect_status 2 swg-ns list --json --nonsense
jq -e '.error.kind == "usage"' "$test_folder/output" >/dev/null || fail "a usage error is no document: $(cat "$test_folder/output")"
expect_status 1 swg-ns show nobody --json
jq -e '.error.kind == "notFound"' "$test_folder/output" >/dev/null || fail "an error is no document: $(cat "$test_folder/output")"
ok "with --json an error is a document, too"

"${attach[@]}"
echo '{' >/run/state/tunnels/client1/state.json
expect_status 1 swg-ns list --state-dir /run/state
expect_output 'state.json is damaged.*swg-ns detach'
swg-ns detach client1 --state-dir /run/state --quiet || fail "detach of a tunnel with a damaged record"
expect_status 0 swg-ns list --state-dir /run/state
inventory >"$test_folder/after"
same_inventory "$test_folder/before" "$test_folder/after"
ok "a damaged record is told of, and its tunnel can be taken down"

chmod 777 /run/state
expect_status 1 "${attach[@]}"
expect_output 'others may write it.*chmod 0700'
ok "a state directory that others may write is refused"
