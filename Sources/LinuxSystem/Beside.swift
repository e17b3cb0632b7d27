import Glibc

/// Runs `other` on a thread of its own while `body` runs here, and waits for both: for two things that wait for the
/// kernel or for another program, and not for each other. Without a thread to be had, one after the other.
///
/// Signals stay with the calling thread.
public func beside<Other: Sendable, Value, Failure: Error>(
    _ other: () -> Other, _ body: () throws(Failure) -> Value
) throws(Failure) -> (other: Other, value: Value) {
    let box = OtherResult<Other>()
    // The thread is joined before this function returns: the closure does not escape in truth.
    return try withoutActuallyEscaping({ () -> Void in box.value = other() }) { work throws(Failure) in
        let argument = Unmanaged.passRetained(OtherWork(work))
        defer { argument.release() }
        var before = sigset_t()
        var all = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &before)
        var thread = pthread_t()
        let isRunning =
            pthread_create(
                &thread, nil,
                { argument in
                    if let argument { Unmanaged<OtherWork>.fromOpaque(argument).takeUnretainedValue().run() }
                    return nil
                }, argument.toOpaque()) == 0
        pthread_sigmask(SIG_SETMASK, &before, nil)
        if !isRunning { work() }
        let value: Value
        do throws(Failure) {
            value = try body()
        } catch {
            if isRunning { pthread_join(thread, nil) }
            throw error
        }
        if isRunning { pthread_join(thread, nil) }
        guard let other = box.value else { preconditionFailure("a thread ended without a value") }
        return (other, value)
    }
}

/// Takes the result from one thread to the other; pthread_join orders the two.
private final class OtherResult<Value> {
    var value: Value?
}

private final class OtherWork {
    let run: () -> Void
    init(_ run: @escaping () -> Void) { self.run = run }
}
