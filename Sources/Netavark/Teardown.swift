import JSON
import PluginSupport
import Tunnels

extension NetavarkCall {
    /// `teardown NETNS`: succeeds for what is gone, or never was. The path is not looked at: netavark 2 calls
    /// this when it no longer exists, and by then it may be another container's.
    func tearDown() throws(NetavarkError) {
        let root = try document()
        let network = try NetworkDescription(root["network"])
        let container = try ContainerOptions(root)
        // Only this one option matters here; the others may have been edited since.
        let stateDirectory = network.options["stateDir"]?.text.flatMap { $0.hasPrefix("/") ? $0 : nil }
        let report: TeardownReport
        do {
            report = try tunnels(stateDirectory).detach(container.owner(of: network).tunnelID)
        } catch {
            throw NetavarkError(error)
        }
        if !report.errors.isEmpty {
            throw NetavarkError(report.errors.map(\.description).joined(separator: "; "))
        }
    }
}
