#!/bin/bash
# Every item of the protocol's checklist (M1 to U5) is named by at least one test.
source "$(dirname "$0")/../lib/test.sh"
cd "$(dirname "$0")/.."

items=()
for group in M:7 N:12 T:3 C:7 S:8 R:9 D:20 A:7 U:5; do
    for number in $(seq "${group#*:}"); do items+=("${group%:*}$number"); done
done
missing=()
for item in "${items[@]}"; do
    grep -rqE "\b$item\b" --exclude=checklist.sh --include='*.swift' --include='*.sh' . || missing+=("$item")
done
[ ${#missing[@]} = 0 ] || fail "no test names ${missing[*]}"
ok "all ${#items[@]} items of the checklist are named by tests"
