//! What a process did to its files, and what a power cut may leave of it.

use std::collections::BTreeMap;
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
}

type Names = BTreeMap<PathBuf, usize>;

/// A file system that knows what is durable.
#[derive(Default)]
pub struct Disk {
    inodes: Vec<Inode>,
    names: Names,
    durable: Names,
}

impl Disk {
    /// A disk with one directory, which is durable.
    pub fn new(root: &Path) -> Self {
        let mut disk = Self::default();
        disk.add(root, true);
        disk.durable = disk.names.clone();
        disk
    }

    fn add(&mut self, path: &Path, is_dir: bool) {
        self.inodes.push(Inode {
            is_dir,
            ..Inode::default()
        });
        self.names.insert(path.to_owned(), self.inodes.len() - 1);
    }

    fn inode(&mut self, path: &Path) -> &mut Inode {
        let at = self.names[path];
        &mut self.inodes[at]
    }

    pub fn apply(&mut self, call: &Call) {
        match call {
            Call::Create(path) => self.add(path, false),
            Call::MakeDir(path) => self.add(path, true),
            Call::Write(path, offset, data) => {
                let bytes = &mut self.inode(path).bytes;
                let end = offset + data.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*offset..end].copy_from_slice(data);
            }
            Call::Truncate(path, length) => self.inode(path).bytes.resize(*length, 0),
            Call::Sync(path) => {
                let inode = self.inode(path);
                if inode.is_dir {
                    let inside = |name: &PathBuf| name.parent() == Some(path);
                    self.durable.retain(|name, _| !inside(name));
                    let names = self.names.iter().filter(|(name, _)| inside(name));
                    self.durable
                        .extend(names.map(|(name, at)| (name.clone(), *at)));
                } else {
                    inode.synced = inode.bytes.clone();
                }
            }
            Call::Rename(from, to) => {
                // A directory takes along what is in it, durable or not: that is by inode, not by name.
                for names in [&mut self.names, &mut self.durable] {
                    let moved: Vec<_> = names
                        .iter()
                        .filter(|(name, _)| name.starts_with(from) && *name != from)
                        .map(|(name, at)| (name.clone(), *at))
                        .collect();
                    for (name, at) in moved {
                        let new = to.join(name.strip_prefix(from).unwrap());
                        names.remove(&name);
                        names.insert(new, at);
                    }
                }
                let at = self.names.remove(from).unwrap();
                self.names.insert(to.clone(), at);
            }
            Call::Link(from, to) => {
                let at = self.names[from];
                self.names.insert(to.clone(), at);
            }
            Call::Remove(path) => {
                self.names.remove(path);
            }
        }
    }

    /// Puts what a power cut leaves into a directory that stands for `root`.
    pub fn restore(&self, root: &Path, cut: Cut, target: &Path) {
        let names = match cut {
            Cut::DropAll | Cut::DropNames => &self.durable,
            _ => &self.names,
        };
        fs::create_dir_all(target).unwrap();
        for (name, at) in names {
            let place = target.join(name.strip_prefix(root).unwrap());
            let inode = &self.inodes[*at];
            // Below a directory whose own name was lost nothing can be found.
            if !place.parent().unwrap().is_dir() && place != target {
                continue;
            }
            if inode.is_dir {
                fs::create_dir_all(&place).unwrap();
                continue;
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
            fs::write(&place, bytes).unwrap();
        }
    }
}
