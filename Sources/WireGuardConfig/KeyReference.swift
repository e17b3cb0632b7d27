import WireGuardCrypto
import WireGuardModel

/// A key of a configuration that is kept elsewhere, for the caller to read.
public struct KeyReference: Hashable, Sendable {
    public enum Place: Hashable, Sendable {
        /// A path, relative to the configuration file's directory.
        case file(String)
        /// For the shell, with the privileges of whoever may write the configuration file.
        case command(String)
    }

    public enum Use: Hashable, Sendable {
        case privateKey
        /// Of the peer with this index.
        case presharedKey(peer: Int)
    }

    public let place: Place
    public let use: Use
}

extension TunnelConfiguration {
    /// The keys that are still to be read.
    public var keyReferences: [KeyReference] {
        var result: [KeyReference] = []
        if let place = privateKey?.place { result.append(KeyReference(place: place, use: .privateKey)) }
        for (index, peer) in peers.enumerated() {
            guard let place = peer.presharedKey?.place else { continue }
            result.append(KeyReference(place: place, use: .presharedKey(peer: index)))
        }
        return result
    }

    /// Puts in what a file or command said: a key in base64 with white space around it, as `wg set … private-key`
    /// reads it, or nothing, which means no key. The bytes stay the caller's to wipe. Throws one problem, placed
    /// in the key's file or command.
    public mutating func substitute(
        _ reference: KeyReference, text: UnsafeRawBufferPointer
    ) throws(ConfigurationErrors) {
        let isEmpty = text.allSatisfy(isSpace)
        let (secret, fault) = isEmpty ? (nil, nil) : decodeKey(text)
        if let fault {
            throw ConfigurationErrors([
                ConfigurationProblem(
                    file: reference.place.description, line: 1, column: 1, subject: reference.use.name,
                    explanation: fault)
            ])
        }
        switch reference.use {
        case .privateKey: privateKey = secret.flatMap { PrivateKey(secret: $0) }.map { .key($0) }
        case .presharedKey(let index):
            guard peers.indices.contains(index) else { return }
            peers[index].presharedKey = secret.flatMap { PresharedKey(secret: $0) }.map { .key($0) }
        }
    }
}

extension KeySource {
    fileprivate var place: KeyReference.Place? {
        switch self {
        case .key: nil
        case .file(let path): .file(path)
        case .command(let command): .command(command)
        }
    }
}

extension KeyReference.Place: CustomStringConvertible {
    public var description: String {
        switch self {
        case .file(let path): path
        case .command(let command): "output of \(command)"
        }
    }
}

extension KeyReference.Use {
    /// The configuration's word for it.
    public var name: String {
        switch self {
        case .privateKey: "PrivateKey"
        case .presharedKey: "PresharedKey"
        }
    }
}
