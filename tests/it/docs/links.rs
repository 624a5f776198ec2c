//! Links lead somewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use super::{Page, pages, repository};

/// The anchor that a code host gives a heading.
fn slug(heading: &str) -> String {
    let kept = heading.chars().filter(|character| character.is_alphanumeric() || " -_".contains(*character));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

fn anchors(page: &Page) -> BTreeSet<String> {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    let mut anchors = BTreeSet::new();
    for line in page.prose() {
        let heading = line.trim_start_matches('#');
        let level = line.len() - heading.len();
        let Some(heading) = heading.strip_prefix(' ').filter(|_| (1..=6).contains(&level)) else { continue };
        let slug = slug(heading);
        let count = counts.entry(slug.clone()).or_default();
        anchors.insert(if *count == 0 { slug } else { format!("{slug}-{count}") });
        *count += 1;
    }
    anchors
}

/// The targets of the links and pictures in the prose of a page.
fn targets(page: &Page) -> Vec<String> {
    let outside_of_code = page.prose().map(|line| page.split_at_code(line).into_iter().step_by(2).collect::<String>());
    let prose = outside_of_code.collect::<Vec<_>>().join("\n");
    for line in prose.lines() {
        let is_definition = line.starts_with('[') && line.contains("]: ");
        let is_html = line.contains("href=") || line.contains("src=");
        assert!(!is_definition && !is_html, "{}: write this link as [text](target): {line}", page.path);
    }
    let behind = prose.split("](").skip(1);
    behind.map(|rest| rest.split_once(')').expect("a link has an end").0.to_owned()).collect()
}

/// The path without its `.` and `..`; `None` where it leads out of the repository.
fn resolved(path: &Path) -> Option<PathBuf> {
    let mut resolved = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => resolved.pop().then_some(())?,
            Component::Normal(name) => resolved.push(name),
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(resolved)
}

/// Says what is wrong about a link.
fn broken(page: &Page, target: &str) -> Option<String> {
    if target.starts_with("https://") {
        return None;
    }
    let (path, anchor) = target.split_once('#').map_or((target, None), |(path, anchor)| (path, Some(anchor)));
    let folder = Path::new(&page.path).parent().unwrap();
    let path = if path.is_empty() { PathBuf::from(&page.path) } else { folder.join(path) };
    let Some(path) = resolved(&path).filter(|path| repository().join(path).exists()) else {
        return Some("no such file".to_owned());
    };
    let anchor = anchor?;
    let path = path.to_str().unwrap();
    if !path.ends_with(".md") {
        return Some("an anchor in something that is no page".to_owned());
    }
    let anchors = anchors(&Page::read(path));
    (!anchors.contains(anchor)).then(|| format!("no such heading; there are {anchors:?}"))
}

#[test]
fn every_relative_link_points_to_something() {
    let mut relative_links = 0;
    let mut wrong = Vec::new();
    for page in pages() {
        for target in targets(&page) {
            relative_links += usize::from(!target.contains(':'));
            wrong.extend(broken(&page, &target).map(|why| format!("{}: {target}: {why}", page.path)));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(relative_links > 50, "or this test says nothing: {relative_links}");
}

#[test]
fn broken_links_are_noticed() {
    let page = Page { path: "docs/a.md".to_owned(), text: "# A `b`, c_d!\n## A\n## A\n```sh\n# no\n```\n".to_owned() };
    assert_eq!(anchors(&page).into_iter().collect::<Vec<_>>(), ["a", "a-1", "a-b-c_d"]);
    for wrong in
        ["none.md", "../none", "../../outside", "/README.md", "../README.md#none", "../LICENSE#a", "http://a.b"]
    {
        assert!(broken(&page, wrong).is_some(), "{wrong}");
    }
    for right in ["../README.md", "../README.md#license", "../queries", "reading/duckdb.md", "https://example.com/#a"] {
        assert_eq!(broken(&page, right), None, "{right}");
    }
}
