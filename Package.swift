// swift-tools-version: 6.2
import PackageDescription

// One definition of _GNU_SOURCE for C and Swift alike: a shim header that defined it alone would
// disagree with SwiftGlibc about struct layouts.
let gnu: [CSetting] = [.define("_GNU_SOURCE")]

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

// Every symbol bound before main, and with `swift build --disable-local-rpath` no library from the folder that a
// program lies in, where other people's plugins may lie, too: these programs run with privileges. What lies in `link`
// makes libraries a part of the program: the C++ runtime, which only Swift's own needs, and those of which Debian has a
// static archive (not libmnl). To find, map and bind them took half of the time until main, and an ADD starts three
// programs. For the same reason no function of ours is offered to libraries by name. No target asks pkg-config: its -L
// would come before `link`.
let link = "\(Context.packageDirectory)/Sources/CLinux/link"
let hardened: [LinkerSetting] = [
    .unsafeFlags(["-L", link, "-Xlinker", "-z", "-Xlinker", "now", "-Xlinker", "--no-export-dynamic", "-Xlinker", "-s"])
]

// The standard library's regular expressions would come into every program with the first search of a text in a text.
let lean: [SwiftSetting] = [.unsafeFlags(["-Xfrontend", "-disable-implicit-string-processing-module-import"])]

// The engine's interleaving points exist in debug builds, and in the optimised build that runs the simulation.
let interleaved: [SwiftSetting] = [
    Context.environment["SWG_SIMULATION"] == nil
        ? .define("SWG_SIMULATION", .when(configuration: .debug)) : .define("SWG_SIMULATION")
]

func library(_ name: String, _ dependencies: [Target.Dependency] = [], settings: [SwiftSetting] = []) -> Target {
    .target(name: name, dependencies: dependencies, cSettings: gnu, swiftSettings: strict + lean + settings)
}

func program(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
    .executableTarget(
        name: name, dependencies: dependencies, exclude: exclude, cSettings: gnu, swiftSettings: strict + lean,
        linkerSettings: hardened)
}

func tests(_ subject: String, _ more: [Target.Dependency] = [], exclude: [String] = []) -> Target {
    .testTarget(
        name: "\(subject)Tests", dependencies: [.init(stringLiteral: subject)] + more,
        exclude: exclude, cSettings: gnu, swiftSettings: strict + interleaved)
}

let sources: [Target] = [
    .target(name: "CLinux", exclude: ["link"], cSettings: gnu),
    .systemLibrary(name: "CMnl", providers: [.apt(["libmnl-dev"])]),
    .systemLibrary(name: "CSodium", providers: [.apt(["libsodium-dev"])]),
    .systemLibrary(name: "CCap", providers: [.apt(["libcap-dev"])]),
    .systemLibrary(name: "CSeccomp", providers: [.apt(["libseccomp-dev"])]),
    .systemLibrary(name: "CJansson", providers: [.apt(["libjansson-dev"])]),
    .target(name: "CTrainCipher", cSettings: gnu),

    library("LinuxSystem", ["CLinux"]),
    library("IPAddressing"),
    library("JSON", ["CJansson"]),
    library("WireGuardCrypto", ["LinuxSystem", "CSodium", "CTrainCipher"]),
    library("WireGuardModel", ["IPAddressing", "LinuxSystem", "WireGuardCrypto"]),
    library("WireGuardConfig", ["WireGuardModel"]),
    library("WireGuardUAPI", ["WireGuardModel"]),
    library("Namespaces", ["LinuxSystem"]),
    library("Netlink", ["LinuxSystem", "WireGuardModel", "CMnl"]),
    library("Confinement", ["LinuxSystem", "CCap", "CSeccomp"]),
    library("WireGuardEngine", ["WireGuardModel", "WireGuardUAPI", "Confinement"], settings: interleaved),
    library("Tunnels", ["Namespaces", "Netlink", "WireGuardConfig", "WireGuardUAPI", "Confinement", "JSON"]),
    library("Commands", ["Tunnels", "WireGuardConfig", "JSON"]),
    library("PluginSupport", ["Tunnels", "WireGuardConfig", "JSON"]),
    // Tunnels by name: SwiftPM rebuilds a target when what it names has changed, not what that one names.
    library("CNI", ["PluginSupport", "Tunnels", "JSON"]),
    library("Netavark", ["PluginSupport", "Tunnels", "JSON"]),

    program("swg-ns", ["Commands"], exclude: ["swg-ns.8"]),
    program("swg-cni", ["CNI"]),
    program("swg-netavark", ["Netavark"]),
    program("swg-engine", ["WireGuardEngine"]),
]

// What several test targets share: seeded random devices.
let testSupport: [Target] = [
    .target(
        name: "WireGuardTestSupport", dependencies: ["WireGuardConfig", "WireGuardUAPI"],
        path: "Tests/WireGuardTestSupport",
        cSettings: gnu, swiftSettings: strict),
    // The simulation's roles stop and go on at any interleaving point.
    .target(name: "CCoroutine", path: "Tests/CCoroutine", cSettings: gnu),
]

let wireGuardSupport: Target.Dependency = "WireGuardTestSupport"

let testTargets: [Target] = [
    tests("LinuxSystem"),
    tests("IPAddressing"),
    tests("JSON"),
    tests("WireGuardCrypto", ["CSodium", "CTrainCipher"]),
    tests("WireGuardModel", [wireGuardSupport]),
    tests("WireGuardConfig", [wireGuardSupport]),
    tests("WireGuardUAPI", [wireGuardSupport]),
    tests("Namespaces"),
    tests("Netlink", ["Namespaces"]),
    tests("Confinement", ["CLinux", "LinuxSystem"]),
    tests("WireGuardEngine", [wireGuardSupport, "CCoroutine"]),
    tests("Tunnels", ["JSON"]),
    tests("Commands", ["Tunnels", "JSON"]),
    tests("PluginSupport", ["JSON"]),
    tests("CNI", ["JSON", "Tunnels"]),
    tests("Netavark", ["JSON", "Tunnels"]),
]

// SWG_FUZZ=1 swift build -c release --sanitize=fuzzer --product UAPIFuzz … builds programs for libFuzzer. They have no
// main of their own and would not link in any other build.
func fuzzer(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(
        name: name, dependencies: dependencies, path: "Tests/fuzz/\(name)", cSettings: gnu,
        swiftSettings: strict + [.unsafeFlags(["-parse-as-library"])])
}

let fuzzers: [Target] = [
    fuzzer("UAPIFuzz", ["WireGuardUAPI"]),
    fuzzer("ConfigurationFuzz", ["WireGuardConfig"]),
    fuzzer("DatagramFuzz", ["WireGuardEngine"]),
    fuzzer("InnerPacketFuzz", ["WireGuardEngine"]),
]

// Only for Tests/Benchmarks: it looks inside the engine, so it needs -enable-testing.
let benchmarks: [Target] =
    Context.environment["SWG_BENCHMARKS"] == nil
    ? []
    : [
        .executableTarget(
            name: "stages", dependencies: ["WireGuardEngine"], path: "Tests/Benchmarks/stages",
            cSettings: gnu, swiftSettings: strict, linkerSettings: hardened),
        // With its symbols: the counts are per function. Without debug information, which valgrind cannot read.
        .executableTarget(
            name: "loops", dependencies: ["WireGuardEngine"], path: "Tests/Benchmarks/loops",
            cSettings: gnu, swiftSettings: strict, linkerSettings: [.unsafeFlags(["-Xlinker", "-S"])]),
    ]

// SWG_TESTS=NetlinkTests,TunnelsTests swift test … builds those suites and what they need, nothing else.
let chosen = Context.environment["SWG_TESTS"].map { Set($0.split(separator: ",").map(String.init)) }

let libraries = sources.filter { $0.type != .executable }
let chosenTargets = chosen.map { wanted in
    libraries + testSupport + testTargets.filter { wanted.contains($0.name) }
}

let package = Package(
    name: "swg-ns",
    targets: Context.environment["SWG_FUZZ"] != nil
        ? libraries + fuzzers : chosenTargets ?? sources + benchmarks + testSupport + testTargets
)
