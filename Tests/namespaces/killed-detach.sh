#!/bin/bash
# slow
# limit: 1500 s
# P4: SIGKILL at every system call of detach leaves something that the next detach, gc or repair cleans completely.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/kill-sweep.sh"
make_sweep
"${attach[@]}" --netns made --create
points_of swg-ns detach t --quiet >"$test_folder/points"
compare "no call"

count=0
tried=0
whole=0
while read -r name number <&3; do
    target=(--netns standing)
    [ $((tried % 2)) = 0 ] || target=(--netns made --create)
    tried=$((tried + 1))
    "${attach[@]}" "${target[@]}" || fail "attach: $?"
    if killed_at "$name" "$number" swg-ns detach t --quiet; then count=$((count + 1)); fi
    # shellcheck disable=SC2046
    mend "$name $number of detach" $(mended_by $tried)
    compare "$name $number of detach"
done 3<"$test_folder/points"
[ "$count" -gt $((10 / shards)) ] || fail "only $count calls were killed at"
ok "P4 ($backend): killed at $count of $tried chosen system calls of detach ($whole before the first step): nothing is left"
