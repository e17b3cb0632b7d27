import Tunnels

/// What plugins need of `Tunnels`: `TunnelKeeper`, or a double of it in tests of what plugins decide.
public protocol TunnelService: Sendable {
    func attach(_ request: AttachRequest) throws(TunnelError) -> AttachReport
    func detach(_ id: TunnelID) throws(TunnelError) -> TeardownReport
    func collect(runtime: String, network: String, keep: Set<Attachment>) throws(TunnelError) -> TeardownReport
    func list() throws(TunnelError) -> [TunnelSummary]
    /// `expected`: what has to be on the interface; nil is what `attach` put there.
    func check(_ record: TunnelRecord, expecting expected: ExpectedNetwork?) throws(TunnelError) -> [CheckFinding]
    func record(_ id: TunnelID) throws(TunnelError) -> TunnelRecord
    /// What keeps `attach` from working on this host; empty when nothing does.
    func readiness(_ engine: EngineChoice) -> [TunnelError]
    func poolStatus(directory: String) throws(TunnelError) -> PoolStatus
}

extension TunnelKeeper: TunnelService {}
