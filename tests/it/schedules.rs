//! Runs that meet each other in one lake, at every step: a scheduler says who does the next operation on the store.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use taskloom::internals::error::{Error, Result};
use taskloom::internals::lake::{Author, Fault as Wrong, Lake, VacuumOptions};
use taskloom::internals::store::{Fault, Faulty, MemoryStore, Store};

use crate::buckets::store;
use taskloom::internals::upkeep::{ForgetOptions, forget, rollback};
use taskloom::internals::verify::{VerifyOptions, verify};

use crate::lakes::{by_id, restored, shallow};
use crate::stand_in::{Options, StandIn};
use crate::stores::{copy, input, lake_in, run_on};

/// What one of those who meet does.
#[derive(Clone)]
enum Actor {
    /// Flattens this file over what is there.
    Writes(PathBuf),
    /// Flattens this file into what is there.
    Merges(PathBuf),
    /// The same, and dies after so many of its steps.
    MergesAndDies(PathBuf, usize),
    /// Finishes what others left, as it thinks.
    Recovers,
    /// Removes every old version.
    Vacuums,
    /// Makes the first version the newest again, if it is kept.
    RollsBack,
    /// Flattens as well, and dies after so many of its steps.
    Dies(PathBuf, usize),
    /// Forgets a task.
    Forgets(&'static str),
}

/// How an actor ended.
#[derive(Debug)]
enum End {
    Committed,
    Conflict,
    Died,
    Done,
}

impl Actor {
    fn act(&self, store: Arc<dyn Store>) -> Result<End> {
        let lake = Lake::on(Arc::clone(&store));
        match self {
            Actor::Writes(input) | Actor::Dies(input, _) => run_on(&store, input, true).map(|_| End::Committed),
            Actor::Merges(input) | Actor::MergesAndDies(input, _) => {
                run_on(&store, input, false).map(|_| End::Committed)
            }
            Actor::Recovers => lake.recover(&Author::default()).map(|_| End::Done),
            Actor::RollsBack => match rollback(&lake, 1, &Author::default()) {
                Ok(_) | Err(Error::VersionGone { .. }) => Ok(End::Done),
                Err(error) => Err(error),
            },
            Actor::Forgets(id) => {
                let options = ForgetOptions { tasks: vec![(*id).to_owned()], threads: 1, ..ForgetOptions::default() };
                forget(&lake, &options, &Default::default()).map(|_| End::Committed)
            }
            Actor::Vacuums => {
                let all = VacuumOptions { kept_since: chrono::Utc::now(), is_dry_run: false };
                lake.vacuum(&all, &Author::default()).map(|_| End::Done)
            }
        }
    }
}

/// Whose turn it is.
#[derive(Default)]
struct Turns {
    /// Operations that wait, by actor.
    waiting: Vec<usize>,
    has_ended: Vec<bool>,
    /// Who may do an operation.
    turn: Option<usize>,
}

#[derive(Default)]
struct Stage {
    turns: Mutex<Turns>,
    changed: Condvar,
}

impl Stage {
    fn wait_for_turn(&self, actor: usize) {
        let mut turns = self.turns.lock().unwrap();
        turns.waiting[actor] += 1;
        self.changed.notify_all();
        while turns.turn != Some(actor) {
            turns = self.changed.wait(turns).unwrap();
        }
        turns.waiting[actor] -= 1;
        turns.turn = None;
        // Another thread of the same actor may wait for the next one.
        self.changed.notify_all();
    }

    /// Who can do something, once nobody does; `None` when all have ended.
    fn ready(&self) -> Option<Vec<usize>> {
        let mut turns = self.turns.lock().unwrap();
        loop {
            let is_still = |actor: usize| turns.has_ended[actor] || turns.waiting[actor] > 0;
            if turns.turn.is_none() && (0..turns.waiting.len()).all(is_still) {
                let ready = (0..turns.waiting.len()).filter(|actor| !turns.has_ended[*actor]).collect::<Vec<_>>();
                return Some(ready).filter(|ready| !ready.is_empty());
            }
            turns = self.changed.wait(turns).unwrap();
        }
    }

    fn give(&self, actor: usize) {
        self.turns.lock().unwrap().turn = Some(actor);
        self.changed.notify_all();
    }

    fn end(&self, actor: usize) {
        self.turns.lock().unwrap().has_ended[actor] = true;
        self.changed.notify_all();
    }
}

/// Operations at which it matters who comes first: those on what others look at, and one of a run's data files.
fn matters(name: &str, path: &str) -> bool {
    let is_shared = ["_taskloom/commits", "_taskloom/running", "tasks"].iter().any(|folder| path.starts_with(folder));
    is_shared || name == "flush" || name == "list"
}

/// Lets the actors meet in a lake. `choose` is told who can go on, and how many steps each has done.
fn meet(
    store: &MemoryStore,
    actors: &[Actor],
    holds_are_trusted: bool,
    choose: impl FnMut(&[usize], &[usize]) -> usize,
) -> (Vec<End>, Vec<usize>) {
    meet_in(&|| Arc::new(store.clone()), actors, holds_are_trusted, choose)
}

/// The same in any store, which each opens for itself.
fn meet_in(
    open: &dyn Fn() -> Arc<dyn Store>,
    actors: &[Actor],
    holds_are_trusted: bool,
    mut choose: impl FnMut(&[usize], &[usize]) -> usize,
) -> (Vec<End>, Vec<usize>) {
    let stage = Arc::new(Stage::default());
    {
        let mut turns = stage.turns.lock().unwrap();
        turns.waiting = vec![0; actors.len()];
        turns.has_ended = vec![false; actors.len()];
    }
    let dead = Arc::new(Mutex::new(vec![false; actors.len()]));
    let mut steps = vec![0; actors.len()];
    let ends = thread::scope(|scope| {
        let begin = |(number, actor): (usize, &Actor)| {
            let (on, dead) = (Arc::clone(&stage), Arc::clone(&dead));
            let faulty = Faulty::on(open(), move |name, path| {
                if matters(name, path) && !dead.lock().unwrap()[number] {
                    on.wait_for_turn(number);
                }
                if dead.lock().unwrap()[number] { Fault::Failed } else { Fault::None }
            });
            let faulty = if holds_are_trusted { faulty } else { faulty.without_holds() };
            let (stage, actor) = (Arc::clone(&stage), actor.clone());
            scope.spawn(move || {
                let end = actor.act(Arc::new(faulty));
                stage.end(number);
                match (end, actor) {
                    (Ok(end), _) => end,
                    (Err(_), Actor::Dies(..) | Actor::MergesAndDies(..)) => End::Died,
                    (Err(Error::Conflict { .. } | Error::TakenForDead { .. } | Error::LakeBusy { .. }), _) => {
                        End::Conflict
                    }
                    // Somebody thought that it was dead, and removed what it was about to read or write.
                    (Err(error), _) => panic!("{error}: {:?}", std::error::Error::source(&error)),
                }
            })
        };
        let threads = actors.iter().enumerate().map(begin).collect::<Vec<_>>();
        while let Some(ready) = stage.ready() {
            let next = choose(&ready, &steps);
            steps[next] += 1;
            let dies = |after: &usize| steps[next] > *after;
            if matches!(&actors[next], Actor::Dies(_, after) | Actor::MergesAndDies(_, after) if dies(after)) {
                dead.lock().unwrap()[next] = true;
            }
            stage.give(next);
        }
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    (ends, steps)
}

/// What must hold behind a meeting.
fn check(lake: &Lake, before: u64, actors: &[Actor], ends: &[End], plan: &str) {
    let has_died = ends.iter().any(|end| matches!(end, End::Died));
    let found = shallow(lake);
    let is_of_death = |wrong: Wrong| matches!(wrong, Wrong::DeadRun | Wrong::Unpublished | Wrong::Stranger);
    assert!(found.iter().all(|finding| has_died && is_of_death(finding.fault)), "{plan}: {ends:?}: {found:?}");
    let committed = ends.iter().filter(|end| matches!(end, End::Committed)).count() as u64;
    let history = lake.history().unwrap();
    let new = history.iter().filter(|version| version.version > before);
    let written = new.filter(|version| version.operation == "flatten").count() as u64;
    // A run that died may have committed before.
    assert!(committed == written || has_died && committed + 1 == written, "{plan}: {ends:?}");
    let writers = actors.iter().any(|actor| matches!(actor, Actor::Writes(_)));
    let is_ended = history.iter().any(|version| version.version > before && version.operation != "flatten");
    assert!(!writers || committed > 0 || is_ended || has_died, "{plan}: somebody must win: {ends:?}");
    if written > 0 || before > 0 {
        // The newest version is one run's, whole.
        assert!([1, 2, 3].contains(&restored(lake).len()), "{plan}");
    }
    lake.recover(&Author::default()).unwrap();
    lake.vacuum(&VacuumOptions { kept_since: chrono::Utc::now(), is_dry_run: false }, &Author::default()).unwrap();
    assert_eq!(shallow(lake), [], "{plan}: {ends:?}");
}

/// One actor after the other, each for so many steps; then each to its end.
fn planned(plan: Vec<(usize, usize)>) -> impl FnMut(&[usize], &[usize]) -> usize {
    let mut plan = plan.into_iter();
    let mut now = plan.next();
    move |ready, _| {
        while let Some((actor, left)) = now {
            if left > 0 && ready.contains(&actor) {
                now = Some((actor, left - 1));
                return actor;
            }
            now = plan.next();
        }
        ready[0]
    }
}

/// Numbers of tasks tell whose a version is: one, two or three.
fn inputs(folder: &Path) -> [PathBuf; 3] {
    [1, 2, 3].map(|tasks| input(folder, tasks, tasks))
}

/// How many steps an actor takes that meets nobody.
fn steps(before: &MemoryStore, actor: &Actor) -> usize {
    let (_, steps) = meet(&copy(before), std::slice::from_ref(actor), true, |ready, _| ready[0]);
    assert!(steps[0] > 3, "{steps:?}");
    steps[0]
}

/// Every schedule in which the one stops once at any of its steps, and the other at `stops` of its own, if at any.
fn every_schedule(before: &MemoryStore, actors: &[Actor; 2], holds_are_trusted: bool, stops: Stops) {
    let version = lake_in(before).state().unwrap().version;
    for (first, second) in [(0, 1), (1, 0)] {
        let of_second = match stops {
            Stops::One => vec![usize::MAX],
            // Both are of one kind: the other way round it is the same.
            Stops::Both if first == 1 => continue,
            Stops::Both => (0..=steps(before, &actors[second])).collect(),
        };
        for of_first in 0..=steps(before, &actors[first]) {
            for of_second in &of_second {
                let plan = vec![(first, of_first), (second, *of_second), (first, usize::MAX)];
                let store = copy(before);
                let (ends, _) = meet(&store, actors, holds_are_trusted, planned(plan.clone()));
                check(&lake_in(&store), version, actors, &ends, &format!("{plan:?}"));
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Stops {
    One,
    Both,
}

fn lake_of(input: &Path) -> MemoryStore {
    let store = MemoryStore::named("before");
    run_on(lake_in(&store).store(), input, false).unwrap();
    store
}

#[test]
fn of_two_writers_of_a_first_version_one_commits_in_every_schedule() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two, _] = inputs(folder.path());
    let actors = [Actor::Writes(one), Actor::Writes(two)];
    every_schedule(&MemoryStore::named("empty"), &actors, true, Stops::One);
}

#[test]
fn of_two_writers_that_take_each_other_for_dead_one_commits_in_every_schedule() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two, three] = inputs(folder.path());
    let actors = [Actor::Writes(one), Actor::Writes(two)];
    every_schedule(&lake_of(&three), &actors, false, Stops::Both);
}

#[test]
fn who_sweeps_or_vacuums_beside_a_writer_that_it_takes_for_dead_does_no_harm_in_any_schedule() {
    let folder = tempfile::tempdir().unwrap();
    let [one, _, three] = inputs(folder.path());
    for (other, holds_are_trusted) in [(Actor::Recovers, false), (Actor::Vacuums, false), (Actor::Vacuums, true)] {
        let actors = [Actor::Writes(one.clone()), other];
        every_schedule(&lake_of(&three), &actors, holds_are_trusted, Stops::One);
    }
}

#[test]
fn a_version_whose_run_died_is_published_before_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two, three] = inputs(folder.path());
    let before = lake_of(&three);
    let steps = steps(&before, &Actor::Writes(one.clone()));
    for dies_after in steps / 2..steps {
        for begins in 1..6 {
            // The one that goes on has looked for what is to be finished before the other had committed.
            let actors = [Actor::Writes(one.clone()), Actor::Dies(two.clone(), dies_after)];
            let plan = vec![(0, begins), (1, usize::MAX), (0, usize::MAX)];
            let store = copy(&before);
            let (ends, _) = meet(&store, &actors, false, planned(plan.clone()));
            check(&lake_in(&store), 1, &actors, &ends, &format!("{plan:?}, dies after {dies_after}"));
        }
    }
}

/// Numbers below a bound that look like chance, the same for the same seed.
fn dice(seed: u64) -> impl FnMut(usize) -> usize {
    let mut bits = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
    move |bound| {
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        (bits % bound as u64) as usize
    }
}

/// How many schedules are drawn: more in `make soak`.
fn schedules() -> u64 {
    std::env::var("TASKLOOM_SCHEDULES").map_or(100, |schedules| schedules.parse().unwrap())
}

/// Mostly the same goes on: what goes wrong needs few changes at the right moments.
fn drawn(mut draw: impl FnMut(usize) -> usize) -> impl FnMut(&[usize], &[usize]) -> usize {
    let mut now = 0;
    move |ready, _| {
        if draw(6) == 0 || !ready.contains(&now) {
            now = ready[draw(ready.len())];
        }
        now
    }
}

/// Two that write, two that tidy up or roll back, and one that dies, in an order that is drawn.
fn whoever_meets(open: &dyn Fn() -> Arc<dyn Store>, inputs: &[PathBuf; 3], seed: u64, holds_are_trusted: bool) {
    let [one, two, three] = inputs.clone();
    let mut draw = dice(seed);
    let dies = Actor::Dies(three, draw(60));
    let tidier = if draw(2) == 0 { Actor::Recovers } else { Actor::RollsBack };
    let actors = [Actor::Writes(one), Actor::Writes(two), tidier, Actor::Vacuums, dies];
    let (ends, _) = meet_in(open, &actors, holds_are_trusted, drawn(draw));
    check(&Lake::on(open()), 1, &actors, &ends, &format!("seed {seed}"));
}

#[test]
fn whoever_meets_in_whatever_order_the_lake_stays_whole() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = inputs(folder.path());
    let before = lake_of(&inputs[2]);
    for seed in 0..schedules() {
        let store = copy(&before);
        whoever_meets(&|| Arc::new(store.clone()), &inputs, seed, seed % 2 == 0);
    }
}

/// In a bucket nobody can tell a run that died a moment ago from one that lives: here each takes each for dead.
#[test]
fn whoever_meets_in_a_bucket_in_whatever_order_the_lake_stays_whole() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = inputs(folder.path());
    for seed in 0..schedules().div_ceil(10) {
        let server = StandIn::start(Options::default());
        run_on(&store(&server), &inputs[2], false).unwrap();
        whoever_meets(&|| store(&server), &inputs, seed, false);
    }
}

#[test]
fn whoever_meets_a_forgetting_loses_nothing_else_and_brings_nothing_back() {
    let folder = tempfile::tempdir().unwrap();
    let brought = Brought::write(folder.path());
    let before = lake_of(&brought.old);
    for seed in 0..schedules().div_ceil(3) {
        let store = copy(&before);
        brought.meet_a_forgetting(&|| Arc::new(store.clone()), seed, seed % 2 == 0);
    }
}

#[test]
fn a_run_that_was_ended_commits_no_more_whatever_it_builds_on() {
    use taskloom::internals::lake::{Change, CommitOutcome};
    let folder = tempfile::tempdir().unwrap();
    let [one, two, _] = inputs(folder.path());
    let store = lake_of(&one);
    let lake = lake_in(&store);
    let mut sleeper = lake.begin(&lake.state().unwrap(), &Author::default()).unwrap();
    let file = format!("tasks/project=p/batch=b/date=2025-01-01/{}000000.parquet", sleeper.prefix());
    store.put(&file, b"what it wrote").unwrap();
    // Another takes it for dead, ends it and removes what it wrote.
    let untrusting: Arc<dyn Store> = Arc::new(Faulty::new(&store, |_, _| Fault::None).without_holds());
    run_on(&untrusting, &two, false).unwrap();
    assert!(store.get(&file).unwrap().is_none());
    // It knows of the other's version, and builds on it.
    let newest = lake.state().unwrap();
    let outcome = lake.commit(&newest, &mut sleeper, Change::default(), &|_, _| Ok(vec![]), || Ok(())).unwrap();
    assert!(matches!(outcome, CommitOutcome::Conflict(_)), "{outcome:?}");
    assert_eq!(lake.state().unwrap(), newest);
}

/// What those who merge bring: tasks by id, with the number of who brings them.
struct Brought {
    old: PathBuf,
    inputs: [PathBuf; 3],
}

impl Brought {
    fn write(folder: &Path) -> Brought {
        let written = |name: &str, tasks: &[(u8, u8)]| {
            let input = folder.join(name);
            let task = |(id, content): &(u8, u8)| format!("{}\n", crate::merges::task(*id, *content, *content));
            fs::write(&input, tasks.iter().map(task).collect::<String>()).unwrap();
            input
        };
        Brought {
            old: written("old", &[(1, 1), (2, 1), (3, 1), (4, 1)]),
            inputs: [
                written("one", &[(1, 2), (2, 2)]),
                written("two", &[(2, 3), (3, 3), (5, 3)]),
                written("dies", &[(2, 4), (4, 4)]),
            ],
        }
    }

    /// Two that merge, one that dies of it, and one that forgets what all of them bring, in an order that is drawn.
    fn meet_a_forgetting(&self, open: &dyn Fn() -> Arc<dyn Store>, seed: u64, holds_are_trusted: bool) {
        let mut draw = dice(seed);
        let [one, two, dies] = self.inputs.clone();
        let forgets = Actor::Forgets("task-2");
        let actors = [forgets.clone(), Actor::Merges(one), Actor::Merges(two), Actor::MergesAndDies(dies, draw(60))];
        let (ends, _) = meet_in(open, &actors, holds_are_trusted, drawn(draw));
        let lake = Lake::on(open());
        let told = format!("seed {seed}: {ends:?}");
        lake.recover(&Author::default()).unwrap();
        let is_committed = |actor: usize| matches!(ends[actor], End::Committed);
        if !is_committed(0) {
            forgets.act(open()).unwrap();
        }
        let options = VerifyOptions { is_deep: true, is_for_forgotten: true, ..VerifyOptions::default() };
        assert_eq!(verify(&lake, &options).unwrap().findings, [], "{told}");
        assert_eq!(crate::forget::places(&*open(), "task-2"), [""; 0], "{told}");
        // Whoever committed is in, and nobody is lost.
        let has = restored(&lake);
        let ids = has.keys().map(String::as_str).collect::<Vec<_>>();
        let with_two = ["task-1", "task-3", "task-4", "task-5"];
        assert_eq!(ids, if is_committed(2) { &with_two[..] } else { &with_two[..3] }, "{told}");
        for (actor, input, id) in [(1, &self.inputs[0], "task-1"), (2, &self.inputs[1], "task-3")] {
            let from = if is_committed(actor) { input } else { &self.old };
            assert_eq!(has[id], by_id(&fs::read(from).unwrap())[id], "{told}");
        }
    }

    /// Two that merge, one that dies of it, and one that tidies up, in an order that is drawn.
    fn meet(&self, open: &dyn Fn() -> Arc<dyn Store>, seed: u64, holds_are_trusted: bool) {
        let tasks_of = |input: &Path| by_id(&fs::read(input).unwrap());
        let mut draw = dice(seed);
        let [one, two, dies] = self.inputs.clone();
        let actors = [
            Actor::Merges(one),
            Actor::Merges(two),
            Actor::MergesAndDies(dies, draw(60)),
            if draw(2) == 0 { Actor::Vacuums } else { Actor::Recovers },
        ];
        let (ends, _) = meet_in(open, &actors, holds_are_trusted, drawn(draw));
        let lake = Lake::on(open());
        // The later commit counts, task by task.
        let history = lake.history().unwrap();
        let mut expected = tasks_of(&self.old);
        let runs = history.iter().filter(|version| version.version > 1 && version.operation == "flatten");
        for run in runs.clone() {
            expected.extend(tasks_of(Path::new(run.source.as_ref().unwrap())));
        }
        assert_eq!(restored(&lake), expected, "seed {seed}: {ends:?}");
        let committed = ends.iter().filter(|end| matches!(end, End::Committed)).count();
        let has_died = ends.iter().any(|end| matches!(end, End::Died));
        assert!(runs.count() == committed || has_died, "seed {seed}: {ends:?}");
        if holds_are_trusted {
            assert!(matches!(ends[..2], [End::Committed, End::Committed]), "seed {seed}: none is lost: {ends:?}");
        }
        lake.recover(&Author::default()).unwrap();
        lake.vacuum(&VacuumOptions { kept_since: chrono::Utc::now(), is_dry_run: false }, &Author::default()).unwrap();
        assert_eq!(shallow(&lake), [], "seed {seed}: {ends:?}");
        assert_eq!(restored(&lake), expected, "seed {seed}: {ends:?}");
    }
}

#[test]
fn merges_that_meet_come_one_behind_the_other_and_none_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let brought = Brought::write(folder.path());
    let before = lake_of(&brought.old);
    for seed in 0..schedules() {
        let store = copy(&before);
        brought.meet(&|| Arc::new(store.clone()), seed, seed % 2 == 0);
    }
}

#[test]
fn merges_that_meet_in_a_bucket_come_one_behind_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let brought = Brought::write(folder.path());
    for seed in 0..schedules().div_ceil(10) {
        let server = StandIn::start(Options::default());
        run_on(&store(&server), &brought.old, false).unwrap();
        brought.meet(&|| store(&server), seed, false);
    }
}
