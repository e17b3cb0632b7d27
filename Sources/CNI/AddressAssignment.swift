import IPAddressing
import PluginSupport
import Tunnels

/// The delegate's ADD, running beside the making of the tunnel. For one thread at a time.
final class AddressAssignment: AddressSource, @unchecked Sendable {
    private let delegate: Delegate
    /// Nil until it was begun.
    private var run: DelegateRun?
    /// What it answered; nil before it was asked for, and when it failed.
    private(set) var result: DelegateResult?
    private var failure: PluginError?

    init(_ delegate: Delegate) { self.delegate = delegate }

    func begin() throws(TunnelError) {
        try keepingFailure { () throws(PluginError) in run = try DelegateRun(delegate, .add) }
    }

    /// Waits for the delegate's addresses.
    func addresses() throws(TunnelError) -> [InterfaceAddress] {
        try keepingFailure { () throws(PluginError) in
            let result = try DelegateResult(try run?.finish() ?? [], from: delegate)
            self.result = result
            return result.addresses
        }
    }

    /// `attach` knows only its own errors: the delegate's, with its code, is kept here for whoever called that.
    private func keepingFailure<Value>(_ body: () throws(PluginError) -> Value) throws(TunnelError) -> Value {
        do {
            return try body()
        } catch {
            failure = error
            throw TunnelError(.system, error.message)
        }
    }

    /// The delegate's own failure, when that is why `attach` failed, with what could not be undone.
    func failure(within error: TunnelError) -> PluginError? {
        guard let failure else { return nil }
        return PluginError.first(of: [failure] + error.undoErrors.map { PluginError(.tunnelFailed, $0) })
    }

    /// DEL, after its ADD has ended: whatever became of that, no address stays taken. Also when it never began: an
    /// earlier try that was killed may have left one.
    func takeBack() -> [PluginError] {
        // Why the ADD failed is known by now, or was not the reason.
        _ = failures { () throws(PluginError) in try run?.finish() }
        return failures { () throws(PluginError) in try delegate.run(.delete) }
    }
}
