import Glibc

/// The one place where a system call's answer becomes a value or an error.
///
/// EINTR is retried. EFAULT is a bug of ours and stops the program: going on with a wrong pointer is worse.
///
/// - Parameters:
///   - call: the call's name for the error.
///   - object: what it is applied to; evaluated only on failure.
@discardableResult
@inlinable
public func systemCall<Result: SignedInteger>(
    _ call: StaticString, _ object: @autoclosure () -> String = "", _ body: () -> Result
) throws(SystemError) -> Result {
    while true {
        let result = body()
        if result >= 0 { return result }
        let error = Errno.current
        if error.rawValue == EINTR { continue }
        precondition(error.rawValue != EFAULT, "a system call was given a wrong pointer")
        throw SystemError(call: "\(call)", object: object(), errno: error)
    }
}

/// As `systemCall`, with "would block" as a value (`nil`): on a non-blocking descriptor it is no error.
@inlinable
public func systemCallUnlessBlocked<Result: SignedInteger>(
    _ call: StaticString, _ object: @autoclosure () -> String = "", _ body: () -> Result
) throws(SystemError) -> Result? {
    while true {
        let result = body()
        if result >= 0 { return result }
        let error = Errno.current
        if error.rawValue == EINTR { continue }
        if error.rawValue == EAGAIN { return nil }
        precondition(error.rawValue != EFAULT, "a system call was given a wrong pointer")
        throw SystemError(call: "\(call)", object: object(), errno: error)
    }
}
