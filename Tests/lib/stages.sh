# Sourced: building the benchmarks that look inside the engine, which the package leaves out unless SWG_BENCHMARKS is
# set. They share the folder of the optimised tests, or SWG_BENCHMARKS_FOLDER names one.
benchmarks=${SWG_BENCHMARKS_FOLDER:-.build/tests/release}
stages=$benchmarks/stages
build_benchmark() { # build_benchmark NAME
    SWG_BENCHMARKS=1 swift build -c release -Xswiftc -enable-testing --scratch-path "${benchmarks%/release}" \
        --product "$1" >&2
}
build_stages() { build_benchmark stages; }
