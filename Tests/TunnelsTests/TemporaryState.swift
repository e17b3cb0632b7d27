import Glibc

@testable import Tunnels

/// A state directory of its own for one test, removed with the value.
final class TemporaryState {
    let state: StateDirectory

    init() {
        var template = Array("/tmp/swg-tests-XXXXXX".utf8CString)
        let path = mkdtemp(&template).map { String(cString: $0) } ?? "/tmp/swg-tests"
        state = StateDirectory(path: "\(path)/state")
    }

    var root: String { String(state.path.dropLast("/state".count)) }

    deinit {
        nftw(
            root, { path, _, _, _ in path.map { remove($0) } ?? 0 }, 16, Int32(FTW_DEPTH) | Int32(FTW_PHYS))
    }
}
