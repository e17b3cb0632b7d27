#!/bin/bash
# slow
# limit: 1500 s
# P4: SIGKILL at every system call of attach leaves something that the next gc, detach or repair cleans completely.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/kill-sweep.sh"
make_sweep
points_of "${attach[@]}" --netns made --create >"$test_folder/points"
swg-ns detach t --quiet
compare "no call"

count=0
tried=0
whole=0
while read -r name number <&3; do
    target=(--netns standing)
    [ $((tried % 2)) = 0 ] || target=(--netns made --create)
    tried=$((tried + 1))
    if killed_at "$name" "$number" "${attach[@]}" "${target[@]}"; then count=$((count + 1)); fi
    # shellcheck disable=SC2046
    mend "$name $number of attach ${target[*]}" $(mended_by $tried)
    compare "$name $number of attach ${target[*]}"
done 3<"$test_folder/points"
[ "$count" -gt $((30 / shards)) ] || fail "only $count calls were killed at"
ok "P4 ($backend): killed at $count of $tried chosen system calls of attach ($whole behind the end): nothing is left"
