import WireGuardConfig

/// Whether a key that is not ours was meant to be ours.
///
/// JSON configuration forgives unknown keys, so `configdir` or `exhaustedIsRedy` would silently mean nothing. A
/// key that differs from one of ours only in case, or in up to two letters, is taken for a slip.
public enum KeySpelling {
    /// The key of ours that `key` was meant to be, or nil when it is somebody else's.
    public static func intended(by key: String, among ours: [String]) -> String? {
        let given = Array(key.lowercased().unicodeScalars)
        var best: (name: String, distance: Int)?
        for name in ours {
            let wanted = Array(name.lowercased().unicodeScalars)
            // Short words are near each other by nature: "mac" is no slip for "mtu".
            let allowed = max(1, min(2, wanted.count / 3))
            guard abs(given.count - wanted.count) <= allowed else { continue }
            let distance = editDistance(given, wanted)
            if distance <= allowed, distance < best?.distance ?? .max { best = (name, distance) }
        }
        return best?.name
    }
}
