import Testing

@testable import PluginSupport

@Suite struct KeySpellingTests {
    private let ours = ["config", "configDir", "engine", "mtu", "soleInterface", "byName", "ipam"]

    @Test(arguments: [
        ("configdir", "configDir"), ("ConfigDir", "configDir"), ("config_dir", "configDir"), ("confgiDir", "configDir"),
        ("configs", "config"), ("Config", "config"), ("MTU", "mtu"), ("mut", "mtu"), ("enigne", "engine"),
        ("soleinterfaces", "soleInterface"), ("byname", "byName"), ("IPAM", "ipam"),
    ])
    func `a slip of case or up to two letters is told with the right spelling`(slip: String, meant: String) {
        #expect(KeySpelling.intended(by: slip, among: ours) == meant)
    }

    @Test(arguments: ["mac", "bridge", "delegates", "logFile", "vlan", "mode", "isGateway", "labels", "debug", ""])
    func `a key of another plugin is nobody's slip`(key: String) {
        #expect(KeySpelling.intended(by: key, among: ours) == nil)
    }
}
