# Sourced by the tests in Tests/fuzz, after test.sh.

# fuzz PRODUCT CORPUS: builds one of the fuzzers of Package.swift and runs it over the seeds of
# Tests/fuzz/corpus/CORPUS: 20 seconds, with --full ten minutes. An input that breaks it is kept.
fuzz() {
    local product=$1 corpus=$2 root scratch seconds=${SWG_FULL:+600}
    need swift flock
    root=$(cd "$(dirname "$0")/../.." && pwd)
    scratch=${SWG_FUZZ_SCRATCH:-$root/.build/fuzz}
    mkdir -p "$scratch" "$test_folder/found"
    # One build at a time: the fuzzers share the folder.
    (
        cd "$root"
        SWG_FUZZ=1 flock "$scratch/lock" swift build -c release --sanitize=fuzzer --scratch-path "$scratch" \
            -Xswiftc -enable-testing --product "$product"
    ) >"$test_folder/build.log" 2>&1 || {
        tail -n 20 "$test_folder/build.log"
        fail "$product does not build"
    }
    "$scratch/release/$product" -max_total_time="${seconds:-20}" -max_len=8192 -rss_limit_mb=1024 -timeout=10 \
        -artifact_prefix="$scratch/" "$test_folder/found" "$root/Tests/fuzz/corpus/$corpus" \
        >"$test_folder/run.log" 2>&1 || {
        tail -n 30 "$test_folder/run.log"
        fail "$product broke; the input is in $scratch"
    }
    ok "$(tail -n 1 "$test_folder/run.log")"
}
