//! A disk that is soon full.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// What the balloon is made of.
const CHUNK: [u8; 4096] = [0x5a; 4096];

/// A file system in memory, unmounted when dropped.
pub(super) struct SmallDisk(TempDir);

impl SmallDisk {
    /// Of so many MiB; `None` for those who may not mount anything.
    pub(super) fn of(mebibytes: u32) -> Option<Self> {
        let directory = tempfile::Builder::new().prefix("mapae-disk-").tempdir().expect("a temporary directory");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m,mode=755"), "tmpfs"]).arg(directory.path());
        let mounted = mount.output().is_ok_and(|ended| ended.status.success());
        mounted.then(|| Self(directory))
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes up all that is free, and what becomes free.
    pub(super) fn fill(&self) {
        let file = File::options().append(true).create(true).open(self.0.path().join("balloon"));
        let mut balloon = file.expect("the disk has room for a name");
        while balloon.write_all(&CHUNK).is_ok() {}
    }

    /// Gives the room back.
    pub(super) fn free(&self) {
        std::fs::remove_file(self.0.path().join("balloon")).expect("it was filled");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Whatever is still open in it stays until it is closed.
        let unmounted = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
        if !std::thread::panicking() {
            assert!(unmounted.is_ok_and(|status| status.success()), "the disk cannot be unmounted");
        }
    }
}
