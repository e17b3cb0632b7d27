import LinuxSystem

/// Who lives in a network namespace.
public struct NamespaceProcesses: Equatable, Sendable {
    /// In ascending order.
    public let pids: [Int32]
    /// Processes whose namespace we may not see. While this is not zero, an empty list proves nothing.
    public let hiddenCount: Int

    /// Reads /proc once.
    public static func inside(_ identity: FileIdentity) throws(SystemError) -> NamespaceProcesses {
        try NamespaceCensus.take().inside(identity)
    }
}
