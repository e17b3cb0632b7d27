#!/bin/bash
# slow: first in the queue
# limit: 3700 s
#
# With --full: the scripts of Tests/vm/guest once more, on a kernel that has what Debian 12's does not (single allowed IPs
# removed by a flag, from Linux 6.16 on). `newer-kernel.sh --prepare`, outside of a box, fetches it.
export SWG_VM_SUITE=${SWG_VM_SUITE:-trixie-backports}
[ "${1:-}" != --prepare ] || exec "$(dirname "$0")/../lib/vm/prepare"
source "$(dirname "$0")/../lib/test.sh"
[ -n "${SWG_FULL:-}" ] || skip "a second kernel: only with --full"
# Once over is enough here.
SWG_FULL="" SWG_VM_SECONDS=3600 SWG_VM_ONLY=${SWG_VM_ONLY:-'vm/guest/*'} exec "$(dirname "$0")/kernel-driver.sh"
