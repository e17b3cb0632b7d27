import LinuxSystem
import WireGuardCrypto

/// The cookie that a peer under load has given us, and what is needed to accept one (checklist C1, C4; kernel
/// cookie.c `wg_cookie_add_mac_to_packet`, `wg_cookie_message_consume`). Control only.
struct PeerCookie: ~Copyable {
    /// Nil before the first one.
    private var cookie: LockedKey?
    private var birth = BootTime(nanoseconds: 0)
    /// mac1 of the last message sent, as long as no cookie has answered it.
    private var unansweredMAC1: InlineArray<16, UInt8>?

    /// Fills in both MACs at the end of a message to `peer`.
    mutating func addMACs(to message: UnsafeMutableRawBufferPointer, peer: PublicKey, at now: BootTime) {
        let mac1Offset = message.count - Message.macsByteCount
        guard mac1Offset > 0, let base = message.baseAddress else { return }
        let mac1 = base + mac1Offset
        let mac2 = mac1 + BLAKE2s.macByteCount
        DerivedKeys.withKey(.mac1, of: peer) { key in
            BLAKE2s.mac(key: key, UnsafeRawBufferPointer(start: base, count: mac1Offset), into: mac1)
        }
        var sent = InlineArray<16, UInt8>(repeating: 0)
        withUnsafeMutableBytes(of: &sent) { $0.copyMemory(from: UnsafeRawBufferPointer(start: mac1, count: 16)) }
        unansweredMAC1 = sent
        if let key = freshCookie(at: now) {
            BLAKE2s.mac(
                key: key, UnsafeRawBufferPointer(start: base, count: mac1Offset + BLAKE2s.macByteCount), into: mac2)
        } else {
            mac2.initializeMemory(as: UInt8.self, repeating: 0, count: BLAKE2s.macByteCount)
        }
    }

    /// 115 s: the sender's secret changes after 120 s.
    private func freshCookie(at now: BootTime) -> UnsafeRawBufferPointer? {
        guard now.since(birth) < ProtocolLimits.cookieSecretMaximumAge - ProtocolLimits.cookieSecretLatency
        else { return nil }
        switch cookie {
        case .some(let cookie): return UnsafeRawBufferPointer(start: cookie.pointer, count: BLAKE2s.macByteCount)
        case .none: return nil
        }
    }

    /// A cookie reply of 64 bytes. It changes nothing but the cookie: no timer, no endpoint, no retry.
    mutating func consume(_ reply: UnsafeRawBufferPointer, peer: PublicKey, at now: BootTime) -> Bool {
        guard var mac1 = unansweredMAC1, let base = reply.baseAddress else { return false }
        let fresh = LockedKey()
        let opened = DerivedKeys.withKey(.cookie, of: peer) { key -> Bool in
            guard let keyBase = key.baseAddress else { return false }
            return withUnsafeBytes(of: &mac1) { aad in
                XChaCha20Poly1305.open(
                    reply.part(Message.CookieReply.encryptedCookie, 32), nonce: base + Message.CookieReply.nonce,
                    authenticating: aad, key: keyBase, into: fresh.pointer)
            }
        }
        guard opened else { return false }
        cookie = consume fresh
        birth = now
        unansweredMAC1 = nil
        return true
    }
}

/// The two keys that anybody can derive from a public key (checklist C1, C3): H(label ‖ key).
enum DerivedKeys {
    enum Label {
        /// LABEL_MAC1.
        case mac1
        /// LABEL_COOKIE.
        case cookie

        fileprivate var text: StaticString {
            switch self {
            case .mac1: "mac1----"
            case .cookie: "cookie--"
            }
        }
    }

    static func withKey<Result>(_ label: Label, of key: PublicKey, _ body: (UnsafeRawBufferPointer) -> Result) -> Result
    {
        var derived = InlineArray<32, UInt8>(repeating: 0)
        return withUnsafeMutableBytes(of: &derived) { output in
            let text = UnsafeRawBufferPointer(start: label.text.utf8Start, count: label.text.utf8CodeUnitCount)
            if let base = output.baseAddress { key.withBytes { BLAKE2s.hash(text, $0, into: base) } }
            return body(UnsafeRawBufferPointer(output))
        }
    }
}
