//! Which threads have the CPU first.

/// Puts the calling thread behind the event loop and searches.
pub fn yield_to_others() {
    set(10, MIDDLE);
}

/// Puts the calling thread behind everything else.
pub fn yield_to_all() {
    set(19, MIDDLE);
}

/// Has the calling thread, which must never run for longer than a moment, run as soon as it wakes up: always, where the
/// process may have threads of real time, else mostly.
#[cfg(target_os = "linux")]
pub fn go_first() {
    let lowest = libc::sched_param { sched_priority: 1 };
    // SAFETY: the call reads the parameters; 0 stands for the calling thread. A refusal changes nothing.
    if unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const lowest) } != 0 {
        set(0, SHORT);
    }
}

/// Nanoseconds a thread may run before the next one does. Before it has, the kernel protects it, and asks again only when
/// something happens, as by the pulse: a long slice of a thread that waited for the CPU holds up the event loop. At a
/// low priority a slice weighs nine times as much, so the event loop's (1.4 ms on two cores) still ends before one of .5 ms.
/// The kernel heeds the length of slices from Linux 6.12 on; older ones take no notice.
const MIDDLE: u64 = 500_000;
#[cfg(target_os = "linux")]
const SHORT: u64 = 100_000;

#[cfg(not(target_os = "linux"))]
fn set(_nice: i32, _slice: u64) {}

#[cfg(target_os = "linux")]
fn set(nice: i32, slice: u64) {
    let attributes = libc::sched_attr {
        size: size_of::<libc::sched_attr>() as u32,
        sched_policy: libc::SCHED_OTHER as u32,
        sched_flags: 0,
        sched_nice: nice,
        sched_priority: 0,
        sched_runtime: slice,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: `sched_setattr` reads the attributes. 0 stands for the calling thread, in `setpriority` as well
    // (setpriority(2), "C library/kernel differences"); a refusal leaves the priority as it is.
    unsafe {
        if libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) != 0 {
            libc::setpriority(libc::PRIO_PROCESS, 0, nice);
        }
    }
}
