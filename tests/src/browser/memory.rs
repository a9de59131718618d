//! What the page's process has taken of the machine's memory.

use std::collections::HashMap;
use std::fs;

use super::{Browser, Make};

impl Browser {
    /// The most bytes of memory that the process of the page has had at a
    /// time: those of the page and of its workers. None where the system does
    /// not say.
    #[must_use]
    pub fn peak_memory(&self) -> Option<u64> {
        let profile = self.profile.path().to_string_lossy().into_owned();
        let processes = processes()?;
        let ours = |mut id: u32| {
            loop {
                let process = processes.get(&id)?;
                if process.command.contains(&profile) {
                    return Some(());
                }
                id = process.parent;
            }
        };
        let pages = processes.iter().filter(|(id, process)| {
            let page = process.command.contains("--type=renderer");
            self.make == Make::Chromium && page && ours(**id).is_some()
        });
        pages.filter_map(|(_, process)| process.peak).max()
    }
}

struct Process {
    parent: u32,
    command: String,
    peak: Option<u64>,
}

/// Every process there is.
fn processes() -> Option<HashMap<u32, Process>> {
    let all = fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| {
        let id: u32 = entry.file_name().to_str()?.parse().ok()?;
        let status = fs::read_to_string(entry.path().join("status")).ok()?;
        let number = |field: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(field))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        let command = fs::read(entry.path().join("cmdline")).ok()?;
        let process = Process {
            parent: number("PPid:")? as u32,
            command: String::from_utf8_lossy(&command).into_owned(),
            peak: number("VmHWM:").map(|kilobytes| 1024 * kilobytes),
        };
        Some((id, process))
    });
    Some(all.collect())
}
