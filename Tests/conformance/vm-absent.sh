#!/bin/bash
# Where the virtual machine cannot be had, its test is skipped with the reason: no QEMU, no way to a mirror. And the
# processor's virtualisation is used only where it is real.
source "$(dirname "$0")/../lib/test.sh"
tests=$(realpath "$(dirname "$0")/..")

skipped() { # skipped PATTERN
    expect_status 77 "$tests/vm/kernel-driver.sh"
    tail -n 1 "$test_folder/output" | grep >/dev/null -E "^SKIP: no virtual machine: .*$1" || fail "the reason: $(tail -n 1 "$test_folder/output")"
}

export SWG_VM_CACHE=$test_folder/cache
mkdir -p "$test_folder/bin"
PATH=$test_folder/bin:$PATH
if command -v qemu-system-x86_64 >/dev/null; then
    # A real one would try for a minute.
    printf '#!/bin/bash\necho "E: Failed to fetch"\nexit 100\n' >"$test_folder/bin/apt-get"
    chmod +x "$test_folder/bin/apt-get"
    skipped 'no kernel package: E: Failed to fetch'
    [ ! -e "$SWG_VM_CACHE/complete" ] && [ -z "$(ls -d "$SWG_VM_CACHE"/work.* 2>/dev/null)" ] || fail "half a kernel is kept"
    ok "without a mirror the machine's test is skipped, and no half kernel is kept"
    qemu=$(realpath "$(command -v qemu-system-x86_64)")
    mkdir "$test_folder/upper" "$test_folder/work"
    mount -t overlay -o "lowerdir=$(dirname "$qemu"),upperdir=$test_folder/upper,workdir=$test_folder/work" overlay "$(dirname "$qemu")"
    rm "$qemu"
    hash -r
fi
skipped 'qemu-system-x86_64 is not installed'
ok "without QEMU the machine's test is skipped"

# boot with a QEMU that only tells how it was called.
mkdir -p "$SWG_VM_CACHE"
touch "$SWG_VM_CACHE/complete"
printf '#!/bin/bash\necho "$@" >%q\nexit 1\n' "$test_folder/called" >"$test_folder/bin/qemu-system-x86_64"
chmod +x "$test_folder/bin/qemu-system-x86_64"
"$tests/lib/vm/boot" -t 5 true >/dev/null 2>&1 || true
if [ -d /sys/module/kvm_intel ] || [ -d /sys/module/kvm_amd ]; then wanted=kvm; else wanted=tcg; fi
[ -w /dev/kvm ] || wanted=tcg
grep -q -- "-accel $wanted" "$test_folder/called" || fail "not with $wanted: $(cat "$test_folder/called")"
ok "the machine runs with $wanted here"
