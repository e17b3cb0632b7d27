/// One mutation and how it is undone, as plain data: `action` and what it needs. Older and newer programs obey
/// the same words; one that is not known is an error that keeps the journal.
struct UndoStep: Codable, Hashable, Sendable {
    var action: Action
    var namespace: NamespaceReference?
    /// Interface, or name below /run/netns.
    var name: String?
    /// Kind of the interface (`tun`, `wireguard`): another kind under the same name is not ours.
    var kind: String?
    var path: String?
    /// The file is removed only while it still holds this (hexadecimal BLAKE2b-256).
    var digest: String?
    /// Where the process wrote who it is.
    var identityPath: String?
    var bootID: String?
    var publicKey: String?
    /// What a setting was before.
    var value: String?
    /// Whether the interface had no addresses before either.
    var flushAddresses: Bool?
    /// Keep a note of when the key was released.
    var remember: Bool?

    init(_ action: Action) { self.action = action }

    struct Action: RawRepresentable, Codable, Hashable, Sendable {
        var rawValue: String

        static let deleteLink = Action(rawValue: "deleteLink")
        static let setLinkDown = Action(rawValue: "setLinkDown")
        static let endProcess = Action(rawValue: "endProcess")
        static let removeFile = Action(rawValue: "removeFile")
        static let removeSocket = Action(rawValue: "removeSocket")
        static let removeDirectory = Action(rawValue: "removeDirectory")
        static let deleteNamespace = Action(rawValue: "deleteNamespace")
        static let releaseLease = Action(rawValue: "releaseLease")
        static let restoreSetting = Action(rawValue: "restoreSetting")
    }

    /// `ip -n NS link delete NAME`.
    static func deleteLink(_ name: InterfaceName, kind: String, in namespace: NamespaceReference) -> UndoStep {
        var step = UndoStep(.deleteLink)
        step.namespace = namespace
        step.name = name.text
        step.kind = kind
        return step
    }

    /// `ip -n NS link set NAME down`.
    ///
    /// With `flushAddresses` the addresses that the kernel gave it when it went up go, too: 127.0.0.1 outlives the
    /// fall of `lo`.
    static func setLinkDown(_ name: String, flushAddresses: Bool, in namespace: NamespaceReference) -> UndoStep {
        var step = UndoStep(.setLinkDown)
        step.flushAddresses = flushAddresses
        step.namespace = namespace
        step.name = name
        return step
    }

    /// Ends the process that wrote itself into `identityPath`, if it is still that one.
    static func endProcess(identityPath: String, bootID: String) -> UndoStep {
        var step = UndoStep(.endProcess)
        step.identityPath = identityPath
        step.bootID = bootID
        return step
    }

    static func removeFile(_ path: String, digest: String) -> UndoStep {
        var step = UndoStep(.removeFile)
        step.path = path
        step.digest = digest
        return step
    }

    /// Removes a UNIX socket's file if nothing listens on it any more.
    static func removeSocket(_ path: String) -> UndoStep {
        var step = UndoStep(.removeSocket)
        step.path = path
        return step
    }

    /// rmdir, if empty.
    static func removeDirectory(_ path: String) -> UndoStep {
        var step = UndoStep(.removeDirectory)
        step.path = path
        return step
    }

    /// `ip netns delete NAME`, if it still is the one that was made.
    static func deleteNamespace(_ name: String, made: NamespaceReference? = nil) -> UndoStep {
        var step = UndoStep(.deleteNamespace)
        step.name = name
        step.namespace = made
        return step
    }

    /// `ip netns exec NS sysctl -w NAME=VALUE`; `path` is below /proc/sys/net.
    static func restoreSetting(_ path: String, to value: String, in namespace: NamespaceReference) -> UndoStep {
        var step = UndoStep(.restoreSetting)
        step.path = path
        step.value = value
        step.namespace = namespace
        return step
    }

    static func releaseLease(_ publicKeyHex: String, remember: Bool) -> UndoStep {
        var step = UndoStep(.releaseLease)
        step.publicKey = publicKeyHex
        step.remember = remember
        return step
    }
}
