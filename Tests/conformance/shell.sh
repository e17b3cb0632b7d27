#!/bin/bash
# Every shell script of the repository passes shellcheck: an unquoted word or an untested `cd` is a bug in waiting.
# (What is only a matter of taste, its levels info and style, is not looked at.) Nor may a test go on without the rule,
# the device or the setting that it is about.
source "$(dirname "$0")/../lib/test.sh"
need shellcheck
cd "$(dirname "$0")/../.."

mapfile -t scripts < <(grep -rlE '^#!/bin/(ba)?sh' Tests examples cni | sort)
[ ${#scripts[@]} -gt 50 ] || fail "only ${#scripts[@]} scripts found"
printf '%s\0' "${scripts[@]}" | xargs -0 -P 2 -n 20 shellcheck --severity warning --format gcc >"$test_folder/found" || {
    cat "$test_folder/found"
    fail "shellcheck --severity warning"
}
ok "${#scripts[@]} scripts"

! grep -rnE '^[^#]*\b(nft|tc|iptables|sysctl|wg set|ip (.* )?(link|addr|route|rule) add) .*\|\| (true|:)' "${scripts[@]}" ||
    fail "a test that does not notice that its conditions were refused"
ok "no condition of a test may fail in silence"
