import Testing

@testable import Tunnels

@Suite struct EngineVersionTests {
    @Test(
        arguments: [
            ("swg-engine 1.0.0\nA userspace WireGuard engine.\n", "1.0.0"),
            ("wireguard-go v0.0.20220316\n\nUserspace WireGuard daemon for linux-amd64.\n", "v0.0.20220316"),
            ("", nil), ("1.0.0\n", nil), ("usage: PROGRAM\n", nil), ("engine 1\u{1b}[31m", "1\\u{1b}[31m"),
        ] as [(String, String?)])
    func `an engine's version is the second word of its answer, made fit for a terminal`(
        answer: String, version: String?
    ) {
        #expect(EngineLocator.version(inAnswer: answer) == version)
    }
}
