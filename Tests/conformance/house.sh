#!/bin/bash
# The rules of the house that a machine can check: formatting, file sizes, what may be imported.
source "$(dirname "$0")/../lib/test.sh"
need swift
cd "$(dirname "$0")/../.."

swift format lint --strict -r Sources Tests Package.swift >"$test_folder/lint" 2>&1 || {
    head -n 20 "$test_folder/lint"
    fail "formatting: swift format -i -r Sources Tests Package.swift"
}
ok "formatting"

long=$(find Sources Tests cni examples -type f -exec wc -l {} + | awk '$1 > 500 && $2 != "total"' | grep -vE '/corpus/|\.json$' || true)
[ -z "$long" ] || fail "files of more than 500 lines: $long"
ok "file sizes"

! grep -rn '^import Foundation' Sources || fail "Foundation makes every start slow, even its essentials by a millisecond"
! grep -rnE '\b(setns|unshare)\(' Sources --include=*.swift | grep -v '^Sources/Namespaces/' ||
    fail "a namespace is joined outside of Namespaces"
for program in swg-ns swg-cni swg-netavark swg-engine; do
    [ "$(wc -l <Sources/$program/main.swift)" -lt 30 ] || fail "Sources/$program/main.swift is more than a call"
done
ok "imports and places"

for program in swg-ns swg-cni swg-netavark swg-engine; do
    ! readelf -d "$SWG_BIN/$program" | grep -E 'RUNPATH|RPATH' ||
        fail "$program looks for libraries beside itself: swift build --disable-local-rpath"
    ! readelf -d "$SWG_BIN/$program" | grep NEEDED | grep -vE '\[(libmnl|libm|libc|ld-linux-x86-64)\.so' ||
        fail "$program loads a library that Sources/CLinux/link makes a part of it"
done
ok "what the programs link"
