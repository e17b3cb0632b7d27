import CLinux
import Glibc
import JSON
import LinuxSystem
import PluginSupport
import Tunnels

/// The program `swg-cni`: reads a call, answers it.
public enum Plugin {
    static let about = "swg-cni: gives a container a WireGuard interface as its only way out (CNI plugin)"

    /// - Returns: the exit status; everything else is written.
    public static func main() -> Int32 {
        StandardStreams.makePresent()
        // A heap for each thread of a program that lives for five milliseconds costs more than sharing one.
        mallopt(M_ARENA_MAX, 1)
        let variables = EnvironmentVariables.own
        if (variables["CNI_COMMAND"] ?? "").isEmpty,
            isatty(STDIN_FILENO) == 1 || variables["CNI_CONTAINERID"] == nil
        {
            StandardStreams.log(about)
            StandardStreams.log(
                "CNI protocol versions supported: \(SpecificationVersion.allCases.map(\.rawValue).joined(separator: ", "))"
            )
            return 0
        }
        var input: [UInt8] = []
        do throws(PluginError) {
            let environment = try PluginEnvironment(variables)
            input = try readInput()
            let call = PluginCall(
                environment: environment, variables: variables, input: input,
                tunnels: { TunnelKeeper(stateDirectory: $0) }, log: StandardStreams.log)
            do throws(PluginError) {
                if let answer = try call.answer() { try deliver(answer, of: call) }
            } catch {
                record(call, error)
                throw error
            }
            record(call, nil)
            return 0
        } catch {
            StandardStreams.log("\(error.message)\(error.details.isEmpty ? "" : "\n\(error.details)")")
            try? StandardStreams.answer(error.object(answerVersion(input)).serialized)
            return 1
        }
    }

    /// ADD and DEL go to the log, and a failure is kept beyond it: runtimes lose a plugin's standard error.
    private static func record(_ call: PluginCall, _ failure: PluginError?) {
        let verb = call.environment.verb
        guard verb == .add || verb == .delete, let configuration = try? TeardownConfiguration(call.input)
        else { return }
        let keeper = TunnelKeeper(stateDirectory: configuration.stateDirectory)
        let owner = call.owner(network: configuration.name ?? "")
        if let failure {
            keeper.noteFailure("CNI \(verb.rawValue): \(failure.message)", owner: owner)
        } else {
            keeper.note("CNI \(verb.rawValue) of network \(owner.network)", tunnel: owner.tunnelID, owner: owner)
        }
    }

    private static func readInput() throws(PluginError) -> [UInt8] {
        do {
            return try StandardInput.read()
        } catch {
            throw PluginError(.inputOutput, error.reason)
        }
    }

    /// A result that the runtime did not take is no result: nobody would ever send the DEL.
    private static func deliver(_ answer: JSONValue, of call: PluginCall) throws(PluginError) {
        do {
            try StandardStreams.answer(answer.serialized)
        } catch {
            if call.environment.verb == .add { try? call.delete() }
            throw PluginError(.inputOutput, "the answer could not be delivered: \(error)")
        }
    }

    /// The version for an error object: the configuration's, when it has one of ours.
    private static func answerVersion(_ input: [UInt8]) -> SpecificationVersion {
        guard let root = try? JSONValue.parse(input), let version = try? NetworkConfiguration.version(of: root) else {
            return .current
        }
        return version
    }
}
