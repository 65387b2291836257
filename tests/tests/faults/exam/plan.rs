//! The random faults: of one publishing call, of reads, and of the provider's display.

use rand::{RngExt as _, rngs::StdRng, seq::IndexedRandom as _};
use serde_json::{Value, json};

/// The expected end of a post that meets only its own fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    Published,
    /// The post was refused for good and is not published.
    Failed,
    /// The post is not published, but no response said so.
    Unknown,
}

/// A fault of the publishing call.
#[derive(Debug, Clone)]
pub(super) struct Trick {
    pub(super) name: String,
    /// The fault in the sandbox's format; null for none.
    pub(super) fault: Value,
    pub(super) ends: Ends,
}

/// The codes of refusals, and the expected end of the post.
const REFUSALS: [(i64, i64, Ends); 20] = [
    (1, 0, Ends::Unknown),
    (2, 0, Ends::Unknown),
    (3, 0, Ends::Published),
    (4, 0, Ends::Published),
    (10, 0, Ends::Published),
    (17, 0, Ends::Published),
    (32, 0, Ends::Published),
    (100, 0, Ends::Failed),
    (100, 33, Ends::Published),
    (100, 2_061_006, Ends::Failed),
    (101, 0, Ends::Published),
    (190, 460, Ends::Published),
    (190, 463, Ends::Published),
    (200, 0, Ends::Published),
    (324, 0, Ends::Failed),
    (368, 0, Ends::Published),
    (506, 0, Ends::Unknown),
    (613, 0, Ends::Published),
    (80_001, 0, Ends::Published),
    (999_999, 0, Ends::Unknown),
];

/// Error codes of the read after a write.
const CODES: [i64; 7] = [1, 2, 4, 10, 100, 190, 200];

const HTML: &str = "<html><body>Sorry, something went wrong.</body></html>";

/// A delay longer than the timeout of the publishing call.
const TOO_SLOW_MS: u64 = 21_500;

/// Returns a random item of a list.
pub(super) fn one_of<T: Copy>(random: &mut StdRng, all: &[T]) -> T {
    *all.choose(random).unwrap()
}

/// Returns a random fault.
pub(super) fn trick(random: &mut StdRng) -> Trick {
    let trick = |name: String, fault: Value, ends| Trick { name, fault, ends };
    let published = |name: String, fault| trick(name, fault, Ends::Published);
    match random.random_range(0..12) {
        0 => published("none".to_owned(), Value::Null),
        1 | 2 => {
            let (code, subcode, ends) = one_of(random, &REFUSALS);
            let error = json!({ "code": code, "subcode": subcode });
            trick(format!("refused: {code}/{subcode}"), json!({ "graph_error": error }), ends)
        }
        3 => {
            let status = one_of(random, &[500, 502, 503, 504]);
            let body = if random.random() { json!({ "body": HTML }) } else { json!({ "graph_error": { "code": 1 } }) };
            trick(format!("refused: {status}"), merged(body, &json!({ "status": status })), Ends::Unknown)
        }
        4 => trick("cut before".to_owned(), json!({ "drop": "before" }), Ends::Unknown),
        5 | 6 => {
            let (code, status) = (one_of(random, &CODES), one_of(random, &[400, 403, 500, 503]));
            let error = json!({ "code": code, "original_response": true });
            published(
                format!("published, success in error {code} with {status}"),
                json!({ "status": status, "graph_error": error }),
            )
        }
        7 => {
            let (code, status) = one_of(random, &[(1, 400), (2, 400), (2, 503), (4, 500), (100, 500), (190, 500)]);
            let fault = json!({ "status": status, "graph_error": { "code": code }, "after_effect": true });
            published(format!("published, bare error {code} with {status}"), fault)
        }
        8 => published(
            "published, HTML with 502".to_owned(),
            json!({ "status": 502, "body": HTML, "after_effect": true }),
        ),
        9 => published("published, cut".to_owned(), json!({ "drop": "after" })),
        10 => {
            let size_bytes = random.random_range(0..12);
            published(format!("published, {size_bytes} bytes of answer"), json!({ "truncate_body": size_bytes }))
        }
        _ => {
            let name = one_of(random, &["delay_ms", "reply_delay_ms"]);
            published(format!("too slow: {name}"), json!({ name: TOO_SLOW_MS }))
        }
    }
}

/// The provider's behaviour towards all posts.
#[derive(Debug)]
pub(super) struct World {
    pub(super) switches: Value,
    pub(super) skew_seconds: i32,
    /// Operations with the faults of calls that publish nothing.
    pub(super) reads: Vec<(&'static str, Value)>,
    /// True if posts do not show the app that published them.
    pub(super) hides_apps: bool,
    /// True if nothing shows the picture of a post.
    pub(super) hides_pictures: bool,
    /// The possible other authors on the Pages. The shown fields distinguish them from our app.
    pub(super) strangers: Vec<Value>,
}

/// Returns a random world.
pub(super) fn world(random: &mut StdRng) -> World {
    let some = |random: &mut StdRng, all: &[&'static str], of: u32| -> Vec<&'static str> {
        all.iter().copied().filter(|_| random.random_ratio(1, of)).collect()
    };
    let alterations = [
        "lf_to_crlf",
        "crlf_to_lf",
        "nfc",
        "nfd",
        "add_zero_width",
        "strip_zero_width",
        "add_variation_selectors",
        "strip_variation_selectors",
        "collapse_spaces",
        "trim_ends",
        "strip_link_params",
        "add_link_params",
    ];
    let hidden = some(random, &["application", "from", "attachments", "attachment_targets", "page_story_id"], 3);
    let hides = |name| hidden.contains(&name);
    let hides_pictures = hides("page_story_id") && (hides("attachments") || hides("attachment_targets"));
    let hides_apps = hides("application");
    let switches = json!({
        "text_alterations": some(random, &alterations, 3),
        "hidden_fields": hidden,
        "feed_lag_seconds": one_of(random, &[0, 0, 2, 6]),
        "omit_post_id": random.random::<bool>(),
        "feed_paging": one_of(random, &["cursors", "next_only"]),
        "feed_page_limit": one_of(random, &[2, 5, 100]),
        "empty_middle_page": random.random::<bool>(),
        "duplicate_check": false,
    });
    let reads = (0..random.random_range(1..=4)).map(|_| read_fault(random)).collect();
    let skew_seconds = one_of(random, &[0, 0, 3_600, -3_600]);
    let mut strangers = Vec::new();
    if !hides_apps {
        strangers.extend([json!({}), json!({ "application": { "id": "42", "name": "Another app" } })]);
    }
    if !hides("from") {
        strangers.push(json!({ "from": { "id": "7", "name": "Eve" } }));
    }
    World { switches, skew_seconds, reads, hides_apps, hides_pictures, strangers }
}

fn read_fault(random: &mut StdRng) -> (&'static str, Value) {
    let operation = one_of(random, &["read_feed", "read_feed", "read_feed", "read_post", "stage_photo"]);
    // A refused upload refuses its post too.
    let codes: &[i64] = if operation == "stage_photo" { &[1, 2, 4, 190] } else { &[1, 2, 4, 10, 100, 190, 200] };
    let fault = match random.random_range(0..5) {
        0 => json!({ "status": one_of(random, &[500, 502, 503]), "body": HTML }),
        1 => json!({ "drop": "before" }),
        _ => json!({ "graph_error": { "code": one_of(random, codes) } }),
    };
    let place = json!({ "times": random.random_range(1..=4), "nth": random.random_range(1..=3) });
    (operation, merged(fault, &place))
}

/// Returns an object with the fields of both.
pub(super) fn merged(mut one: Value, other: &Value) -> Value {
    one.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
    one
}
