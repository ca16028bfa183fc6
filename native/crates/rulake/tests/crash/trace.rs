//! What a process did to its files, and what a power cut may leave of it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

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

/// Reads what the shim has noted.
pub fn read(path: &Path) -> Vec<Call> {
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
}

pub const CUTS: [Cut; 5] = [
    Cut::KeepAll,
    Cut::DropAll,
    Cut::DropBytes,
    Cut::DropNames,
    Cut::Tear,
];

#[derive(Default)]
struct Inode {
    is_dir: bool,
    bytes: Vec<u8>,
    synced: Vec<u8>,
    names: Names,
    durable: Names,
}

/// What is in a directory.
type Names = BTreeMap<OsString, usize>;

/// A file system that knows what is durable.
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
            }
            Call::Truncate(path, length) => {
                let at = self.find(path);
                self.inodes[at].bytes.resize(*length, 0);
            }
            Call::Sync(path) => {
                let at = self.find(path);
                let inode = &mut self.inodes[at];
                inode.synced = inode.bytes.clone();
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
            let names = match cut {
                Cut::DropAll | Cut::DropNames => &inode.durable,
                _ => &inode.names,
            };
            for (name, at) in names {
                self.restore_inode(*at, cut, &place.join(name));
            }
            return;
        }
        let bytes = match cut {
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
        };
        fs::write(place, bytes).unwrap();
    }
}
