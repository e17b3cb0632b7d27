#!/bin/bash
# slow
# limit: 2400 s
# P4: SIGKILL at every system call of detach leaves something that the next detach, gc or repair cleans completely.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/kill-sweep.sh"
make_sweep
share=2

mended() { mend "$@"; }
for target in "made --create" standing; do
    # Where a processor is emulated every call of one of the two has to do.
    [ $slower = 1 ] || [ "$target" != standing ] || full=
    # shellcheck disable=SC2086 # words
    ready() { [ -e /run/swg-ns/tunnels/t ] || "${attach[@]}" --netns $target || fail "attach: $?"; }
    ready
    points_of swg-ns detach t --quiet >"$test_folder/points"
    compare "no call"
    keeps_whole=1
    count=0 tried=0 whole=0
    sweep "detach of --netns $target" swg-ns detach t --quiet
    swg-ns detach t --quiet
    compare "the last one"
    deletions_have_ended
    [ "$count" -gt $((5 / slower)) ] || fail "only $count calls were killed at"
    ok "P4 ($backend): killed at $count of $tried chosen system calls of detach, attached with --netns $target ($whole before the first step): nothing is left"
done
