#!/bin/bash
# The netlink code against the driver: 2,000 peers and 130,000 allowed IPs, dumps that are interrupted, single
# allowed IPs removed, devices made in another namespace (Tests/NetlinkTests/KernelDriverTests.swift).
source "$(dirname "$0")/../../lib/test.sh"
[ -x "${SWG_TEST_BUNDLE:-}" ] || skip "Swift's tests are not built: Tests/run unit builds them"

"$SWG_TEST_BUNDLE" --testing-library swift-testing --filter KernelDriverTests >"$test_folder/log" 2>&1 || {
    grep -aE 'recorded|rror' "$test_folder/log" | head -n 20
    fail "the netlink code and the driver disagree"
}
! grep -aq 'skipped' "$test_folder/log" || fail "$(grep -a skipped "$test_folder/log" | head -n 1)"
ok "$(grep -ao 'Test run with.*' "$test_folder/log")"
