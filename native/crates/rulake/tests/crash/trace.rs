//! What a process did to its files, and what a power cut may leave of it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::shim;

/// Where a process that is traced has its lake.
const LAKE: &str = "RULAKE_CRASH_LAKE";

/// The lake to work on, in a process that is traced.
pub fn lake() -> Option<PathBuf> {
    std::env::var_os(LAKE).map(PathBuf::from)
}

/// Traces tests of this program.
pub struct Tracer {
    /// For whatever the tests need.
    pub scratch: TempDir,
    shim: PathBuf,
    /// How much longer an fsync may take.
    slow: Duration,
}

impl Tracer {
    /// Nothing without a C compiler.
    pub fn new(slow: Duration) -> Option<Self> {
        // A memory file system makes the thousand openings quick; what a power cut leaves is up to the model anyway.
        let memory = Path::new("/dev/shm");
        let scratch = if memory.is_dir() {
            tempfile::tempdir_in(memory).unwrap()
        } else {
            tempfile::tempdir().unwrap()
        };
        let shim = shim::compile("crash", scratch.path())?;
        Some(Self {
            scratch,
            shim,
            slow,
        })
    }

    /// What a test does in a process of its own, where [`lake`] is in this directory.
    pub fn run(&self, test: &str, root: &Path) -> Vec<Call> {
        let trace = self.scratch.path().join("trace");
        let _ = fs::remove_file(&trace);
        let done = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--include-ignored", test])
            .env("LD_PRELOAD", &self.shim)
            .env("RULAKE_TRACE_ROOT", root)
            .env("RULAKE_TRACE", &trace)
            .env("RULAKE_TRACE_SLOW", self.slow.as_micros().to_string())
            .env(LAKE, root.join("lake"))
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
        read(&trace)
    }
}

/// One call.
#[derive(Debug)]
pub enum Call {
    Create(PathBuf),
    MakeDir(PathBuf),
    Write(PathBuf, usize, Vec<u8>),
    Truncate(PathBuf, usize),
    Sync(PathBuf),
    Rename(PathBuf, PathBuf),
    Exchange(PathBuf, PathBuf),
    Link(PathBuf, PathBuf),
    Remove(PathBuf),
}

impl Call {
    /// Whether it writes to a file whose name ends so.
    pub fn is_write_to(&self, end_of_name: &str) -> bool {
        matches!(self, Self::Write(path, ..) if path.to_string_lossy().ends_with(end_of_name))
    }
}

/// Reads what the shim has noted.
fn read(path: &Path) -> Vec<Call> {
    let bytes = fs::read(path).unwrap();
    let mut rest = bytes.as_slice();
    let mut calls = Vec::new();
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap();
        let line = std::str::from_utf8(&rest[..end]).unwrap();
        rest = &rest[end + 1..];
        let (call, arguments) = line.split_once(' ').unwrap();
        let mut parts = arguments.split('\t');
        let path = PathBuf::from(parts.next().unwrap());
        let number = |text: Option<&str>| text.unwrap().parse::<usize>().unwrap();
        calls.push(match call {
            "create" => Call::Create(path),
            "mkdir" => Call::MakeDir(path),
            "write" => {
                let offset = number(parts.next());
                let (data, after) = rest.split_at(number(parts.next()));
                rest = after;
                Call::Write(path, offset, data.to_vec())
            }
            "truncate" => Call::Truncate(path, number(parts.next())),
            "sync" => Call::Sync(path),
            "rename" => Call::Rename(path, parts.next().unwrap().into()),
            "exchange" => Call::Exchange(path, parts.next().unwrap().into()),
            "link" => Call::Link(path, parts.next().unwrap().into()),
            "remove" => Call::Remove(path),
            other => panic!("unknown call {other}"),
        });
    }
    calls
}

/// What of the calls that were not synced reaches the disk before the power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Everything: as if only the process had died.
    KeepAll,
    /// Nothing: neither bytes nor names.
    DropAll,
    /// Names without the bytes behind them.
    DropBytes,
    /// Bytes, but no names.
    DropNames,
    /// Names, and half of the bytes a file has grown by.
    Tear,
    /// One of these for each file and directory.
    Mixed(usize),
}

impl Cut {
    /// What becomes of a file or directory.
    fn of(self, inode: usize) -> Self {
        let Self::Mixed(seed) = self else { return self };
        let mut hasher = DefaultHasher::new();
        (seed, inode).hash(&mut hasher);
        match hasher.finish() % 3 {
            0 => Self::KeepAll,
            1 => Self::DropAll,
            _ => Self::Tear,
        }
    }
}

/// All kinds; of the mixed ones any two.
pub fn cuts(seed: usize) -> [Cut; 7] {
    [
        Cut::KeepAll,
        Cut::DropAll,
        Cut::DropBytes,
        Cut::DropNames,
        Cut::Tear,
        Cut::Mixed(seed),
        Cut::Mixed(!seed),
    ]
}

#[derive(Clone, Default)]
struct Inode {
    is_dir: bool,
    bytes: Vec<u8>,
    /// Where it was written to since it was synced.
    dirty: Vec<Range<usize>>,
    synced: Vec<u8>,
    names: Names,
    durable: Names,
}

/// What is in a directory.
type Names = BTreeMap<OsString, usize>;

/// A file system that knows what is durable.
#[derive(Clone)]
pub struct Disk {
    root: PathBuf,
    /// The first is the root.
    inodes: Vec<Inode>,
}

impl Disk {
    /// A disk with one directory, which is durable.
    pub fn new(root: &Path) -> Self {
        let inode = Inode {
            is_dir: true,
            ..Inode::default()
        };
        Self {
            root: root.to_owned(),
            inodes: vec![inode],
        }
    }

    /// The same disk with its root elsewhere.
    pub fn mounted_at(&self, root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            ..self.clone()
        }
    }

    /// Nothing that was written and not synced will be, unless it is written again: what a failed fsync leaves.
    pub fn lose_dirty(&mut self) {
        for inode in &mut self.inodes {
            inode.dirty.clear();
        }
    }

    fn find(&self, path: &Path) -> usize {
        let relative = path.strip_prefix(&self.root).unwrap();
        relative
            .iter()
            .fold(0, |at, name| self.inodes[at].names[name])
    }

    /// The names a path's last part is one of, and that part.
    fn entry(&mut self, path: &Path) -> (&mut Names, OsString) {
        let directory = self.find(path.parent().unwrap());
        let name = path.file_name().unwrap().to_owned();
        (&mut self.inodes[directory].names, name)
    }

    fn put(&mut self, path: &Path, inode: usize) {
        let (names, name) = self.entry(path);
        names.insert(name, inode);
    }

    fn take(&mut self, path: &Path) -> usize {
        let (names, name) = self.entry(path);
        names.remove(&name).unwrap()
    }

    fn add(&mut self, path: &Path, is_dir: bool) {
        self.inodes.push(Inode {
            is_dir,
            ..Inode::default()
        });
        self.put(path, self.inodes.len() - 1);
    }

    pub fn apply(&mut self, call: &Call) {
        match call {
            Call::Create(path) => self.add(path, false),
            Call::MakeDir(path) => self.add(path, true),
            Call::Write(path, offset, data) => {
                let at = self.find(path);
                let bytes = &mut self.inodes[at].bytes;
                let end = offset + data.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*offset..end].copy_from_slice(data);
                self.inodes[at].dirty.push(*offset..end);
            }
            Call::Truncate(path, length) => {
                let at = self.find(path);
                self.inodes[at].bytes.resize(*length, 0);
            }
            Call::Sync(path) => {
                let at = self.find(path);
                let inode = &mut self.inodes[at];
                inode.synced.resize(inode.bytes.len(), 0);
                for range in inode.dirty.drain(..) {
                    let end = range.end.min(inode.bytes.len());
                    if let Some(bytes) = inode.bytes.get(range.start..end) {
                        inode.synced[range.start..end].copy_from_slice(bytes);
                    }
                }
                inode.durable = inode.names.clone();
            }
            Call::Rename(from, to) => {
                let inode = self.take(from);
                self.put(to, inode);
            }
            Call::Exchange(one, other) => {
                let (first, second) = (self.take(one), self.take(other));
                self.put(one, second);
                self.put(other, first);
            }
            Call::Link(from, to) => {
                let inode = self.find(from);
                self.put(to, inode);
            }
            Call::Remove(path) => {
                self.take(path);
            }
        }
    }

    /// Puts what a power cut leaves into a directory that stands for the root.
    pub fn restore(&self, cut: Cut, target: &Path) {
        self.restore_inode(0, cut, target);
    }

    fn restore_inode(&self, at: usize, cut: Cut, place: &Path) {
        let inode = &self.inodes[at];
        if inode.is_dir {
            fs::create_dir_all(place).unwrap();
            let names = match cut.of(at) {
                Cut::DropAll | Cut::DropNames => &inode.durable,
                _ => &inode.names,
            };
            for (name, at) in names {
                self.restore_inode(*at, cut, &place.join(name));
            }
            return;
        }
        let bytes = match cut.of(at) {
            Cut::KeepAll | Cut::DropNames => &inode.bytes,
            Cut::DropAll | Cut::DropBytes => &inode.synced,
            Cut::Tear => {
                let (old, new) = (inode.synced.len(), inode.bytes.len());
                let torn = if new > old {
                    old + (new - old) / 2
                } else {
                    new
                };
                &inode.bytes[..torn].to_vec()
            }
            Cut::Mixed(_) => unreachable!("it is one of the others"),
        };
        fs::write(place, bytes).unwrap();
    }
}
