#!/bin/bash
# slow
# limit: 2400 s
# P4: SIGKILL at every system call of attach leaves something that the next gc, detach or repair cleans completely.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/kill-sweep.sh"
make_sweep
share=2

mended() { mend "$@"; }
for target in "made --create" standing; do
    # Where a processor is emulated every call of one of the two has to do.
    [ $slower = 1 ] || [ "$target" != standing ] || full=
    # shellcheck disable=SC2206 # words
    verb=("${attach[@]}" --netns $target)
    points_of "${verb[@]}" >"$test_folder/points"
    swg-ns detach t --quiet
    compare "no call"
    count=0 tried=0 whole=0
    sweep "attach --netns $target" "${verb[@]}"
    [ "$count" -gt $((15 / slower)) ] || fail "only $count calls were killed at"
    ok "P4 ($backend): killed at $count of $tried chosen system calls of attach --netns $target ($whole behind the end): nothing is left"
done
