//! Whole runs into a bucket that is some way off, beside the same runs on this disk: how long, and how many requests.
//!
//! `cargo bench --bench buckets` makes a lake of 404 MB of generated tasks, merges changed copies of 1 % of them into it, verifies it
//! and restores it; `-- tasks.ndjson changed.ndjson` does so with these files.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../tests/stand_in/mod.rs"]
#[allow(dead_code)]
mod stand_in;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use stand_in::{Options, StandIn};

/// A bucket of the same continent.
const LATENCY: Duration = Duration::from_millis(20);
const BYTES_PER_SECOND: u64 = 30_000_000;

fn main() {
    let words = std::env::args().skip(1).filter(|word| word != "--bench").collect::<Vec<_>>();
    let folder = std::env::var_os("TASKLOOM_BENCH_DIR").map(tempfile::tempdir_in);
    let folder = folder.unwrap_or_else(tempfile::tempdir).unwrap();
    let [tasks, changed] = &words.try_into().unwrap_or_else(|_| generated(folder.path()));
    let local = folder.path().join("lake").to_str().unwrap().to_owned();
    let server = StandIn::start(Options { latency: LATENCY, bytes_per_second: BYTES_PER_SECOND, ..Options::default() });
    println!("| what | disk | bucket | ratio | requests |\n| --- | --- | --- | --- | --- |");
    let steps: [(&str, &[&str]); 5] = [
        ("flatten", &["flatten", tasks, "--out"]),
        ("merge", &["flatten", changed, "--out"]),
        ("verify", &["verify"]),
        ("verify --deep", &["verify", "--deep"]),
        ("restore", &["restore"]),
    ];
    for (name, words) in steps {
        let disk = timed(words, &local, &[]);
        let before = server.requests();
        let bucket = timed(words, "s3://bucket/lake", &server.settings());
        let ratio = bucket.as_secs_f64() / disk.as_secs_f64();
        let requests = server.requests() - before;
        println!("| {name} | {disk:.2?} | {bucket:.2?} | {ratio:.2} | {requests} |");
    }
}

/// Files of tasks, and of changed copies of the last ones.
fn generated(folder: &Path) -> [String; 2] {
    let [tasks, changed] =
        ["tasks.ndjson", "changed.ndjson"].map(|name| folder.join(name).to_str().unwrap().to_owned());
    let mut command = Command::new(env!("CARGO_BIN_EXE_taskloom"));
    command.args(["generate", "--tasks", "20500", "--task-bytes", "20000", "--out", &tasks]);
    assert!(command.status().unwrap().success());
    let text = std::fs::read_to_string(&tasks).unwrap();
    let again = text.lines().rev().take(205).map(|task| task.replacen('{', "{\"again\": true, ", 1) + "\n");
    std::fs::write(&changed, again.collect::<String>()).unwrap();
    [tasks, changed]
}

fn timed(words: &[&str], lake: &str, settings: &[(String, String)]) -> Duration {
    let mut command = Command::new(env!("CARGO_BIN_EXE_taskloom"));
    command.args(words).arg(lake).stdout(Stdio::null());
    for (key, value) in settings {
        command.arg("--store-option").arg(format!("{key}={value}"));
    }
    let started = Instant::now();
    assert!(command.status().unwrap().success(), "{words:?} {lake}");
    started.elapsed()
}
