import LinuxSystem
import WireGuardCrypto

/// Judges the MACs of handshake messages to us, and makes the cookies (checklist C1 to C3; kernel cookie.c). Control only.
struct CookieChecker: ~Copyable {
    enum Verdict {
        case invalid
        case validWithoutCookie
        case validWithCookie
    }

    private let secret = LockedKey()
    private var secretBirth: BootTime?

    /// mac1 in any case; mac2 only if asked, under load.
    mutating func judge(
        _ message: UnsafeRawBufferPointer, from path: DatagramPath, to local: PublicKey, checkingCookie: Bool,
        at now: BootTime, random: RandomSource
    ) -> Verdict {
        let mac1Offset = message.count - Message.macsByteCount
        guard mac1Offset > 0, let base = message.baseAddress else { return .invalid }
        let good = DerivedKeys.withKey(.mac1, of: local) { key in
            BLAKE2s.isMAC(base + mac1Offset, key: key, message.part(0, mac1Offset))
        }
        guard good else { return .invalid }
        guard checkingCookie else { return .validWithoutCookie }
        let hasCookie = withCookie(for: path, at: now, random: random) { cookie in
            BLAKE2s.isMAC(
                base + mac1Offset + BLAKE2s.macByteCount, key: cookie,
                message.part(0, mac1Offset + BLAKE2s.macByteCount))
        }
        return hasCookie ? .validWithCookie : .validWithoutCookie
    }

    /// Writes a reply of 64 bytes to `message`, whose sender index is `receiver`.
    mutating func writeReply(
        to message: UnsafeRawBufferPointer, receiver: UInt32, path: DatagramPath, local: PublicKey, at now: BootTime,
        random: RandomSource, into reply: UnsafeMutableRawPointer
    ) {
        reply.storeBytes(of: Message.Kind.cookieReply.rawValue.littleEndian, as: UInt32.self)
        reply.storeBytes(of: receiver.littleEndian, toByteOffset: Message.CookieReply.receiver, as: UInt32.self)
        let nonce = reply + Message.CookieReply.nonce
        random.fill(nonce, byteCount: XChaCha20Poly1305.nonceByteCount)
        let mac1 = message.part(message.count - Message.macsByteCount, BLAKE2s.macByteCount)
        withCookie(for: path, at: now, random: random) { cookie in
            DerivedKeys.withKey(.cookie, of: local) { key in
                guard let keyBase = key.baseAddress else { return }
                XChaCha20Poly1305.seal(
                    cookie, nonce: nonce, authenticating: mac1, key: keyBase,
                    into: reply + Message.CookieReply.encryptedCookie)
            }
        }
    }

    /// The cookie of a source: a MAC over its address and port (checklist C2).
    private mutating func withCookie<Result>(
        for path: DatagramPath, at now: BootTime, random: RandomSource, _ body: (UnsafeRawBufferPointer) -> Result
    ) -> Result {
        renewSecret(at: now, random: random)
        let cookie = LockedKey()
        var address = (path.remoteHigh.bigEndian, path.remoteLow.bigEndian)
        var port = path.port.bigEndian
        withUnsafeBytes(of: &address) { address in
            withUnsafeBytes(of: &port) { port in
                BLAKE2s.mac(
                    key: secret.buffer, path.isIPv6 ? address : address.part(12, 4), port, into: cookie.pointer)
            }
        }
        return body(UnsafeRawBufferPointer(start: cookie.pointer, count: BLAKE2s.macByteCount))
    }

    private mutating func renewSecret(at now: BootTime, random: RandomSource) {
        if let birth = secretBirth, birth <= now, now.since(birth) < ProtocolLimits.cookieSecretMaximumAge { return }
        random.fill(secret.pointer, byteCount: LockedKey.byteCount)
        secretBirth = now
    }
}
