import LinuxSystem

/// Finds out whether the peer's packets come faster when the loops look for them (`BusyPolling`).
///
/// Only an exchange, where each packet waits for the one before to come out on the other side, gets faster. So: while
/// packets come close to each other, the time that `samplePackets` wake-ups take asleep is compared with the time that
/// as many take awake. A clear gain lets the loops look until the next comparison; anything else makes them sleep at
/// once for a rest, which doubles with each failure in turn, as the time between comparisons doubles with each success.
/// Traffic of quite another pace than that of the failure, or with many more or fewer bytes to each packet that comes,
/// need not wait for the rest's end; an exchange behind a stream is of the second kind at least, and begins afresh.
/// Whatever comes, a failure is followed by ten times the time that it took.
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
    /// Awake it must take at most four fifths of the time, and nine tenths where it has just been found to.
    static var gain: (numerator: UInt64, denominator: UInt64) { (4, 5) }
    static var lastingGain: (numerator: UInt64, denominator: UInt64) { (9, 10) }
    static var shortestRestNanoseconds: UInt64 { 250_000_000 }
    static var longestRestNanoseconds: UInt64 { 4_000_000_000 }
    /// What other traffic waits at least, so that one that changes all the time costs little, too.
    static var shortestRestOfOthersNanoseconds: UInt64 { 100_000_000 }
    /// And if only its pace is another: one that gets faster by itself just then is taken for an exchange.
    static var shortestRestOfOtherPaceNanoseconds: UInt64 { 500_000_000 }
    /// A rest is at least so many times as long as the looking that failed.
    static var restPerCost: UInt64 { 10 }
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
    private var bytesBefore: UInt64 = 0
    /// Of the last one with sleep.
    private var asleepNanoseconds: UInt64 = 0
    private var asleepBytes: UInt64 = 0
    /// Of the sample behind which looking failed.
    private var failedNanoseconds: UInt64 = 0
    private var failedBytes: UInt64 = 0
    /// When looking began.
    private var begin = BootTime(nanoseconds: 0)
    private var othersMayTry = BootTime(nanoseconds: 0)
    private var otherPaceMayTry = BootTime(nanoseconds: 0)
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
    /// - Parameters:
    ///   - movedBytes: all that both loops have moved so far.
    ///   - isExhausted: looking was in vain too often.
    mutating func packetCame(at now: BootTime, movedBytes: UInt64, isExhausted: Bool) {
        let gap = now.since(last)
        last = now
        switch phase {
        case .resting:
            if gap <= Self.longestGapNanoseconds, now >= min(end, othersMayTry) { beginSample(.asleep, movedBytes) }
        case .asleep:
            if gap > Self.longestSampledGapNanoseconds { return phase = .resting }
            guard endsSample(gap) else { return }
            asleepNanoseconds = sampleNanoseconds
            asleepBytes = movedBytes &- bytesBefore
            if asleepNanoseconds > Self.longestSampleNanoseconds { return phase = .resting }
            if hasOtherBytes {
                restNanoseconds = Self.shortestRestNanoseconds
            } else if now < end, !hasOtherPace || now < otherPaceMayTry {
                return beginSample(.asleep, movedBytes)
            }
            begin = now
            beginSample(.warmingUp, movedBytes, packets: Self.warmUpPackets)
        case .warmingUp:
            if isExhausted { return rest(from: now) }
            if endsSample(gap) { beginSample(.awake, movedBytes) }
        case .awake:
            if isExhausted || gap > Self.longestSampledGapNanoseconds { return rest(from: now) }
            guard endsSample(gap) else { return }
            let gain = grantNanoseconds > Self.shortestGrantNanoseconds ? Self.lastingGain : Self.gain
            let isFaster = sampleNanoseconds &* gain.denominator <= asleepNanoseconds &* gain.numerator
            if isFaster { grant(from: now) } else { rest(from: now) }
        case .granted:
            // In vain now and then is no proof against what was proven, but a reason to look at it again.
            if isExhausted || now >= end { beginSample(.asleep, movedBytes) }
        }
    }

    private mutating func beginSample(_ next: Phase, _ movedBytes: UInt64, packets: Int = samplePackets) {
        phase = next
        bytesBefore = movedBytes
        remaining = packets
        sampleNanoseconds = 0
    }

    private mutating func endsSample(_ gapNanoseconds: UInt64) -> Bool {
        sampleNanoseconds &+= min(gapNanoseconds, Self.longestGapNanoseconds)
        remaining &-= 1
        return remaining <= 0
    }

    /// Twice as fast as that for which looking failed, or half as fast.
    private var hasOtherPace: Bool {
        asleepNanoseconds > failedNanoseconds &* 2 || asleepNanoseconds < failedNanoseconds / 2
    }

    /// A stream's packets come in trains, at its receiver, or are answers to trains that go.
    private var hasOtherBytes: Bool { asleepBytes > failedBytes &* 4 || asleepBytes < failedBytes / 4 }

    private mutating func rest(from now: BootTime) {
        phase = .resting
        failedNanoseconds = asleepNanoseconds
        failedBytes = asleepBytes
        let least = now.since(begin) &* Self.restPerCost
        othersMayTry = now.advanced(byNanoseconds: max(Self.shortestRestOfOthersNanoseconds, least))
        otherPaceMayTry = now.advanced(byNanoseconds: max(Self.shortestRestOfOtherPaceNanoseconds, least))
        end = now.advanced(byNanoseconds: max(restNanoseconds, least))
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
