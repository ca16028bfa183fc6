//! Files that are cut short while they are mapped: what readers see, and what is not ours to handle.

#![cfg(unix)]

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use mapping::{Mapping, Watch};

const LENGTH: usize = 4 << 20;

/// A watch tells of the tears of all mappings of the process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn mapped(path: &Path) -> Mapping {
    fs::write(path, vec![7; LENGTH]).unwrap();
    Mapping::of(path, &File::open(path).unwrap()).unwrap()
}

fn cut(path: &Path, length: u64) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_len(length).unwrap();
}

#[test]
fn what_a_file_has_lost_is_zero_and_told() {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let (path, other) = (dir.path().join("f"), dir.path().join("g"));
    let (mapping, whole) = (mapped(&path), mapped(&other));
    let before = Watch::begin();
    cut(&path, 1 << 20);
    assert!(mapping[..1 << 20].iter().all(|&byte| byte == 7));
    assert!(!mapping.is_torn());
    let during = Watch::begin();
    assert_eq!(mapping[(1 << 20) + 5], 0);
    assert!(mapping.is_torn() && !whole.is_torn());
    let torn = during.check().unwrap_err();
    assert_eq!(torn.path, path);
    assert!(torn.to_string().contains("cut it short"), "{torn}");
    assert_eq!(before.check(), during.check());
    assert!(mapping[1 << 20..].iter().all(|&byte| byte == 0));
    assert!(whole.iter().all(|&byte| byte == 7));
    drop(mapping);
    // A watch may ask when the mapping is gone.
    assert_eq!(during.check().unwrap_err().path, path);
    // Mappings made afterwards begin whole.
    assert!(!mapped(&path).is_torn());
}

#[test]
fn many_threads_read_while_files_are_cut_and_mappings_come_and_go() {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let (dir, ended) = (dir.path(), &ended);
            scope.spawn(move || {
                let path = dir.join(format!("{thread}"));
                for round in 0..40 {
                    let mapping = mapped(&path);
                    let watch = Watch::begin();
                    let length = round * (LENGTH as u64) / 40;
                    let cutter = scope.spawn({
                        let path = path.clone();
                        move || cut(&path, length)
                    });
                    let sum: u64 = mapping.iter().map(|&byte| u64::from(byte)).sum();
                    let right = sum == 7 * LENGTH as u64;
                    assert!(right || watch.check().is_err(), "round {round}");
                    assert!(right || mapping.is_torn());
                    cutter.join().unwrap();
                    let _ = mapping.iter().map(|&byte| u64::from(byte)).sum::<u64>();
                    assert!(mapping.is_torn() || length == LENGTH as u64);
                }
                ended.store(true, Ordering::Relaxed);
            });
        }
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                let path = dir.path().join("whole");
                assert!(mapped(&path).iter().all(|&byte| byte == 7));
            }
        });
    });
}

/// How a test ends that is run in a process of its own; nothing if this is that process.
fn end_of_child(name: &str) -> Option<ExitStatus> {
    if std::env::var_os("CHILD").is_some() {
        return None;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    let output = command.args(["--exact", name]).env("CHILD", "1").output();
    Some(output.unwrap().status)
}

#[test]
fn a_fault_in_the_memory_of_others_ends_the_process() {
    if let Some(end) = end_of_child("a_fault_in_the_memory_of_others_ends_the_process") {
        assert_eq!(end.signal(), Some(libc::SIGBUS));
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _ours = mapped(&dir.path().join("ours"));
    let path = dir.path().join("theirs");
    fs::write(&path, vec![7; LENGTH]).unwrap();
    // SAFETY: this process is about to end.
    let theirs = unsafe { memmap2::Mmap::map(&File::open(&path).unwrap()) }.unwrap();
    cut(&path, 0);
    std::hint::black_box(theirs[LENGTH / 2]);
}

#[test]
fn a_signal_that_was_sent_ends_the_process() {
    if let Some(end) = end_of_child("a_signal_that_was_sent_ends_the_process") {
        assert_eq!(end.signal(), Some(libc::SIGBUS));
        return;
    }
    // SAFETY: Rust's runtime has a handler for overflowing stacks, which swallows a signal that was sent; we do without it.
    unsafe { libc::signal(libc::SIGBUS, libc::SIG_DFL) };
    let dir = tempfile::tempdir().unwrap();
    let _ours = mapped(&dir.path().join("ours"));
    // SAFETY: a process may signal itself.
    unsafe { libc::raise(libc::SIGBUS) };
}

static SEEN: AtomicBool = AtomicBool::new(false);

extern "C" fn foreign(_: libc::c_int) {
    SEEN.store(true, Ordering::Relaxed);
}

#[test]
fn a_handler_that_was_there_before_is_called() {
    if let Some(end) = end_of_child("a_handler_that_was_there_before_is_called") {
        assert!(end.success(), "{end}");
        return;
    }
    let handler = foreign as extern "C" fn(libc::c_int);
    // SAFETY: the handler only writes to an atomic.
    unsafe { libc::signal(libc::SIGBUS, handler as *const () as libc::sighandler_t) };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ours");
    let ours = mapped(&path);
    cut(&path, 0);
    assert_eq!(ours[LENGTH / 2], 0);
    assert!(!SEEN.load(Ordering::Relaxed));
    // SAFETY: a process may signal itself.
    unsafe { libc::raise(libc::SIGBUS) };
    assert!(SEEN.load(Ordering::Relaxed));
}
