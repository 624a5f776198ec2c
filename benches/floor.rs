//! What nobody can go below: a program that reads an input, compresses the pages of a lake made of it, and writes them.
//!
//! `cargo bench --bench floor -- tasks.ndjson lake folder`: takes the lake's pages apart first, which is not timed, then does the three
//! with all cores and prints the wall and CPU seconds.

#![allow(clippy::unwrap_used, reason = "a benchmark that can't go on should stop")]

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Instant;

use parquet::file::reader::{FileReader, SerializedFileReader};
use rayon::prelude::*;
use taskloom::internals::file::{Encoding, LEAST_COMPRESSED_BYTES, compressed};

/// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect::<Vec<_>>();
    let [source, lake, folder] = arguments.as_slice() else {
        return eprintln!("usage: cargo bench --bench floor -- tasks.ndjson lake folder");
    };
    let files = data_files(Path::new(lake));
    let chunks = files.par_iter().map(|path| chunks_of(path)).collect::<Vec<_>>();
    std::fs::create_dir_all(folder).unwrap();
    let (start, cpu) = (Instant::now(), cpu_seconds());
    rayon::join(|| read(Path::new(source)), || compress_and_write(&chunks, Path::new(folder)));
    println!("{:.3} {:.3}", start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
}

fn data_files(lake: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![lake.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "parquet") {
                files.push(path);
            }
        }
    }
    files
}

/// The pages of each column chunk of a file, as they were before they were compressed.
fn chunks_of(path: &Path) -> Vec<Vec<Vec<u8>>> {
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    let mut chunks = Vec::new();
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group).unwrap();
        for column in 0..group.num_columns() {
            let mut pages = group.get_column_page_reader(column).unwrap();
            chunks.push(
                std::iter::from_fn(|| pages.get_next_page().unwrap()).map(|page| page.buffer().to_vec()).collect(),
            );
        }
    }
    chunks
}

fn read(source: &Path) {
    let (mut file, mut buffer) = (File::open(source).unwrap(), vec![0; 1 << 20]);
    while file.read(&mut buffer).unwrap() > 0 {}
}

fn compress_and_write(files: &[Vec<Vec<Vec<u8>>>], folder: &Path) {
    files.par_iter().enumerate().for_each(|(number, chunks)| {
        let mut bytes = Vec::new();
        for pages in chunks {
            let is_compressed = pages.iter().map(Vec::len).sum::<usize>() >= LEAST_COMPRESSED_BYTES;
            for page in pages {
                if is_compressed {
                    compressed(page, Encoding::usual_level(), |page| bytes.extend_from_slice(page)).unwrap();
                } else {
                    bytes.extend_from_slice(page);
                }
            }
        }
        std::fs::write(folder.join(number.to_string()), &bytes).unwrap();
    });
}

/// User and system time of this process, from `/proc/self/stat`, in hundredths of a second.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let behind_name = stat.rsplit_once(')').unwrap().1;
    let ticks = behind_name.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<f64>().unwrap());
    ticks.sum::<f64>() / 100.0
}
