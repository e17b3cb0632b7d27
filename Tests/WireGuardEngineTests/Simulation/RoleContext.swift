import CCoroutine

/// One role of one simulated device: a stack of its own, on which it works through a step and on which it stands
/// still wherever the scheduler wants it to.
final class RoleContext {
    private let coroutine: OpaquePointer
    private var work: (() -> Void)?

    /// It stands at an interleaving point, in the middle of a step.
    private(set) var isSuspended = false
    /// The device's progress when it found a lock taken, by a role that is suspended; nil when it can go on.
    var blockedAt: Int?
    /// The machine runs something else in its place until then.
    var heldUntil: UInt64 = 0

    init() {
        guard let coroutine = swg_coroutine_new() else { preconditionFailure("no memory for a stack") }
        self.coroutine = coroutine
    }

    deinit {
        precondition(!isSuspended, "a role was left in the middle of a step")
        swg_coroutine_free(coroutine)
    }

    /// Returns when the step is done, or suspended.
    func start(_ work: @escaping () -> Void) {
        self.work = work
        isSuspended = swg_coroutine_start(
            coroutine, { Unmanaged<RoleContext>.fromOpaque($0).takeUnretainedValue().runWork() },
            Unmanaged.passUnretained(self).toOpaque())
    }

    func resume() { isSuspended = swg_coroutine_resume(coroutine) }

    /// From inside the step.
    func suspend() { swg_coroutine_suspend(coroutine) }

    private func runWork() {
        work?()
        work = nil
    }
}
