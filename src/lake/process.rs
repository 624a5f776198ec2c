//! Whether a process of this machine lives: one that does not needs no lease to run out.

use std::fs;

use serde::{Deserialize, Serialize};

/// A process, told from every other one that this machine has had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Process {
    /// The boot of the machine, and the space in which process ids mean something.
    machine: String,
    /// When it was started, in ticks since that boot.
    ticks: u64,
}

impl Process {
    /// This one; `None` where the system does not tell.
    pub(super) fn own() -> Option<Process> {
        Some(Process { machine: machine()?, ticks: ticks(std::process::id())? })
    }

    /// True where it was one of this machine and is there no more, so far as its id tells. A space of ids is gone when all its processes
    /// are.
    pub(super) fn is_gone(&self, id: u32) -> bool {
        machine().is_some_and(|machine| machine == self.machine) && ticks(id) != Some(self.ticks)
    }
}

fn machine() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let space = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", boot.trim(), space.to_str()?))
}

/// The 22nd word of `/proc/<id>/stat`; the second one is a name in parentheses, which may hold anything.
fn ticks(id: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, behind_name) = stat.rsplit_once(") ")?;
    behind_name.split(' ').nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_is_known_by_its_start_and_gone_when_it_ended() {
        let own = Process::own().unwrap();
        let id = std::process::id();
        assert!(!own.is_gone(id));
        // Another process with the same id, and one on another machine, of which nothing is known here.
        assert!(Process { ticks: own.ticks + 1, ..own.clone() }.is_gone(id));
        assert!(!Process { machine: "elsewhere".to_owned(), ticks: 0 }.is_gone(id));
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let of_child = Process { ticks: ticks(child.id()).unwrap(), ..own };
        assert!(!of_child.is_gone(child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(of_child.is_gone(child.id()));
    }
}
