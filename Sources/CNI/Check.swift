import IPAddressing
import JSON
import LinuxSystem
import PluginSupport
import Tunnels

extension PluginCall {
    /// CHECK: the tunnel is as ADD left it: device, addresses, routes, the engine's process, where its socket
    /// lives, and keys out of reach. A peer that has not answered yet is no failure: runtimes take one as final.
    ///
    /// prevResult is the whole chain's last word: later plugins may have added to it and taken from it, and what it
    /// says about our interface must be so; what it does not say any more need not be.
    func check() throws(PluginError) {
        let configuration = try CheckConfiguration(input)
        try requireVerb(in: configuration.version)
        guard let type = configuration.ipamType else { return try checkTunnel(configuration) }
        let delegate = try self.delegate(type, input)
        // Whoever waits until a program has begun may wake up on the processor on which it begins and take it away from it.
        let (run, own) = beside({ Result { () throws(PluginError) in try DelegateRun(delegate, .check) } }) {
            failures { () throws(PluginError) in try checkTunnel(configuration) }
        }
        let delegates = failures { () throws(PluginError) in try run.get().finish() }
        if let error = PluginError.first(of: own + delegates) { throw error }
    }

    private func checkTunnel(_ configuration: CheckConfiguration) throws(PluginError) {
        let service = tunnels(configuration.stateDirectory)
        let id = owner(network: configuration.name).tunnelID
        var findings: [String] = []
        do {
            let record = try service.record(id)
            let expected: ExpectedNetwork?
            (expected, findings) = configuration.previous.expectations(of: record, environment)
            if !namespaceIs(record.namespaceIdentity) {
                findings.append(
                    "CNI_NETNS=\(printable(environment.networkNamespace)) is not the namespace of tunnel \(id)")
            }
            for finding in try service.check(record, expecting: expected) where finding.verdict == .violated {
                findings.append("\(finding.promise): \(finding.text)")
            }
        } catch {
            if error.kind != .notFound { throw PluginError(error) }
            findings.append(
                "container \(environment.containerID) has no tunnel for \(environment.interface) in network \"\(configuration.name)\""
            )
        }
        if let first = findings.first {
            throw PluginError(.notAsExpected, first, details: findings.dropFirst().joined(separator: "\n"))
        }
    }

    /// By device and inode: the path may be spelt in two ways.
    private func namespaceIs(_ identity: FileIdentity) -> Bool {
        (try? FileDescriptor.open(environment.networkNamespace, openFlags).identity()) == identity
    }
}

/// What CHECK reads: an operator may have edited the rest since ADD.
private struct CheckConfiguration {
    let version: SpecificationVersion
    let name: String
    let stateDirectory: String?
    let ipamType: String?
    let previous: PreviousResult

    init(_ bytes: [UInt8]) throws(PluginError) {
        let root = try NetworkConfiguration.object(bytes)
        version = try NetworkConfiguration.version(of: root)
        var reader = KeyReader(root)
        name = reader.networkName()
        stateDirectory = reader.absolutePath("stateDir")
        ipamType = reader.ipamType()
        let result = reader.object("prevResult")
        if result == nil, version >= Verb.check.since { reader.report("prevResult: CHECK needs the result of ADD") }
        try reader.throwProblems()
        previous = PreviousResult(result ?? .null)
    }
}

/// The result of ADD as the runtime kept it.
struct PreviousResult {
    let root: JSONValue

    init(_ root: JSONValue) { self.root = root }

    /// What it says that our interface has, and what of it makes no sense; no expectations when it does not know the
    /// interface.
    func expectations(
        of record: TunnelRecord, _ environment: PluginEnvironment
    ) -> (expected: ExpectedNetwork?, problems: [String]) {
        let interfaces = root["interfaces"]?.elements ?? []
        let inside = interfaces.indices.filter { !(interfaces[$0]["sandbox"]?.text ?? "").isEmpty }
        guard let own = inside.first(where: { interfaces[$0]["name"]?.text == environment.interface }) else {
            return (nil, ["prevResult.interfaces holds no \(environment.interface) inside the container"])
        }
        var expected = ExpectedNetwork(addresses: [], routes: [])
        var problems: [String] = []
        for entry in root["ips"]?.elements ?? [] where entry["interface"]?.integer == Int64(own) {
            guard let parsed = entry["address"]?.text.flatMap({ InterfaceAddress.parse($0) }),
                let address = InterfaceAddress(address: parsed.address, length: parsed.length)
            else {
                problems.append("prevResult.ips has \(entry["address"]?.shown ?? "no address")")
                continue
            }
            expected.addresses.append(address)
        }
        let made = record.routes.compactMap { IPPrefix($0) }
        for entry in root["routes"]?.elements ?? [] {
            guard let destination = entry["dst"]?.text.flatMap({ IPPrefix($0) }) else {
                problems.append("prevResult.routes has \(entry["dst"]?.shown ?? "no dst")")
                continue
            }
            // With another interface in the container the other one may own the route.
            if inside.count == 1 || made.contains(destination) { expected.routes.append(destination) }
        }
        return (expected, problems)
    }
}
