//! How many instructions the rooms take for a byte, counted by callgrind: `cargo bench --bench instructions`.
//!
//! A count does not depend on what else the machine does, so a change of a few per cent can be told from noise. What is counted is
//! the difference between three rounds and one, so that neither the start of the program nor the making of the data is in it. Each is
//! held against `benches/instructions.json`, if there is one: `UPDATE_COUNTS=1` writes it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a benchmark that can't go on should stop")]

mod common;

use std::collections::BTreeMap;
use std::process::{Command, ExitCode};

use common::{blocks, encode_tables, flatten_blocks, open_block};

/// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const COUNTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.json");
const ROOMS: [&str; 3] = ["open", "flatten", "encode"];
/// More than this times what was counted before is a step back.
const ALLOWED: f64 = 1.03;

fn main() -> ExitCode {
    match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [room, rounds] if ROOMS.contains(&room.as_str()) => {
            work(room, rounds.parse().unwrap());
            ExitCode::SUCCESS
        }
        _ => compare(),
    }
}

/// What is counted.
fn work(room: &str, rounds: usize) {
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let blocks = blocks();
    let batches = if room == "encode" { flatten_blocks(&blocks).finish().unwrap() } else { Vec::new() };
    for _ in 0..rounds {
        match room {
            "open" => _ = blocks.iter().map(open_block).sum::<usize>(),
            "flatten" => drop(flatten_blocks(&blocks)),
            _ => _ = one_thread.install(|| encode_tables(&batches)),
        }
    }
}

fn compare() -> ExitCode {
    let known: BTreeMap<String, f64> =
        std::fs::read(COUNTS).map_or_else(|_| BTreeMap::new(), |json| serde_json::from_slice(&json).unwrap());
    let bytes = blocks().iter().map(|block| block.input_bytes).sum::<u64>() as f64;
    let per_byte = |room: &str| (count(room, 3) - count(room, 1)) as f64 / 2.0 / bytes;
    let found = ROOMS.map(|room| (room.to_owned(), (per_byte(room) * 1000.0).round() / 1000.0));
    println!("| room | instructions a byte of JSON | before | ratio |\n| --- | --- | --- | --- |");
    let mut is_worse = false;
    for (room, count) in &found {
        let before = known.get(room).copied().unwrap_or(*count);
        is_worse |= *count > before * ALLOWED;
        println!("| {room} | {count:.2} | {before:.2} | {:.3} |", count / before);
    }
    if std::env::var_os("UPDATE_COUNTS").is_some() {
        let counts = serde_json::to_string_pretty(&BTreeMap::from(found)).unwrap();
        std::fs::write(COUNTS, counts + "\n").unwrap();
    } else if is_worse {
        eprintln!(
            "more than {ALLOWED} times the instructions of before: mend it, or write {COUNTS} anew with UPDATE_COUNTS=1"
        );
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Instructions of a process that does so many rounds.
fn count(room: &str, rounds: usize) -> u64 {
    let valgrind = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().unwrap())
        .args([room, &rounds.to_string()])
        .output()
        .unwrap_or_else(|error| panic!("expected valgrind to be installed (on Debian: apt install valgrind): {error}"));
    let said = String::from_utf8_lossy(&valgrind.stderr).into_owned();
    let counted = said.lines().find_map(|line| line.split_once("Collected : "));
    counted.unwrap_or_else(|| panic!("expected callgrind's count, found: {said}")).1.trim().parse().unwrap()
}
