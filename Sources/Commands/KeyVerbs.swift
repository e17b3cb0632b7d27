import Glibc
import LinuxSystem
import Tunnels
import WireGuardCrypto

extension Verb {
    /// Whose words may be secrets.
    static let ofKeys: Set<String> = ["genkey", "genpsk", "pubkey"]

    static let genkey = Verb(
        name: "genkey", synopsis: "", summary: "Print a new private key, as wg genkey does.", maximumPositional: 0
    ) { _ in
        warnIfReadable()
        try printSecret(PrivateKey.generate().secret)
        return 0
    }

    static let genpsk = Verb(
        name: "genpsk", synopsis: "", summary: "Print a new preshared key, as wg genpsk does.", maximumPositional: 0
    ) { _ in
        warnIfReadable()
        try printSecret(PresharedKey.generate().secret)
        return 0
    }

    static let pubkey = Verb(
        name: "pubkey", synopsis: "< PRIVATEKEY",
        summary: "Read a private key, print its public key, as wg pubkey does.",
        maximumPositional: 0
    ) { invocation in
        let buffer = LockedBuffer(byteCount: 64)
        var count = 0
        while count < buffer.bytes.count {
            let rest = UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[count...])
            let chunk = try systemCall("read", "standard input") { read(0, rest.baseAddress, rest.count) }
            if chunk == 0 { break }
            count += chunk
        }
        var text = UnsafeRawBufferPointer(rebasing: buffer.bytes[..<count])[...]
        while let last = text.last, last == 0x0a || last == 0x0d || last == 0x20 { text = text.dropLast() }
        // Never as a String, whose memory nobody wipes.
        let secret = text.count == 44 ? SecretBytes.decoding(base64: UnsafeRawBufferPointer(rebasing: text)) : nil
        guard let key = secret.flatMap({ PrivateKey(secret: $0) }) else {
            throw TunnelError(
                .usage, "standard input holds no private key", cure: "give the 44 characters that genkey prints")
        }
        invocation.output.line(key.publicKey.base64)
        return 0
    }

    private static func printSecret(_ secret: SecretBytes) throws {
        var text = SecretText(capacity: 64)
        text.append(base64Of: secret)
        text.append("\n")
        try text.withBytes { (bytes) throws(SystemError) in try writeAll(bytes, to: 1, object: "standard output") }
    }

    /// wg(8) says the same.
    private static func warnIfReadable() {
        var status = stat()
        if fstat(1, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_mode & 0o007 != 0 {
            Output.write(
                "Warning: writing to world accessible file.\nConsider setting the umask to 077 and trying again.\n",
                to: 2)
        }
    }
}
