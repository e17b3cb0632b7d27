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

    /// Insertions, deletions, replacements and swaps of neighbours (Damerau-Levenshtein, restricted).
    static func editDistance(_ left: [Unicode.Scalar], _ right: [Unicode.Scalar]) -> Int {
        var beforeLast: [Int] = []
        var last = Array(0...right.count)
        for row in left.indices {
            var current = [row + 1]
            for column in right.indices {
                var cost = last[column] + (left[row] == right[column] ? 0 : 1)
                cost = min(cost, last[column + 1] + 1, current[column] + 1)
                if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
                    cost = min(cost, beforeLast[column - 1] + 1)
                }
                current.append(cost)
            }
            beforeLast = last
            last = current
        }
        return last[right.count]
    }
}
