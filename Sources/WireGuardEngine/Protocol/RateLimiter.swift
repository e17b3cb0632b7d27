import LinuxSystem

/// How many handshake messages with a valid cookie one source may send under load (checklist C7; kernel ratelimiter.c):
/// 20 a second, 5 at once, counted per IPv4 address or IPv6 /64. Control only.
///
/// The table is bounded: over the cap unknown sources are denied. Sources that were silent for a second are
/// forgotten at the next message, and all of them by `collect` when messages end.
struct RateLimiter {
    /// PACKET_COST.
    static let packetCost = ProtocolLimits.nanosecondsPerSecond / 20
    /// TOKEN_MAX.
    static let maximumTokens = packetCost * 5
    static let maximumSources = 65536

    private struct Source: Hashable {
        var isIPv6: Bool
        var network: UInt64
    }

    private struct Bucket {
        var tokens: UInt64
        var lastTime: BootTime
    }

    private var buckets: [Source: Bucket] = [:]
    private var nextCollection = BootTime(nanoseconds: 0)

    var sourceCount: Int { buckets.count }

    mutating func allow(_ path: DatagramPath, at now: BootTime) -> Bool {
        collect(at: now)
        let source = Source(isIPv6: path.isIPv6, network: path.isIPv6 ? path.remoteHigh : path.remoteLow)
        guard let bucket = buckets[source] else {
            guard buckets.count < RateLimiter.maximumSources else { return false }
            buckets[source] = Bucket(tokens: RateLimiter.maximumTokens - RateLimiter.packetCost, lastTime: now)
            return true
        }
        let tokens = min(
            RateLimiter.maximumTokens, bucket.tokens &+ min(now.since(bucket.lastTime), RateLimiter.maximumTokens))
        let allowed = tokens >= RateLimiter.packetCost
        buckets[source] = Bucket(tokens: allowed ? tokens - RateLimiter.packetCost : tokens, lastTime: now)
        return allowed
    }

    /// When `collect` has something to do; nil when the table is empty.
    var deadline: BootTime? { buckets.isEmpty ? nil : nextCollection }

    /// At most once a second: forgets who was silent for one.
    mutating func collect(at now: BootTime) {
        guard !buckets.isEmpty, now >= nextCollection else {
            if buckets.isEmpty { nextCollection = now.advanced(byNanoseconds: ProtocolLimits.nanosecondsPerSecond) }
            return
        }
        nextCollection = now.advanced(byNanoseconds: ProtocolLimits.nanosecondsPerSecond)
        let kept = buckets.filter { now.since($0.value.lastTime) <= ProtocolLimits.nanosecondsPerSecond }
        // A smaller dictionary, not the old one with holes.
        buckets = kept.isEmpty ? [:] : kept
    }
}
