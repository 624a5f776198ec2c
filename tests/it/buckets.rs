//! Lakes in a bucket: the same promises, whatever lies between.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use taskloom::internals::error::{Error, ErrorKind, Result};
use taskloom::internals::lake::{self as verified, Author, Lake, Scope, VacuumOptions};
use taskloom::internals::report::Report;
use taskloom::internals::store::{FailureKind, Store, StoreOptions, open};
use taskloom::internals::verify::{VerifyOptions, verify};

use serde_json::Value;

use crate::lakes::{findings, restored, restored_or_none, taskloom};
use crate::merges::task;
use crate::stand_in::{Fault, Options, Seen, StandIn};
use crate::stores::{input, run_on};

const ADDRESS: &str = "s3://bucket/some/lake";

/// A store that does not give up.
pub fn store(server: &StandIn) -> Arc<dyn Store> {
    store_with(server, Duration::from_secs(60))
}

fn store_with(server: &StandIn, retry_for: Duration) -> Arc<dyn Store> {
    let options = StoreOptions { settings: server.settings(), retry_for, ..StoreOptions::default() };
    open(Path::new(ADDRESS), &options).unwrap()
}

/// A server that comes back no more is given up soon.
const SOON: Duration = Duration::from_millis(60);

fn merge(server: &StandIn, input: &Path) -> Result<Report> {
    run_on(&store(server), input, false)
}

const DAY: Duration = Duration::from_secs(25 * 60 * 60);

#[test]
fn a_lake_in_a_bucket_is_written_merged_read_verified_and_vacuumed() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (input(folder.path(), 1, 20), input(folder.path(), 2, 20));
    let server = StandIn::start(Options::default());
    assert_eq!(merge(&server, &first).unwrap().version, 1);
    let requests = server.requests();
    assert_eq!(merge(&server, &first).unwrap().version, 1, "nothing new");
    assert_eq!(merge(&server, &second).unwrap().version, 2);
    assert!(server.requests() > requests);
    let lake = Lake::on(store(&server));
    assert_eq!(findings(&lake), []);
    let local = Lake::at(&folder.path().join("lake")).unwrap();
    for input in [&first, &first, &second] {
        run_on(local.store(), input, false).unwrap();
    }
    assert_eq!(restored(&lake), restored(&local));
    // The same files by the same names, but for what tells one run from another.
    let shape = |paths: Vec<String>| {
        let mut shape = paths
            .iter()
            .map(|path| path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned())
            .collect::<Vec<_>>();
        shape.sort();
        shape
    };
    assert_eq!(shape(lake.store().paths("").unwrap()), shape(local.store().paths("").unwrap()));
    assert!(server.paths().iter().all(|path| path.starts_with("bucket/some/lake/")));
    assert_eq!(lake.recover(&Author::default()).unwrap(), Default::default());
    // From the bucket to a folder, and from the folder's lake to the bucket, over an earlier one.
    let plain = folder.path().join("plain");
    let progress = Default::default();
    let done = lake.checkout(&lake.state().unwrap(), &plain, &progress).unwrap();
    let options = StoreOptions { settings: server.settings(), ..StoreOptions::default() };
    let there = open(Path::new("s3://bucket/plain"), &options).unwrap();
    for version in [1, 2] {
        // What somebody put beside an earlier one stays.
        let beside =
            if version == 2 { vec!["other/lake/tasks/part-0123456789abcdef-000000.parquet", "notes"] } else { vec![] };
        beside.iter().for_each(|path| there.replace(path, b"somebody's").unwrap());
        local.checkout_into(&local.state_at(version).unwrap(), &*there, &progress).unwrap();
    }
    for path in ["other/lake/tasks/part-0123456789abcdef-000000.parquet", "notes"] {
        assert!(there.get(path).unwrap().is_some(), "{path}");
        there.delete(path).unwrap();
    }
    let in_folder = open(&plain, &options).unwrap().paths("").unwrap();
    assert_eq!(in_folder.len() as u64, done.files + 1);
    assert_eq!(shape(there.paths("").unwrap()), shape(in_folder));
    assert!(lake.checkout_into(&lake.state().unwrap(), &*store(&server), &progress).is_err(), "over itself");
}

#[test]
fn a_version_that_was_not_published_is_looked_at_although_its_run_may_live() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (input(folder.path(), 1, 10), input(folder.path(), 2, 10));
    let is_down = Arc::new(AtomicBool::new(false));
    let down = Arc::clone(&is_down);
    let hook = move |seen: &Seen<'_>| {
        let is_log = seen.method == "PUT" && seen.path.contains("_delta_log/") && !seen.path.ends_with("00.json");
        if is_log && down.load(SeqCst) { Fault::SlowDown } else { Fault::None }
    };
    let server = StandIn::start(Options { hook: Box::new(hook), ..Options::default() });
    merge(&server, &first).unwrap();
    is_down.store(true, SeqCst);
    let half = run_on(&store_with(&server, SOON), &second, false).unwrap_err();
    assert!(matches!(half, Error::Committed { version: 2, .. }), "{half}");
    let lake = Lake::on(store(&server));
    let looked = |is_deep| verify(&lake, &VerifyOptions { is_deep, ..VerifyOptions::default() }).unwrap();
    assert_eq!((looked(true).version, looked(true).findings), (Some(2), vec![]));
    let state = lake.state().unwrap();
    let part = state.parts.values().find(|part| part.rows("messages") > 0).unwrap();
    lake.store().delete(&part.path("messages")).unwrap();
    let found = looked(false).findings;
    assert!(found.iter().any(|finding| finding.fault == verified::Fault::Missing), "{found:?}");
}

/// Of how many requests one is disturbed: each in `make soak`.
fn every() -> usize {
    std::env::var("TASKLOOM_EVERY").map_or(5, |every| every.parse().unwrap())
}

#[test]
fn who_verifies_restores_or_merges_lists_no_data_and_finds_what_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (input(folder.path(), 1, 10), input(folder.path(), 2, 10));
    let listed = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&listed);
    let hook = move |seen: &Seen<'_>| {
        let prefix = seen.query.split('&').find_map(|word| word.strip_prefix("prefix="));
        noted.lock().unwrap().extend(prefix.map(str::to_owned));
        Fault::None
    };
    let server = StandIn::start(Options { hook: Box::new(hook), ..Options::default() });
    merge(&server, &first).unwrap();
    listed.lock().unwrap().clear();
    merge(&server, &second).unwrap();
    let lake = Lake::on(store(&server));
    let verified = |is_deep| {
        let scope = Scope { skips_strangers: true, ..Scope::default() };
        verify(&lake, &VerifyOptions { scope, is_deep, ..VerifyOptions::default() }).unwrap().findings
    };
    assert_eq!((verified(false), verified(true), restored(&lake).len()), (vec![], vec![], 20));
    let listed = std::mem::take(&mut *listed.lock().unwrap());
    let is_own = |prefix: &String| prefix.contains("_taskloom%2F") || prefix.contains("_delta_log");
    assert!(!listed.is_empty() && listed.iter().all(is_own), "{listed:?}");
    // One file is gone, one is cut.
    let state = lake.state().unwrap();
    let paths = state.parts.values().filter(|part| part.rows("messages") > 0).map(|part| part.path("messages"));
    let [gone, cut] = paths.take(2).collect::<Vec<_>>().try_into().unwrap();
    lake.store().delete(&gone).unwrap();
    let half = lake.store().get(&cut).unwrap().unwrap();
    lake.store().replace(&cut, &half[..half.len() / 2]).unwrap();
    for is_deep in [false, true] {
        let found = verified(is_deep);
        let mut found = found.iter().map(|finding| (finding.fault, &finding.path)).collect::<Vec<_>>();
        found.retain(|(fault, _)| matches!(fault, verified::Fault::Missing | verified::Fault::Size));
        assert_eq!(found, [(verified::Fault::Missing, &gone), (verified::Fault::Size, &cut)], "{is_deep}");
    }
}

/// The run is disturbed at one of its requests, and those behind it fail too where that is its end.
fn disturbed(at: usize, fault: Fault, is_end: bool) -> (Options, Arc<AtomicUsize>) {
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    let hook = move |_: &Seen<'_>| match counted.fetch_add(1, SeqCst) {
        request if request == at => fault,
        request if request > at && is_end && request < MENDED => Fault::Reset,
        _ => Fault::None,
    };
    (Options { hook: Box::new(hook), ..Options::default() }, requests)
}

/// From this request on the server works again.
const MENDED: usize = 1 << 40;

/// What a lake holds after these runs.
type Held = BTreeMap<String, Value>;

/// Disturbs a run at its requests, on top of an earlier one if there is one; then the next run must make good whatever is left.
fn disturb_everywhere(zeroth: Option<&Path>, first: &Path, second: &Path) {
    let held = |inputs: &[&Path]| -> Held {
        let server = StandIn::start(Options::default());
        inputs.iter().for_each(|input| drop(merge(&server, input).unwrap()));
        restored(&Lake::on(store(&server)))
    };
    let earlier = zeroth.as_slice();
    let old = zeroth.map(|_| held(earlier));
    let with = |inputs: &[&Path]| held(&[earlier, inputs].concat());
    let (one, both, alone) = (with(&[first]), with(&[first, second]), with(&[second]));
    let (options, counted) = disturbed(MENDED, Fault::None, false);
    let server = StandIn::start(options);
    earlier.iter().for_each(|input| drop(merge(&server, input).unwrap()));
    counted.store(0, SeqCst);
    merge(&server, first).unwrap();
    let requests = counted.load(SeqCst);
    assert!(requests > 60, "{requests}");
    let faults = [Fault::Internal, Fault::SlowDown, Fault::Reset, Fault::Unheard, Fault::Misheard];
    for at in (0..requests).step_by(every()) {
        // Each request meets two faults of five, one of them as the end of the run.
        for (fault, is_end) in [(faults[at / every() % 5], false), (faults[(at / every() + 2) % 5], true)] {
            let told = format!("{fault:?} at {at}, the end: {is_end}");
            let (options, seen) = disturbed(at, fault, is_end);
            let server = StandIn::start(options);
            seen.store(MENDED, SeqCst);
            earlier.iter().for_each(|input| drop(merge(&server, input).unwrap()));
            seen.store(0, SeqCst);
            let ended = match is_end {
                true => run_on(&store_with(&server, SOON), first, false),
                false => merge(&server, first),
            };
            if !is_end {
                assert!(ended.is_ok(), "{told}: {:?}", ended.err());
            }
            seen.store(MENDED, SeqCst);
            let now = restored_or_none(&Lake::on(store(&server)));
            assert!(now == old || now.as_ref() == Some(&one), "{told}");
            if ended.is_ok() || matches!(ended, Err(Error::Committed { .. })) {
                assert_eq!(now.as_ref(), Some(&one), "{told}");
            }
            // Whoever gave no sign of life for a day is dead.
            server.pass(DAY);
            merge(&server, second).unwrap();
            let lake = Lake::on(store(&server));
            assert_eq!(findings(&lake), [], "{told}");
            assert_eq!(restored(&lake), *if now == old { &alone } else { &both }, "{told}");
            assert!(!server.paths().iter().any(|path| path.contains("_taskloom/running")), "{told}");
        }
    }
}

#[test]
fn a_first_run_that_is_disturbed_at_any_request_is_in_wholly_or_not_at_all_and_is_made_good() {
    let folder = tempfile::tempdir().unwrap();
    disturb_everywhere(None, &input(folder.path(), 1, 2), &input(folder.path(), 2, 2));
}

#[test]
fn a_merge_that_is_disturbed_at_any_request_is_in_wholly_or_not_at_all_and_is_made_good() {
    let folder = tempfile::tempdir().unwrap();
    let written = |name: &str, tasks: &[Value]| {
        let input = folder.path().join(name);
        std::fs::write(&input, tasks.iter().map(|task| format!("{task}\n")).collect::<String>()).unwrap();
        input
    };
    let old = written("old.ndjson", &[task(1, 1, 1), task(2, 1, 1), task(3, 2, 1), task(4, 2, 2)]);
    // It changes one, moves one, adds one, and brings one as it is.
    let first = written("first.ndjson", &[task(1, 1, 2), task(2, 2, 1), task(5, 1, 1), task(4, 2, 2)]);
    let second = written("second.ndjson", &[task(3, 3, 2), task(5, 1, 2), task(6, 1, 1)]);
    disturb_everywhere(Some(&old), &first, &second);
}

#[test]
fn a_process_that_is_killed_leaves_the_bucket_with_the_old_version_or_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (input(folder.path(), 1, 20), input(folder.path(), 2, 20));
    let server = StandIn::start(Options { latency: Duration::from_millis(1), ..Options::default() });
    let address = |place: usize| format!("s3://bucket/{place}");
    let lake = |place: usize| {
        let options = StoreOptions { settings: server.settings(), ..StoreOptions::default() };
        Lake::with(Path::new(&address(place)), &options).unwrap()
    };
    let run = |input: &Path, place: usize| {
        let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin("taskloom"));
        command.arg("flatten").arg(input).args(["--out", &address(place)]);
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        for (key, value) in server.settings() {
            command.arg("--store-option").arg(format!("{key}={value}"));
        }
        command
    };
    let started = std::time::Instant::now();
    assert!(run(&first, 0).status().unwrap().success());
    let duration = started.elapsed();
    let before = restored(&lake(0));
    assert!(run(&second, 0).status().unwrap().success());
    let merged = restored(&lake(0));
    let commands = lake(0).history().unwrap().into_iter().filter_map(|version| version.author.command);
    let commands = commands.collect::<Vec<_>>();
    assert!(commands.len() == 2 && commands.iter().all(|it| it.contains("secret_access_key=…")), "{commands:?}");
    for kill in 1..=15 {
        assert!(run(&first, kill).status().unwrap().success());
        let mut process = run(&second, kill).spawn().unwrap();
        std::thread::sleep(duration.mul_f64(kill as f64 / 15.0));
        process.kill().unwrap();
        process.wait().unwrap();
        let now = restored(&lake(kill));
        assert!(now == before || now == merged, "kill {kill}");
        server.pass(DAY);
        assert!(run(&second, kill).status().unwrap().success());
        assert_eq!((restored(&lake(kill)), findings(&lake(kill))), (merged.clone(), vec![]), "kill {kill}");
    }
    assert_eq!(server.open_uploads(), 0);
}

#[test]
fn a_vacuum_aborts_the_uploads_of_dead_runs_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let input = input(folder.path(), 1, 2);
    // Whoever dies in the middle of a large file completes no upload.
    let is_dead = Arc::new(AtomicBool::new(true));
    let dies = Arc::clone(&is_dead);
    let hook = move |seen: &Seen<'_>| {
        let is_end = seen.query.contains("uploadId") && matches!(seen.method.as_str(), "POST" | "DELETE");
        if is_end && seen.path.contains("raw/") && dies.load(SeqCst) { Fault::Reset } else { Fault::None }
    };
    let server = StandIn::start(Options { hook: Box::new(hook), ..Options::default() });
    merge(&server, &input).unwrap();
    let lake = Lake::on(store_with(&server, SOON));
    let large = vec![7; 40 << 20];
    lake.store().put("tasks/large", &large).unwrap();
    assert_eq!(lake.store().get("tasks/large").unwrap().unwrap(), large);
    lake.store().delete("tasks/large").unwrap();
    let living = lake.begin(&lake.state().unwrap(), &Author::default()).unwrap();
    for path in ["_taskloom/raw/of-one-that-died".to_owned(), format!("_taskloom/raw/{}", living.name())] {
        lake.store().put_private(&path, &mut large.as_slice()).unwrap_err();
    }
    assert_eq!(server.open_uploads(), 2);
    is_dead.store(false, SeqCst);
    let options = VacuumOptions { kept_since: chrono::Utc::now(), is_dry_run: false };
    assert_eq!(lake.vacuum(&options, &Author::default()).unwrap().aborted_uploads, 1);
    assert_eq!(server.open_uploads(), 1);
}

#[test]
fn runs_that_merge_at_once_are_all_in() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = (0..6).map(|seed| input(folder.path(), seed, 3)).collect::<Vec<_>>();
    let server = StandIn::start(Options { latency: Duration::from_millis(1), ..Options::default() });
    std::thread::scope(|scope| {
        let runs =
            inputs.iter().map(|input| scope.spawn(|| merge(&server, input).unwrap().version)).collect::<Vec<_>>();
        let mut versions = runs.into_iter().map(|run| run.join().unwrap()).collect::<Vec<_>>();
        versions.sort_unstable();
        assert_eq!(versions, [1, 2, 3, 4, 5, 6]);
    });
    let lake = Lake::on(store(&server));
    assert_eq!((restored(&lake).len(), findings(&lake)), (18, vec![]));
}

#[test]
fn a_store_that_knows_no_conditional_puts_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let input = input(folder.path(), 1, 2);
    let server = StandIn::start(Options { is_conditional: false, ..Options::default() });
    match merge(&server, &input).unwrap_err() {
        Error::Store { source, .. } => assert_eq!(source.kind, FailureKind::Unconditional),
        error => panic!("{error}"),
    }
    assert_eq!(server.paths(), [""; 0]);
}

#[test]
fn a_run_lives_while_it_gives_signs_of_life_by_the_clock_of_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let input = input(folder.path(), 1, 2);
    let server = StandIn::start(Options::default());
    // The clocks differ from the beginning.
    server.pass(100 * DAY);
    let lake = Lake::on(store(&server));
    let running = lake.begin(&lake.state().unwrap(), &Author::default()).unwrap();
    let file = format!("tasks/project=p/batch=b/date=2025-01-01/{}000000.parquet", running.prefix());
    lake.store().put(&file, b"half a file").unwrap();
    lake.store().flush().unwrap();
    assert!(matches!(run_on(&store(&server), &input, true), Err(Error::LakeBusy { .. })));
    assert!(lake.store().get(&file).unwrap().is_some());
    server.pass(DAY);
    // Another process takes it for dead, ends it by its record, and sweeps.
    merge(&server, &input).unwrap();
    assert!(lake.store().get(&file).unwrap().is_none());
    assert!(running.is_ended(&lake).unwrap());
}

/// A run of the program whose profile asks a command for keys, each of which is good for so long; how often it asked.
fn run_with_keys_of_a_command(server: &StandIn, seconds: i64) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let input = input(folder.path(), 1, 2);
    let [config, script, log] = ["config", "keys.sh", "asked"].map(|name| folder.path().join(name));
    let until = (chrono::Utc::now() + chrono::Duration::seconds(seconds)).to_rfc3339();
    let json = format!(
        r#"{{"Version": 1, "AccessKeyId": "key-%s", "SecretAccessKey": "geheim", "SessionToken": "geheim", "Expiration": "{until}"}}"#
    );
    let count = format!("echo x >> {log}\nprintf '{json}' $(wc -l < {log})\n", log = log.display());
    std::fs::write(&script, count).unwrap();
    std::fs::write(&config, format!("[profile data]\ncredential_process = sh \"{}\"\n", script.display())).unwrap();
    let mut command = taskloom();
    command.arg("flatten").arg(&input).args(["--out", ADDRESS, "--threads", "1"]).env("AWS_CONFIG_FILE", &config);
    command.env("AWS_PROFILE", "data").env("AWS_SHARED_CREDENTIALS_FILE", folder.path().join("none"));
    command.env("AWS_ENDPOINT", server.url()).env("AWS_ALLOW_HTTP", "true").env("AWS_REGION", "eu-central-1");
    for other in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"] {
        command.env_remove(other);
    }
    let output = command.assert().success().get_output().clone();
    assert!(!String::from_utf8_lossy(&output.stderr).contains("geheim"));
    std::fs::read_to_string(&log).unwrap().lines().count()
}

#[test]
fn keys_that_expire_are_fetched_anew_and_others_once() {
    // A key that was seen with one request is good for no other.
    let seen = Mutex::new(std::collections::HashSet::new());
    let hook = move |request: &Seen<'_>| match seen.lock().unwrap().insert(request.key.to_owned()) {
        true => Fault::None,
        false => Fault::Expired,
    };
    let server = StandIn::start(Options { hook: Box::new(hook), ..Options::default() });
    assert_eq!(run_with_keys_of_a_command(&server, 60), server.requests() as usize);
    let server = StandIn::start(Options::default());
    assert_eq!(run_with_keys_of_a_command(&server, 3600), 1);
}

#[test]
fn what_a_store_refuses_is_told_with_its_kind_and_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let input = input(folder.path(), 1, 1);
    let refused = |settings: &[(&str, &str)], address: &str| {
        let settings = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let options = StoreOptions { settings, retry_for: Duration::from_millis(100), ..StoreOptions::default() };
        let error = open(Path::new(address), &options).and_then(|store| run_on(&store, &input, false)).unwrap_err();
        let text = format!("{error}: {:?}", std::error::Error::source(&error).map(ToString::to_string));
        assert!(!text.contains("geheim"), "{text}");
        error
    };
    let keys = [("access_key_id", "geheim"), ("secret_access_key", "geheim"), ("region", "r")];
    let plain = refused(&[keys.as_slice(), &[("endpoint", "http://127.0.0.1:1")]].concat(), ADDRESS);
    assert_eq!(plain.kind(), ErrorKind::Usage);
    let nobody =
        refused(&[keys.as_slice(), &[("endpoint", "http://127.0.0.1:1"), ("allow_http", "true")]].concat(), ADDRESS);
    assert!(matches!(nobody, Error::Store { source, .. } if source.kind == FailureKind::Unreachable));
    assert_eq!(refused(&[("no_such_setting", "geheim")], ADDRESS).kind(), ErrorKind::Usage);
    assert_eq!(refused(&keys, "s3://name:geheim@bucket/lake").kind(), ErrorKind::Usage);
}
