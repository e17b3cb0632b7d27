#!/bin/bash
# A full or read-only state directory: attach fails cleanly, detach still works (P4).
source "$(dirname "$0")/../lib/test.sh"
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

chmod 777 /run/state
expect_status 1 "${attach[@]}"
expect_output 'others may write it.*chmod 0700'
ok "a state directory that others may write is refused"
