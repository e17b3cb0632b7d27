import Glibc
import LinuxSystem

/// Who waits for the engine to be ready: the process that started us in the background, and SWG_READY_FD.
/// Each hears once: `ready\n`, or the reason why not.
final class Readiness {
    private var descriptors: [Int32]

    /// Takes the numbers over.
    init(_ descriptors: [Int32]) { self.descriptors = descriptors }

    deinit { for number in descriptors { close(number) } }

    func succeed() { tell("ready\n") }
    func fail(_ reason: String) { tell("\(reason)\n") }

    private func tell(_ text: String) {
        for number in descriptors {
            _ = text.utf8.withContiguousStorageIfAvailable { write(number, $0.baseAddress, $0.count) }
            close(number)
        }
        descriptors = []
    }
}
