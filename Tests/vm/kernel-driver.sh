#!/bin/bash
# slow: first in the queue
# limit: 7300 s
#
# Everything that needs the kernel's own WireGuard driver, in one boot of a virtual machine: the scripts of
# Tests/vm/guest, and those of other suites that Tests/vm/suite lists (SWG_VM_ONLY chooses among them, see
# Tests/lib/vm/run-guest). Where the machine cannot be had the test is skipped with the reason.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/runtimes.sh"
source "$(dirname "$0")/../lib/kill-sweep.sh"
tests=$(realpath "$(dirname "$0")/..")

"$tests/lib/vm/prepare" >"$test_folder/prepare" 2>&1 || skip "no virtual machine: $(tail -n 1 "$test_folder/prepare")"
# Swift's own tests of the netlink code, where they have been built.
for bundle in "$tests"/../.build/tests/release/*.xctest; do [ ! -x "$bundle" ] || export SWG_TEST_BUNDLE=$bundle; done

# What would take an emulated processor too long to compile.
made=$(mktemp -d "${TMPDIR:-/tmp}/swg-made.XXXXXX")
trap 'rm -rf "$made"' EXIT
build_kill_at "$made"
if [ -n "${SWG_FULL:-}${SWG_VM_ONLY:-}" ] && can_make_libcni_driver; then
    make_libcni_driver "$made/libcni-driver"
    export SWG_LIBCNI_DRIVER=$made/libcni-driver
fi

# The machine has a /run of its own: begin where it sees the same folder.
cd "$tests"
status=0
seconds=${SWG_VM_SECONDS:-$([ -n "${SWG_FULL:-}" ] && echo 7200 || echo 1500)}
"$tests/lib/vm/boot" -t "$seconds" "$tests/lib/vm/run-guest" || status=$?
[ $status = 0 ] || fail "the virtual machine's status is $status"
