import CLinux
import Glibc

/// How long the calling thread wants to run at a time (sched(7), sched_setattr(2)).
public enum TimeSlice {
    /// Asks for short turns: whoever asks for less is let in sooner after a wake-up, at the same share of the CPU. Any
    /// thread may ask. Linux 6.12 and newer; an older kernel ignores it, and so does a policy that has no such turns.
    public static func request(nanoseconds: UInt64) {
        // Policy, nice value and flags stay as they are: they are the administrator's.
        var attributes = swg_sched_attributes()
        guard swg_sched_getattr(&attributes) == 0,
            attributes.policy == SCHED_OTHER || attributes.policy == SCHED_BATCH
        else { return }
        attributes.runtime = nanoseconds
        swg_sched_setattr(&attributes)
    }
}
