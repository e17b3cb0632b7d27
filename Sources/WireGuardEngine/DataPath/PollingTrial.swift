import LinuxSystem

/// Finds out whether the peer's packets come faster when the loops look for them (`BusyPolling`).
///
/// Only an exchange, where each packet waits for the one before to come out on the other side, gets faster. So: while
/// packets come close to each other, the time that `samplePackets` wake-ups take asleep is compared with the time that
/// as many take awake. A clear gain lets the loops look until the next comparison; anything else makes them sleep at
/// once for a rest, which doubles with each failure in turn, as the time between comparisons doubles with each success.
/// Traffic of quite another pace than that of the failure need not wait for the rest's end.
/// So a stream that is no exchange costs at most a sample now and then, and one that is mistaken for an exchange, since
/// chance made its packets come faster just then, a tenth of a second.
///
/// Where a host takes processors away for a moment, some packets come late for no reason of their own, asleep as awake:
/// such a gap counts as one longest gap, so that it decides nothing and does not spoil the comparison either.
///
/// Called by rx after each sleep. Knows no clock but what it is told.
struct PollingTrial {
    /// Wake-ups of which the time is taken; fewer, and chance decides: packets that come at random, independently of each
    /// other, are mistaken for an exchange about once in thirty trials.
    static var samplePackets: Int { 128 }
    /// At first the other loop learns of it, and the packets on their way are still the old ones.
    static var warmUpPackets: Int { 16 }
    /// A longer one counts as this, and none begins a sample.
    static var longestGapNanoseconds: UInt64 { 1_000_000 }
    /// A longer gap is a pause of the traffic, and no packets about it are a sample.
    static var longestSampledGapNanoseconds: UInt64 { 10_000_000 }
    /// Slower ones would come after the looking has ended.
    static var longestSampleNanoseconds: UInt64 {
        UInt64(samplePackets) &* (BusyPolling.longestLookNanoseconds &+ 50_000)
    }
    /// Awake it must take at most four fifths of the time.
    static var gain: (numerator: UInt64, denominator: UInt64) { (4, 5) }
    static var shortestRestNanoseconds: UInt64 { 250_000_000 }
    static var longestRestNanoseconds: UInt64 { 4_000_000_000 }
    /// What other traffic waits at least, so that one that changes all the time costs little, too.
    static var shortestRestOfOthersNanoseconds: UInt64 { 500_000_000 }
    static var shortestGrantNanoseconds: UInt64 { 100_000_000 }
    static var longestGrantNanoseconds: UInt64 { 1_600_000_000 }

    private enum Phase {
        case resting
        case asleep
        case warmingUp
        case awake
        case granted
    }

    private var phase = Phase.resting
    private var last = BootTime(nanoseconds: 0)
    /// Of the sample that is being taken.
    private var remaining = 0
    private var sampleNanoseconds: UInt64 = 0
    /// Of the last one with sleep.
    private var asleepNanoseconds: UInt64 = 0
    /// Of the sample behind which looking failed.
    private var failedNanoseconds: UInt64 = 0
    private var othersMayTry = BootTime(nanoseconds: 0)
    /// Of the rest or the grant.
    private var end = BootTime(nanoseconds: 0)
    private var restNanoseconds = PollingTrial.shortestRestNanoseconds
    private var grantNanoseconds = PollingTrial.shortestGrantNanoseconds

    /// The loops should look before they sleep.
    var isLooking: Bool {
        switch phase {
        case .resting, .asleep: false
        case .warmingUp, .awake, .granted: true
        }
    }

    /// After each sleep of rx, however short.
    ///
    /// - Parameter isExhausted: looking was in vain too often.
    mutating func packetCame(at now: BootTime, isExhausted: Bool) {
        let gap = now.since(last)
        last = now
        switch phase {
        case .resting:
            if gap <= Self.longestGapNanoseconds, now >= min(end, othersMayTry) { beginSample(.asleep) }
        case .asleep:
            if gap > Self.longestSampledGapNanoseconds { return phase = .resting }
            guard endsSample(gap) else { return }
            asleepNanoseconds = sampleNanoseconds
            if asleepNanoseconds > Self.longestSampleNanoseconds { return phase = .resting }
            if now < end, !isOtherTraffic { return beginSample(.asleep) }
            beginSample(.warmingUp, packets: Self.warmUpPackets)
        case .warmingUp:
            if isExhausted { return rest(from: now) }
            if endsSample(gap) { beginSample(.awake) }
        case .awake:
            if isExhausted || gap > Self.longestSampledGapNanoseconds { return rest(from: now) }
            guard endsSample(gap) else { return }
            let isFaster = sampleNanoseconds &* Self.gain.denominator <= asleepNanoseconds &* Self.gain.numerator
            if isFaster { grant(from: now) } else { rest(from: now) }
        case .granted:
            // In vain now and then is no proof against what was proven, but a reason to look at it again.
            if isExhausted || now >= end { beginSample(.asleep) }
        }
    }

    private mutating func beginSample(_ next: Phase, packets: Int = samplePackets) {
        phase = next
        remaining = packets
        sampleNanoseconds = 0
    }

    private mutating func endsSample(_ gapNanoseconds: UInt64) -> Bool {
        sampleNanoseconds &+= min(gapNanoseconds, Self.longestGapNanoseconds)
        remaining &-= 1
        return remaining <= 0
    }

    /// Twice as fast as that for which looking failed, or half as fast.
    private var isOtherTraffic: Bool {
        asleepNanoseconds > failedNanoseconds &* 2 || asleepNanoseconds < failedNanoseconds / 2
    }

    private mutating func rest(from now: BootTime) {
        phase = .resting
        failedNanoseconds = asleepNanoseconds
        othersMayTry = now.advanced(byNanoseconds: Self.shortestRestOfOthersNanoseconds)
        end = now.advanced(byNanoseconds: restNanoseconds)
        restNanoseconds = min(restNanoseconds &* 2, Self.longestRestNanoseconds)
        grantNanoseconds = Self.shortestGrantNanoseconds
    }

    private mutating func grant(from now: BootTime) {
        phase = .granted
        // Twice in a row is no chance.
        if grantNanoseconds > Self.shortestGrantNanoseconds { restNanoseconds = Self.shortestRestNanoseconds }
        end = now.advanced(byNanoseconds: grantNanoseconds)
        grantNanoseconds = min(grantNanoseconds &* 2, Self.longestGrantNanoseconds)
    }
}
