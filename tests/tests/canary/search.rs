//! The search for secrets in places where they must not be.

use std::collections::{BTreeMap, BTreeSet};

use aho_corasick::AhoCorasick;

use crate::secrets::Secrets;

/// The number of bytes shown before a find.
const NEAR: usize = 160;

/// Visible output of a run.
#[derive(Debug, Default)]
pub(crate) struct Artifact {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    /// The secrets that this artifact hands out on purpose.
    pub(crate) may_hold: BTreeSet<usize>,
}

impl Artifact {
    pub(crate) fn new(name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.to_owned(), bytes: bytes.into(), may_hold: BTreeSet::new() }
    }
}

/// A secret in a wrong place.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Find {
    pub(crate) secret: String,
    pub(crate) form: &'static str,
    pub(crate) place: String,
    /// The bytes before the first occurrence, without the secret.
    near: String,
    times: usize,
}

/// Returns every secret in a place where it must not be.
pub(crate) fn search(secrets: &Secrets, artifacts: &[Artifact]) -> Vec<Find> {
    let (names, forms) = (secrets.names(), secrets.forms());
    let automaton = AhoCorasick::new(forms.iter().map(|(_, _, bytes)| bytes)).expect("few enough forms");
    let mut finds: BTreeMap<(usize, &'static str, &str), (String, usize)> = BTreeMap::new();
    for place in artifacts {
        for found in automaton.find_overlapping_iter(&place.bytes) {
            let (secret, form, _) = &forms[found.pattern().as_usize()];
            if place.may_hold.contains(secret) {
                continue;
            }
            let first = || (before(&place.bytes, found.start()), 0);
            finds.entry((*secret, *form, place.name.as_str())).or_insert_with(first).1 += 1;
        }
    }
    let find = |((secret, form, place), (near, times)): ((usize, _, &str), _)| Find {
        secret: names[secret].clone(),
        form,
        place: place.to_owned(),
        near,
        times,
    };
    finds.into_iter().map(find).collect()
}

fn before(bytes: &[u8], end: usize) -> String {
    String::from_utf8_lossy(&bytes[end.saturating_sub(NEAR)..end]).into_owned()
}
