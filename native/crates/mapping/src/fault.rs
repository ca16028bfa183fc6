//! The handler of SIGBUS.

use std::mem::MaybeUninit;
use std::sync::OnceLock;

use libc::{c_int, c_void, siginfo_t};

use crate::slots;

/// What handled the signal before.
static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();

static PAGE: OnceLock<usize> = OnceLock::new();

/// Handles SIGBUS from the first call on. Where the system refuses, the signal does what it did.
pub(crate) fn install() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        // SAFETY: neither call has requirements, and the second one fills in what it is given.
        unsafe {
            PAGE.get_or_init(|| usize::try_from(libc::sysconf(libc::_SC_PAGESIZE)).unwrap_or(4096));
            let mut before = MaybeUninit::<libc::sigaction>::zeroed();
            if libc::sigaction(libc::SIGBUS, std::ptr::null(), before.as_mut_ptr()) != 0 {
                return;
            }
            // Before the handler can be called.
            BEFORE.get_or_init(|| before.assume_init());
        }
        // SAFETY: all zeros is a valid action, the handler has the type that `SA_SIGINFO` says, and it only does what a
        // handler may: atomics, `mmap`, `sigaction`.
        unsafe {
            let mut action: libc::sigaction = MaybeUninit::zeroed().assume_init();
            action.sa_sigaction = handle as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
            libc::sigemptyset(&raw mut action.sa_mask);
            libc::sigaction(libc::SIGBUS, &raw const action, std::ptr::null_mut());
        }
    });
}

extern "C" fn handle(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes valid information to a handler with `SA_SIGINFO`.
    let (code, address) = unsafe { ((*info).si_code, (*info).si_addr().addr()) };
    // Somebody may have sent the signal; then there is no address.
    let is_fault = code > 0;
    if !is_fault || !replace(address) {
        pass_on(is_fault, signal, info, context);
    }
}

/// Puts zeros in the place of a page and all after it that belong to the same mapping. `false` if it belongs to none, or
/// there is no memory.
fn replace(address: usize) -> bool {
    let page = PAGE.get().copied().unwrap_or(4096);
    let start = address / page * page;
    let found = slots::all().find_map(|slot| slot.end_of(address).map(|end| (slot, end)));
    let Some((slot, end)) = found else {
        return false;
    };
    slot.tear_now();
    let length = (end - start).next_multiple_of(page);
    // SAFETY: the range lies inside a mapping that is alive, since it is being read; it is only ever read.
    let placed = unsafe {
        libc::mmap(
            std::ptr::with_exposed_provenance_mut(start),
            length,
            libc::PROT_READ,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
            -1,
            0,
        )
    };
    placed != libc::MAP_FAILED
}

/// Does what would have been done without this handler.
fn pass_on(is_fault: bool, signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let Some(before) = BEFORE.get() else {
        return;
    };
    let handler = before.sa_sigaction;
    if handler == libc::SIG_IGN && !is_fault {
        return;
    }
    if handler == libc::SIG_DFL || handler == libc::SIG_IGN {
        // The instruction is tried again when this returns, or the signal comes again, and the process ends as it would have.
        // SAFETY: the action comes from the system itself, and a handler may raise a signal.
        unsafe {
            libc::sigaction(signal, &raw const *before, std::ptr::null_mut());
            if !is_fault {
                libc::raise(signal);
            }
        }
    } else if before.sa_flags & libc::SA_SIGINFO != 0 {
        // SAFETY: the flag says that the handler has this type.
        let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) =
            unsafe { std::mem::transmute(handler) };
        handler(signal, info, context);
    } else {
        // SAFETY: without the flag, a handler has this type.
        let handler: extern "C" fn(c_int) = unsafe { std::mem::transmute(handler) };
        handler(signal);
    }
}
