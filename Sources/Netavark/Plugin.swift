import JSON
import LinuxSystem
import PluginSupport
import Tunnels

/// The program `swg-netavark`: reads a call, answers it.
public enum Plugin {
    /// - Returns: the exit status; everything else is written.
    public static func main(_ arguments: [String]) -> Int32 {
        StandardStreams.makePresent()
        do {
            let verb = try NetavarkCall.Verb(arguments)
            let call = NetavarkCall(
                verb: verb, input: verb == .information ? [] : try readInput(),
                tunnels: { TunnelKeeper(stateDirectory: $0) }, log: StandardStreams.log)
            if let answer = try call.answer() { try deliver(answer, of: call) }
            return 0
        } catch {
            StandardStreams.log(error.text)
            try? StandardStreams.answer(error.object.serialized)
            return 1
        }
    }

    private static func readInput() throws(NetavarkError) -> [UInt8] {
        do {
            return try StandardInput.read()
        } catch {
            throw NetavarkError(error.reason)
        }
    }

    /// Nobody would ever tear down what an answer that did not arrive has promised.
    private static func deliver(_ answer: JSONValue, of call: NetavarkCall) throws(NetavarkError) {
        do {
            try StandardStreams.answer(answer.serialized)
        } catch {
            if case .setup = call.verb { try? call.tearDown() }
            throw NetavarkError("the answer could not be delivered: \(error)")
        }
    }
}
