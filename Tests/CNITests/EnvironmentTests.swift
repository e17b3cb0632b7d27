import Testing

@testable import CNI

@Suite struct EnvironmentTests {
    private static let good = [
        "CNI_COMMAND": "ADD", "CNI_CONTAINERID": "c1", "CNI_NETNS": "/run/netns/x", "CNI_IFNAME": "eth0",
        "CNI_PATH": "/p:/q",
    ]

    private func code(_ changes: [String: String]) -> Int64? {
        do {
            _ = try PluginEnvironment(Self.good.merging(changes) { $1 })
            return nil
        } catch {
            return error.code
        }
    }

    @Test func `a call as libcni makes it is taken, foreign variables included`() throws {
        let environment = try PluginEnvironment(Self.good.merging(["TRACEPARENT": "00-x", "CNI_ARGS": "A=b"]) { $1 })
        #expect(environment.verb == .add)
        #expect(environment.searchPath == ["/p", "/q"])
        #expect(environment.arguments == "A=b")
    }

    @Test(arguments: [
        ("ADD", "CNI_CONTAINERID"), ("ADD", "CNI_NETNS"), ("ADD", "CNI_IFNAME"), ("CHECK", "CNI_CONTAINERID"),
        ("CHECK", "CNI_NETNS"), ("CHECK", "CNI_IFNAME"), ("DEL", "CNI_CONTAINERID"), ("DEL", "CNI_IFNAME"),
        ("GC", "CNI_PATH"),
    ])
    func `code 4: a missing variable is named`(verb: String, name: String) {
        let error = #expect(throws: PluginError.self) {
            try PluginEnvironment(Self.good.merging(["CNI_COMMAND": verb, name: ""]) { $1 })
        }
        #expect(error?.code == 4)
        #expect(error?.message.contains(name) == true)
    }

    @Test func `code 4: all missing variables are named at once`() {
        let error = #expect(throws: PluginError.self) { try PluginEnvironment(["CNI_COMMAND": "ADD"]) }
        for name in ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"] { #expect(error?.message.contains(name) == true) }
    }

    @Test(arguments: ["", "add", "ADDX", "UPDATE", "\u{1b}[31m"])
    func `code 4: an unknown command`(command: String) {
        #expect(code(["CNI_COMMAND": command]) == 4)
    }

    @Test(arguments: ["../../etc", "-x", ".x", "_x", "a/b", "a b", "a\nb", "ä", "a\u{0}b"])
    func `code 4: a hostile container id`(id: String) {
        #expect(code(["CNI_CONTAINERID": id]) == 4)
    }

    @Test(arguments: [".", "..", "a/b", "a:b", "a b", "a\tb", "sixteen-letters-", "lo", "wg%d"])
    func `code 4: an interface name that the kernel or we cannot use`(name: String) {
        #expect(code(["CNI_IFNAME": name]) == 4)
    }

    @Test(arguments: ["netns", "./x", "dummy"])
    func `code 4: a namespace path that depends on a working directory`(path: String) {
        #expect(code(["CNI_NETNS": path]) == 4)
    }

    @Test func `DEL needs no namespace, STATUS nothing, VERSION looks at nothing`() {
        #expect(code(["CNI_COMMAND": "DEL", "CNI_NETNS": ""]) == nil)
        #expect(code(["CNI_COMMAND": "STATUS", "CNI_NETNS": "", "CNI_CONTAINERID": "", "CNI_IFNAME": ""]) == nil)
        #expect(
            code(["CNI_COMMAND": "VERSION", "CNI_NETNS": "dummy", "CNI_CONTAINERID": "", "CNI_IFNAME": "dummy"]) == nil)
        #expect(code(["CNI_COMMAND": "GC", "CNI_NETNS": "", "CNI_CONTAINERID": "", "CNI_IFNAME": ""]) == nil)
    }

    @Test func `relative folders of CNI_PATH are left out`() throws {
        let environment = try PluginEnvironment(Self.good.merging(["CNI_PATH": ".:bin::/p"]) { $1 })
        #expect(environment.searchPath == ["/p"])
    }
}

@Suite struct ArgumentsTests {
    @Test func `the pairs are read in any order`() throws {
        let first = try CNIArguments("IgnoreUnknown=1;K8S_POD_NAMESPACE=ns;K8S_POD_NAME=p;X=1")
        let second = try CNIArguments("X=1;K8S_POD_NAME=p;K8S_POD_NAMESPACE=ns;IgnoreUnknown=true")
        #expect(first == second)
        #expect(first.podName == "p" && first.podNamespace == "ns")
    }

    @Test func `code 4: an unknown pair without IgnoreUnknown, as in the reference library`() {
        #expect(throws: PluginError.self) { try CNIArguments("X=1") }
        #expect(throws: Never.self) { try CNIArguments("") }
    }

    @Test func `code 4: a slip in SWG_CONFIG is told even under IgnoreUnknown`() {
        let error = #expect(throws: PluginError.self) { try CNIArguments("IgnoreUnknown=1;SWG_CONFG=a") }
        #expect(error?.message.contains("SWG_CONFIG") == true)
    }

    @Test func `code 2: a MAC address is refused with key and value`() {
        let error = #expect(throws: PluginError.self) { try CNIArguments("IgnoreUnknown=1;MAC=02:00:00:00:00:01") }
        #expect(error?.code == 2)
        #expect(error?.message.contains("MAC=02:00:00:00:00:01") == true)
    }

    @Test func `our own stand-in for a MAC address may come back, as podman's network reload sends it`() {
        #expect(throws: Never.self) { try CNIArguments("IgnoreUnknown=1;MAC=00:00:00:00:00:00;IP=10.7.0.2") }
    }

    @Test func `DEL takes anything`() {
        #expect(throws: Never.self) { try CNIArguments("rubbish;X;=;MAC=1", strict: false) }
    }
}
