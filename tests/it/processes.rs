//! Whole processes that are killed, stopped, meet each other, or may not write.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use taskloom::internals::lake::Lake;

use crate::lakes::{findings, restored, restored_or_none, running, taskloom};
use crate::merges::task;
use crate::stores::input;

/// How often a run is killed: more in `make soak`.
fn kills() -> usize {
    std::env::var("TASKLOOM_KILLS").map_or(100, |kills| kills.parse().unwrap())
}

#[test]
fn a_process_that_is_killed_at_any_instant_shows_all_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (input(folder.path(), 6, 60), input(folder.path(), 7, 60));
    let [whole, other] = [&first, &second].map(|input| {
        let lake = folder.path().join("undisturbed").join(input.file_stem().unwrap());
        taskloom().arg("flatten").arg(input).arg("--out").arg(&lake).assert().success();
        restored(&Lake::open(&lake).unwrap())
    });
    let started = std::time::Instant::now();
    let usual = folder.path().join("usual");
    taskloom().arg("flatten").arg(&first).arg("--out").arg(&usual).assert().success();
    let usual = started.elapsed();
    for kill in 0..kills() {
        let lake = folder.path().join(format!("lake{kill}"));
        let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin("taskloom"));
        command.arg("flatten").arg(&first).arg("--out").arg(&lake).arg("--work-dir").arg(folder.path());
        let mut process = command.stdout(std::process::Stdio::null()).spawn().unwrap();
        // Spread over the run; and, every other time, over the time between the record and the last log.
        let share = f64::from(kill as u32 * 37 % 100) / 100.0;
        if kill % 2 == 0 {
            std::thread::sleep(usual.mul_f64(share));
        } else {
            let record = lake.join("_taskloom/commits/00000000000000000001.json");
            while !record.exists() && process.try_wait().unwrap().is_none() {
                std::hint::spin_loop();
            }
            std::thread::sleep(std::time::Duration::from_millis(20).mul_f64(share));
        }
        process.kill().unwrap();
        process.wait().unwrap();
        let now = Lake::open(&lake).ok().and_then(|lake| restored_or_none(&lake));
        assert!(now.is_none() || now.as_ref() == Some(&whole), "kill {kill}");
        let mut next = taskloom();
        next.arg("flatten").arg(&second).arg("--out").arg(&lake);
        if now.is_some() {
            next.arg("--overwrite");
        }
        next.assert().success();
        assert_eq!(restored(&Lake::open(&lake).unwrap()), other, "kill {kill}");
        assert_eq!(running(&lake), 0);
        std::fs::remove_dir_all(&lake).unwrap();
    }
}

#[test]
fn a_merge_that_is_killed_at_any_instant_leaves_the_old_version_or_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let written = |name: &str, ids: std::ops::Range<u8>, content: u8| {
        let input = folder.path().join(name);
        let tasks = ids.map(|id| format!("{}\n", task(id, id % 6, content)));
        fs::write(&input, tasks.collect::<String>()).unwrap();
        input
    };
    let (old, new) = (written("old.ndjson", 0..60, 1), written("new.ndjson", 30..90, 2));
    let flatten = |input: &Path, lake: &Path| {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin("taskloom"));
        command.arg("flatten").arg(input).arg("--out").arg(lake).stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let usual = folder.path().join("usual");
    assert!(flatten(&old, &usual).status().unwrap().success());
    let before = restored(&Lake::open(&usual).unwrap());
    let started = std::time::Instant::now();
    assert!(flatten(&new, &usual).status().unwrap().success());
    let duration = started.elapsed();
    let merged = restored(&Lake::open(&usual).unwrap());
    assert_eq!((before.len(), merged.len()), (60, 90));
    let mut interrupted = 0;
    for kill in 0..kills() / 2 {
        let lake = folder.path().join(format!("lake{kill}"));
        assert!(flatten(&old, &lake).status().unwrap().success());
        let mut process = flatten(&new, &lake).spawn().unwrap();
        std::thread::sleep(duration.mul_f64(f64::from(kill as u32 * 37 % 100) / 100.0));
        process.kill().unwrap();
        process.wait().unwrap();
        let now = restored(&Lake::open(&lake).unwrap());
        assert!(now == before || now == merged, "kill {kill}");
        interrupted += u32::from(now == before);
        assert!(flatten(&new, &lake).status().unwrap().success());
        // Behind one that committed there is nothing new; its traces go all the same.
        let lake = Lake::open(&lake).unwrap();
        assert_eq!(restored(&lake), merged, "kill {kill}");
        assert_eq!(findings(&lake), [], "kill {kill}");
        assert_eq!(running(lake.place()), 0);
        fs::remove_dir_all(lake.place()).unwrap();
    }
    assert!(interrupted > 0);
}

/// A run of the program that waits for its input, once it says in the lake that it is there.
fn begun(lake: &Path, overwrites: bool) -> Child {
    let before = running(lake);
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("taskloom"));
    command.args(["flatten", "-", "--quiet", "--work-dir"]).arg(env!("CARGO_TARGET_TMPDIR")).arg("--out").arg(lake);
    command.args(overwrites.then_some("--overwrite"));
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while running(lake) == before {
        assert!(process.try_wait().unwrap().is_none(), "it ended before it began");
        std::thread::yield_now();
    }
    process
}

/// Gives a run its input, and says how it ended.
fn fed(mut process: Child, input: &Path) -> i32 {
    let mut stdin = process.stdin.take().unwrap();
    stdin.write_all(&fs::read(input).unwrap()).unwrap();
    drop(stdin);
    process.wait().unwrap().code().unwrap()
}

/// Makes runs look as if they had never said that they are there.
fn forget_who_runs(lake: &Path) {
    for entry in fs::read_dir(lake.join("_taskloom/running")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
}

#[test]
fn of_two_processes_that_replace_a_version_one_commits_and_of_two_that_merge_both() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two] = [8, 9].map(|seed| input(folder.path(), seed, 20));
    for overwrites in [false, true] {
        for is_first_faster in [false, true] {
            let lake = folder.path().join(format!("lake-{overwrites}-{is_first_faster}"));
            if overwrites {
                taskloom().arg("flatten").arg(input(folder.path(), 10, 3)).arg("--out").arg(&lake).assert().success();
            }
            let first = begun(&lake, overwrites);
            // Who sees that another is there does not even begin.
            let beside = taskloom().arg("flatten").arg(&two).arg("--overwrite").arg("--out").arg(&lake).assert();
            let told = String::from_utf8(beside.code(4).get_output().stderr.clone()).unwrap();
            assert!(told.contains("another run is writing"), "{told}");
            forget_who_runs(&lake);
            let second = begun(&lake, overwrites);
            let others = if overwrites { vec![] } else { ids(if is_first_faster { &two } else { &one }) };
            let ends = match is_first_faster {
                true => [fed(first, &one), fed(second, &two)],
                false => {
                    let second = fed(second, &two);
                    [fed(first, &one), second]
                }
            };
            // Who replaces all gives up behind another's commit; who merges goes on behind it.
            let loser = if overwrites { 4 } else { 0 };
            assert_eq!(ends, if is_first_faster { [0, loser] } else { [loser, 0] });
            let now = Lake::open(&lake).unwrap();
            assert_eq!(findings(&now), []);
            let winner = if is_first_faster { &one } else { &two };
            let expected = ids(winner).into_iter().chain(others).collect::<BTreeSet<_>>();
            assert_eq!(restored(&now).into_keys().collect::<BTreeSet<_>>(), expected);
        }
    }
}

fn ids(input: &Path) -> Vec<String> {
    crate::lakes::by_id(&fs::read(input).unwrap()).into_keys().collect()
}

#[test]
fn processes_that_merge_at_once_are_all_in() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = (20..25).map(|seed| input(folder.path(), seed, 10)).collect::<Vec<_>>();
    let lake = folder.path().join("lake");
    // The first two know nothing of each other: one of them makes the lake, the others come to it.
    let mut waiting = inputs.iter().map(|input| (begun(&lake, false), input)).collect::<Vec<_>>();
    let fed = waiting.drain(..).map(|(process, input)| {
        let input = input.clone();
        std::thread::spawn(move || fed(process, &input))
    });
    for thread in fed.collect::<Vec<_>>() {
        assert_eq!(thread.join().unwrap(), 0);
    }
    let now = Lake::open(&lake).unwrap();
    assert_eq!(findings(&now), []);
    assert_eq!(now.history().unwrap().len(), inputs.len());
    let expected = inputs.iter().flat_map(|input| ids(input)).collect::<BTreeSet<_>>();
    assert_eq!(restored(&now).into_keys().collect::<BTreeSet<_>>(), expected);
}

/// Files of a lake's data.
fn data_files(lake: &Path) -> usize {
    let files = walkdir::WalkDir::new(lake.join("tasks")).into_iter().filter_map(Result::ok);
    files.filter(|file| file.path().extension().is_some_and(|ending| ending == "parquet")).count()
}

/// A run that replaces what a lake holds, and that was stopped, as by a machine that sleeps, when some of its files were written and
/// nothing of it was committed.
fn stopped(folder: &Path, input: &Path, old: &Path) -> (PathBuf, Child) {
    for attempt in 0.. {
        assert!(attempt < 50, "it was never seen in the middle");
        let lake = folder.join(format!("stopped{attempt}"));
        taskloom().arg("flatten").arg(old).arg("--out").arg(&lake).assert().success();
        let before = data_files(&lake);
        let mut process = begun(&lake, true);
        let mut stdin = process.stdin.take().unwrap();
        stdin.write_all(&fs::read(input).unwrap()).unwrap();
        drop(stdin);
        while data_files(&lake) == before && process.try_wait().unwrap().is_none() {
            std::hint::spin_loop();
        }
        kill_process(Pid::from_child(&process), Signal::STOP).unwrap();
        let has_committed = lake.join("_taskloom/commits/00000000000000000002.json").exists();
        if !has_committed && process.try_wait().unwrap().is_none() {
            return (lake, process);
        }
        kill_process(Pid::from_child(&process), Signal::CONT).unwrap();
        process.wait().unwrap();
        fs::remove_dir_all(&lake).unwrap();
    }
    unreachable!()
}

fn go_on(process: &mut Child) -> i32 {
    kill_process(Pid::from_child(process), Signal::CONT).unwrap();
    process.wait().unwrap().code().unwrap()
}

#[test]
fn a_process_that_was_stopped_for_long_commits_whole_or_finds_its_place_taken() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second, old] = [(11, 150), (12, 5), (15, 1)].map(|(seed, tasks)| input(folder.path(), seed, tasks));
    // Nobody touches what is its own as long as it lives.
    let (lake, mut process) = stopped(folder.path(), &first, &old);
    taskloom().arg("recover").arg(&lake).assert().success();
    assert_eq!(go_on(&mut process), 0);
    let now = Lake::open(&lake).unwrap();
    assert_eq!(findings(&now), []);
    assert_eq!(restored(&now).into_keys().collect::<Vec<_>>(), ids(&first));
    fs::remove_dir_all(&lake).unwrap();
    // Where nobody can tell that it lives, another commits, and its files are removed while it sleeps.
    let (lake, mut process) = stopped(folder.path(), &first, &old);
    forget_who_runs(&lake);
    taskloom().arg("flatten").arg(&second).arg("--overwrite").arg("--out").arg(&lake).assert().success();
    let vacuum = taskloom().arg("vacuum").arg(&lake).arg("--json").assert().success();
    let vacuumed: serde_json::Value = serde_json::from_slice(&vacuum.get_output().stdout).unwrap();
    assert!(vacuumed["left_files"].as_u64().unwrap() > 0, "{vacuumed}");
    assert_eq!(go_on(&mut process), 4);
    let now = Lake::open(&lake).unwrap();
    assert_eq!(findings(&now), []);
    assert_eq!(restored(&now).into_keys().collect::<Vec<_>>(), ids(&second));
}

/// The program as a user who may only read what is not his; whoever runs the tests, or nobody where that is root.
fn as_a_stranger(folder: &Path) -> Command {
    let program = folder.join("taskloom");
    if !program.exists() {
        fs::copy(assert_cmd::cargo::cargo_bin("taskloom"), &program).unwrap();
        fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(folder.join("work")).unwrap();
        fs::set_permissions(folder.join("work"), Permissions::from_mode(0o777)).unwrap();
    }
    let mut command = Command::new(program);
    command.env("XDG_CACHE_HOME", folder.join("work"));
    if rustix::process::getuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

const NOBODY: u32 = 65_534;

/// Takes from everybody, or gives back, the right to write below a folder.
fn set_writable(root: &Path, is_writable: bool) {
    for entry in walkdir::WalkDir::new(root).contents_first(!is_writable) {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().mode();
        let mode = if is_writable { mode | 0o200 } else { mode & !0o222 };
        fs::set_permissions(entry.path(), Permissions::from_mode(mode)).unwrap();
    }
}

/// All files with their bytes.
fn contents(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = walkdir::WalkDir::new(root).into_iter().map(Result::unwrap).filter(|file| file.file_type().is_file());
    files.map(|file| (file.path().to_owned(), fs::read(file.path()).unwrap())).collect()
}

#[test]
fn who_may_not_write_is_told_so_and_who_may_read_can() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (input(folder.path(), 13, 5), input(folder.path(), 14, 5));
    let lake = folder.path().join("lake");
    taskloom().arg("flatten").arg(&first).arg("--out").arg(&lake).assert().success();
    let told = |command: &mut Command, status: i32| {
        let output = command.output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{stderr}");
        (String::from_utf8(output.stdout).unwrap(), stderr)
    };
    let before = contents(&lake);
    set_writable(&lake, false);
    let stranger = || as_a_stranger(folder.path());
    for command in [vec!["vacuum", "--retain", "0s"], vec!["tag", "name"]] {
        // Nothing is to be removed yet: there is nothing that it may not do.
        let is_tag = command[0] == "tag";
        let mut run = stranger();
        run.arg(command[0]).arg(&lake).args(&command[1..]);
        let (_, stderr) = told(&mut run, i32::from(is_tag));
        assert!(!is_tag || stderr.contains("_taskloom") && stderr.contains("ermission denied"), "{stderr}");
    }
    let (_, stderr) = told(stranger().arg("flatten").arg(&second).arg("--overwrite").arg("--out").arg(&lake), 1);
    assert!(stderr.contains("_taskloom") && stderr.contains("ermission denied"), "{stderr}");
    let (stdout, _) = told(stranger().arg("restore").arg(&lake), 0);
    assert_eq!(stdout.lines().count(), 5);
    told(stranger().arg("verify").arg(&lake).arg("--deep"), 0);
    told(stranger().arg("history").arg(&lake), 0);
    let checkout = folder.path().join("work/checkout");
    told(stranger().arg("checkout").arg(&lake).arg(&checkout), 0);
    // A lake in a folder that may not be written to.
    set_writable(&lake, true);
    let closed = folder.path().join("closed");
    fs::create_dir(&closed).unwrap();
    set_writable(&closed, false);
    let (_, stderr) = told(stranger().arg("flatten").arg(&second).arg("--out").arg(closed.join("lake")), 1);
    assert!(stderr.contains("closed") && stderr.contains("ermission denied"), "{stderr}");
    // One of whose files may not even be read.
    let record = lake.join("_taskloom/commits/00000000000000000001.json");
    fs::set_permissions(&record, Permissions::from_mode(0o000)).unwrap();
    for command in ["restore", "verify"] {
        let (_, stderr) = told(stranger().arg(command).arg(&lake), 1);
        assert!(stderr.contains("1.json") && stderr.contains("ermission denied"), "{stderr}");
    }
    fs::set_permissions(&record, Permissions::from_mode(0o644)).unwrap();
    assert_eq!(contents(&lake), before);
    assert_eq!(findings(&Lake::open(&lake).unwrap()), []);
    drop(File::open(&record).unwrap());
}
