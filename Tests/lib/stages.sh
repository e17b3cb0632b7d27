# Sourced: building the benchmark of the stages, which the package leaves out unless SWG_BENCHMARKS is set. It
# shares the folder of the optimised tests.
stages=.build/tests/release/stages
build_stages() {
    SWG_BENCHMARKS=1 swift build -c release -Xswiftc -enable-testing --scratch-path "${stages%/release/stages}" \
        --product stages >&2
}
