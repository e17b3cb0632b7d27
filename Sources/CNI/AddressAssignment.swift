import IPAddressing
import PluginSupport
import Tunnels

/// The delegate's ADD, running beside the making of the tunnel. For one thread at a time.
final class AddressAssignment: @unchecked Sendable {
    private let run: DelegateRun
    /// What it answered; nil before it was asked for, and when it failed.
    private(set) var result: DelegateResult?
    private var failure: PluginError?

    init(_ delegate: Delegate) throws(PluginError) { run = try DelegateRun(delegate, .add) }

    /// Waits for the delegate's addresses. For `AttachRequest.assignAddresses`; the failure itself is kept.
    func addresses() throws(TunnelError) -> [InterfaceAddress] {
        do {
            let result = try DelegateResult(try run.finish(), from: run.delegate)
            self.result = result
            return result.addresses
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

    /// DEL, after its ADD has ended: whatever became of that, no address stays taken.
    func takeBack() -> [PluginError] {
        // Why the ADD failed is known by now, or was not the reason.
        _ = failures { () throws(PluginError) in try run.finish() }
        return failures { () throws(PluginError) in try run.delegate.run(.delete) }
    }
}
