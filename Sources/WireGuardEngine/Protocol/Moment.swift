import LinuxSystem

/// Now, on both clocks: ages and timers are measured on the boot clock; the wall clock is only for TAI64N and for
/// people (checklist T2, R9).
struct Moment: Equatable, Sendable {
    var boot: BootTime
    var wall: WallTime

    init(boot: BootTime, wall: WallTime) {
        self.boot = boot
        self.wall = wall
    }

    static var now: Moment { Moment(boot: .now, wall: .now) }
}
