// stages                     nanoseconds of CPU per unit of each stage of the data path, best of many
// stages count NAME UNITS    does only that stage, for a counting tool (callgrind, memcheck)
//
// Built and run by Tests/Benchmarks/stage-costs; Tests/conformance/stage-costs.sh holds the counts against limits.
runStages(Array(CommandLine.arguments.dropFirst()))
