//! Codes of problems: what the code answers and what docs/ERRORS.md lists is the same.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use tests::documented_codes;

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn read(folder: &str) -> String {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder), &mut files);
    assert!(files.len() > 3, "{folder}");
    files.iter().map(|file| fs::read_to_string(file).unwrap()).collect()
}

/// A text that looks like a code, at the beginning.
fn literal(text: &str) -> Option<&str> {
    let code = text.trim_start().strip_prefix('"')?.split('"').next()?;
    (!code.is_empty() && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')).then_some(code)
}

/// What the admin's own sources make problems of.
fn made(admin: &str, ledger: &str) -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    for maker in ["bad_request(", "conflict(", "forbidden(", "too_many(", "unprocessable(", "refuse("] {
        codes.extend(admin.split(maker).skip(1).filter_map(literal));
    }
    codes.extend(admin.split("Problem::new(").skip(1).filter_map(|rest| literal(rest.split_once(',')?.1)));
    let framework = admin.split("fn from_framework").nth(1).and_then(|rest| rest.split("let detail").next());
    let refused = ledger.split("pub fn code").nth(1).and_then(|rest| rest.split("Self::Database").next());
    for arms in [framework, refused] {
        codes.extend(arms.expect("a match over codes").split("=>").skip(1).filter_map(literal));
    }
    codes.into_iter().map(str::to_owned).collect()
}

#[test]
fn every_code_is_documented_and_every_documented_one_is_used() {
    let (admin, jobs) = (read("admin/src"), read("jobs/src"));
    let made = made(&admin, &read("jobs/src/engine/ledger"));
    let documented = documented_codes();
    assert!(made.len() > 40, "{made:?}");
    let undocumented: Vec<&String> = made.difference(&documented).collect();
    assert!(undocumented.is_empty(), "say in docs/ERRORS.md what these mean: {undocumented:?}");
    let is_used = |code: &String| [&admin, &jobs].iter().any(|source| source.contains(&format!("\"{code}\"")));
    let unused: Vec<&String> = documented.iter().filter(|code| !is_used(code)).collect();
    assert!(unused.is_empty(), "nothing answers these any more: {unused:?}");
}
