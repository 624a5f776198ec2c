//! Attachments of a job that runs every night.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use serde_json::json;

use super::Night;
use crate::attachments::{column, of, path_of};
use crate::file_server::{FileServer, answer};
use crate::lakes::findings;
use crate::stand_in::{Options, StandIn};

#[test]
fn what_could_not_be_fetched_in_one_night_is_tried_again_in_the_next() {
    for bucket in [false, true] {
        let is_up = Arc::new(AtomicBool::new(false));
        let up = Arc::clone(&is_up);
        let server = FileServer::start(move |path, _, stream| match (path.split('?').next(), up.load(SeqCst)) {
            (Some("/gone"), _) => answer(stream, "404 Not Found", "", b""),
            (Some(path), true) => answer(stream, "200 OK", "", path.as_bytes()),
            _ => answer(stream, "429 Too Many Requests", "retry-after: 0\r\n", b""),
        });
        let host = format!("--attachment-host={}", server.address());
        let mut night = Night::new(&["--all-projects", "--fetch-attachments", &host]);
        night.bucket = bucket.then(|| StandIn::start(Options::default()));
        // What is old no later window brings.
        night.has("old", "completed", 30.0).has("new", "completed", 0.5).has("gone", "completed", 20.0);
        for (id, task) in &mut night.tasks {
            let content = &mut task["threads"][0]["turns"][0]["messages"][0]["content"];
            content["attachments"] = json!([{"url": server.url(&format!("/{id}?Expires=1&Signature=canary"))}]);
        }
        let first = night.sync(&[]);
        let state = || column(&night.lake(), "content_state");
        let failed = [("gone", Some("missing")), ("new", Some("unreachable")), ("old", Some("unreachable"))];
        assert_eq!(state(), of(failed));
        assert_eq!(first.report["attachments"]["failed"], json!({"missing": 1, "unreachable": 2}));
        assert!(first.stderr.contains("3 attachments could not be fetched"), "{}", first.stderr);
        assert!(!first.stderr.contains("canary") && !first.report.to_string().contains("canary"));
        is_up.store(true, SeqCst);
        let plain = night.folder.path().join("plain");
        let second = night.sync(&["--checkout", plain.to_str().unwrap()]);
        assert_eq!(second.report["attachments"]["fetched"], 1);
        assert_eq!(second.report["upkeep"]["attachments"]["fetched"], 1);
        assert_eq!(state(), of([("gone", Some("missing")), ("new", Some("stored")), ("old", Some("stored"))]));
        assert_eq!(findings(&night.lake()), []);
        for content in ["/new", "/old"] {
            assert_eq!(std::fs::read(plain.join(path_of(content.as_bytes()))).unwrap(), content.as_bytes());
        }
        // What is there is not asked for again; what is gone is, once a night.
        let asked = || server.asked().into_iter().filter(|asked| !asked.path.starts_with("/gone")).count();
        let (before, all) = (asked(), server.asked().len());
        night.sync(&[]);
        assert_eq!((asked(), server.asked().len()), (before, all + 1));
        night.check();
    }
}
