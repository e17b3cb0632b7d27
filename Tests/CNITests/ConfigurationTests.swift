import JSON
import PluginSupport
import Testing

@testable import CNI
@testable import Tunnels

/// A network configuration with changes; a nil value removes the key.
func document(_ changes: [String: JSONValue?] = [:]) -> [UInt8] {
    var members: [String: JSONValue] = [
        "cniVersion": .string("1.0.0"), "name": .string("egress"), "type": .string("swg-cni"),
        "configDir": .string("/etc/wireguard/egress.d"),
    ]
    for (key, value) in changes { members[key] = value }
    return Array(JSONValue.object(members).serialized.utf8)
}

func refusal(_ bytes: [UInt8]) -> PluginError? {
    do {
        _ = try NetworkConfiguration(bytes)
        return nil
    } catch {
        return error
    }
}

@Suite struct ConfigurationTests {
    @Test func `the configuration of the design is taken`() throws {
        let configuration = try NetworkConfiguration(
            document([
                "engine": .string("userspace"), "mtu": .integer(1380), "soleInterface": .bool(false),
                "waitForHandshake": .bool(true), "stateDir": .string("/run/x"), "exhaustedIsReady": .bool(true),
                "allowChoice": .array([.string("team-*")]), "byName": .bool(true),
                "capabilities": .object(["ips": .bool(true)]),
            ]))
        #expect(configuration.source == .pool(directory: "/etc/wireguard/egress.d"))
        #expect(configuration.engine == .userspace)
        #expect(configuration.mtu == 1380)
        #expect(!configuration.soleInterface)
        #expect(configuration.handshakeSeconds == 11)
        #expect(configuration.exhaustedIsReady)
        #expect(configuration.choice == .init(globs: ["team-*"], byName: true))
        #expect(configuration.foreignKeys.isEmpty)
    }

    @Test func `config names one file, absolutely or in etc-wireguard`() throws {
        #expect(
            try NetworkConfiguration(document(["configDir": nil, "config": .string("/k/a.conf")])).source
                == .file("/k/a.conf"))
        #expect(
            try NetworkConfiguration(document(["configDir": nil, "config": .string("mullvad")])).source
                == .file("/etc/wireguard/mullvad.conf"))
    }

    @Test func `a foreign key is ignored and told, a reserved one is not even told`() throws {
        let configuration = try NetworkConfiguration(
            document(["vlan": .integer(3), "cni.dev/x": .null, "ipMasq": .bool(true)]))
        #expect(configuration.foreignKeys == ["vlan"])
    }

    /// key, wrong value, code, what the message must hold.
    @Test(
        arguments: [
            ("configdir", .string("/x"), 7, "\"configDir\""), ("ConfigDir", .string("/x"), 7, "\"configDir\""),
            ("exhaustedIsRedy", .bool(true), 7, "exhaustedIsReady"), ("soleinterface", .bool(true), 7, "soleInterface"),
            ("cniversion", .string("1.0.0"), 7, "cniVersion"), ("Name", .string("x"), 7, "\"name\""),
            ("name", .string("a/b"), 7, "a/b"), ("name", .string(""), 7, "name"), ("name", .integer(3), 7, "3"),
            ("name", .string("-a"), 7, "-a"), ("configDir", .integer(5), 7, "5"),
            ("configDir", .string("rel/x"), 7, "rel/x"),
            ("configDir", .string("/x\0y"), 7, "configDir"), ("stateDir", .string("/x\ny"), 7, "stateDir"),
            ("configDir", .array([]), 7, "configDir"), ("config", .string("/x.conf"), 7, "only one"),
            ("engine", .string("kernal"), 7, "kernal"), ("engine", .bool(true), 7, "true"),
            ("mtu", .string("1420"), 7, "1420"),
            ("mtu", .integer(0), 7, "576"), ("mtu", .integer(-1), 7, "-1"), ("mtu", .integer(70000), 7, "70000"),
            ("mtu", .number(1420.5), 7, "1420.5"), ("soleInterface", .string("yes"), 7, "yes"),
            ("waitForHandshake", .integer(-1), 7, "-1"), ("waitForHandshake", .string("5s"), 7, "5s"),
            ("stateDir", .string("x"), 7, "stateDir"), ("exhaustedIsReady", .integer(1), 7, "exhaustedIsReady"),
            ("allowChoice", .string("*"), 7, "allowChoice"), ("allowChoice", .array([.integer(1)]), 7, "allowChoice"),
            ("byName", .bool(true), 7, "allowChoice"), ("byName", .string("true"), 7, "byName"),
            ("ipam", .string("host-local"), 7, "host-local"), ("ipam", .object(["type": .integer(1)]), 7, "ipam"),
            ("ipam", .object(["subnet": .string("10.0.0.0/8")]), 7, "type"),
            ("ipam", .object(["type": .string("../../bin/sh")]), 7, "../../bin/sh"),
            ("ipam", .object(["type": .string("..")]), 7, "ipam.type"), ("dns", .array([]), 7, "dns"),
            ("dns", .object(["nameservers": .string("10.0.0.1")]), 7, "dns.nameservers: \"10.0.0.1\""),
            ("dns", .object(["nameservers": .array([.string("ns.example")])]), 7, "ns.example"),
            ("dns", .object(["search": .string("corp")]), 7, "dns.search"),
            ("dns", .object(["options": .array([.integer(1)])]), 7, "dns.options: [1]"),
            ("dns", .object(["domain": .array([])]), 7, "dns.domain: [] is a list"),
            ("runtimeConfig", .string("x"), 7, "runtimeConfig"), ("args", .integer(1), 7, "args"),
            ("args", .object(["cni": .object(["ips": .string("10.0.0.1")])]), 7, "args.cni.ips"),
            ("prevResult", .string("x"), 7, "prevResult"), ("cniVersion", .string("9.9.9"), 1, "9.9.9"),
            ("cniVersion", .integer(1), 7, "cniVersion"), ("cniVersion", .string("1.0"), 1, "1.0"),
        ] as [(String, JSONValue, Int64, String)])
    func `a wrong value is refused with its code, key and value`(
        key: String, value: JSONValue, code: Int64, word: String
    ) {
        let error = refusal(document([key: value]))
        #expect(error?.code == code, "\(String(describing: error))")
        let said = (error?.message ?? "") + (error?.details ?? "")
        #expect(said.contains(word), "\(said)")
        #expect(said.lowercased().contains(key.lowercased()), "\(said)")
    }

    @Test func `code 7: name and one of config and configDir are compulsory`() {
        #expect(refusal(document(["name": nil]))?.code == 7)
        #expect(refusal(document(["configDir": nil]))?.code == 7)
    }

    @Test func `all mistakes are told at once`() throws {
        let error = try #require(
            refusal(document(["mtu": .integer(1), "engine": .string("x"), "configdir": .string("/")])))
        let said = error.message + error.details
        for word in ["mtu", "engine", "configDir"] { #expect(said.contains(word)) }
    }

    @Test(arguments: ["[]", "3", "\"x\"", "null", "{", "", "{\"a\":}"])
    func `code 6: what is no JSON object`(text: String) {
        #expect(refusal(Array(text.utf8))?.code == 6)
    }

    @Test func `an absent or empty version means 0-1-0, as libcni decodes it`() throws {
        #expect(try NetworkConfiguration(document(["cniVersion": nil])).version == .v0_1_0)
        #expect(try NetworkConfiguration(document(["cniVersion": .string("")])).version == .v0_1_0)
    }

    @Test func `P3: a key in the configuration is refused and never printed`() throws {
        let key = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="
        for changes: [String: JSONValue?] in [
            ["privateKey": .string(key)], ["PrivateKey": .string(key)], ["mtu": .string(key)],
            ["config": .string(key), "configDir": nil],
            ["config": .string("[Interface]\nPrivateKey=\(key)"), "configDir": nil], ["name": .string(key)],
            ["engin": .string(key)],
        ] {
            let error = try #require(refusal(document(changes)))
            #expect(error.code == 7)
            #expect(!(error.message + error.details).contains("yAnz"), "\(error)")
        }
    }
}

@Suite struct RuntimeConfigurationTests {
    private func read(_ members: [String: JSONValue], delegate: Bool = false) throws -> RuntimeConfiguration {
        try RuntimeConfiguration(.object(members), hasDelegate: delegate)
    }

    @Test func `code 2: port mappings are refused by name and value`() {
        let mapping = JSONValue.array([.object(["hostPort": .integer(8080), "containerPort": .integer(80)])])
        let error = #expect(throws: PluginError.self) { try read(["portMappings": mapping]) }
        #expect(error?.code == 2)
        #expect(error?.message.contains("portMappings") == true && error?.message.contains("8080") == true)
    }

    @Test(arguments: ["mac", "bandwidth", "infinibandGUID", "deviceID"])
    func `code 2: what a WireGuard interface cannot do`(key: String) {
        let error = #expect(throws: PluginError.self) { try read([key: .string("x")]) }
        #expect(error?.code == 2)
        #expect(error?.message.contains(key) == true)
    }

    @Test func `nothing asked for is nothing refused`() throws {
        let read = try read([
            "portMappings": .array([]), "mac": .string("00:00:00:00:00:00"), "bandwidth": .null,
            "aliases": .object(["n": .array([])]),
        ])
        #expect(read == RuntimeConfiguration())
    }

    @Test func `ips, dns and annotations are taken`() throws {
        let read = try read([
            "ips": .array([.string("10.0.0.2/32"), .string("fd00::2")]),
            "dns": .object(["servers": .array([.string("10.0.0.1")]), "searches": .array([.string("a.b")])]),
            RuntimeConfiguration.annotationsKey: .object(["swg-ns/config": .string("team-a")]),
        ])
        #expect(read.addresses == ["10.0.0.2/32", "fd00::2"])
        #expect(read.dns?.nameservers == ["10.0.0.1"] && read.dns?.search == ["a.b"])
        #expect(read.annotations["swg-ns/config"] == "team-a")
    }

    @Test func `containerd writes dns with capitals, and nothing asked as null`() throws {
        let asked = JSONValue.object(["Servers": .array([.string("10.0.0.1")]), "Searches": .null, "Options": .null])
        #expect(try read(["dns": asked]).dns == AddResult.DNS(nameservers: ["10.0.0.1"]))
        let nothing = JSONValue.object(["Servers": .null, "Searches": .array([]), "Options": .null])
        #expect(try read(["dns": nothing]).dns == nil)
    }

    @Test(arguments: [("servers", "x"), ("Servers", "10.0.0.1.2"), ("searches", "")])
    func `code 7: dns that is none`(key: String, word: String) {
        let dns = JSONValue.object([key: .array([.string(word)])])
        let error = #expect(throws: PluginError.self) { try read(["dns": dns]) }
        #expect(error?.code == 7)
        #expect(error?.message.contains("runtimeConfig.dns.\(key.lowercased()): [\"\(word)\"]") == true)
    }

    @Test func `ranges are the delegate's business, or nobody's`() {
        let ranges = JSONValue.array([.array([.object(["subnet": .string("10.0.0.0/8")])])])
        #expect(throws: PluginError.self) { try read(["ipRanges": ranges]) }
        #expect(throws: Never.self) { try read(["ipRanges": ranges], delegate: true) }
    }
}
