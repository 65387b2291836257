//! The secrets of a run, and every form in which one could leak.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use base64::{
    Engine as _,
    engine::{GeneralPurpose, general_purpose::STANDARD_NO_PAD, general_purpose::URL_SAFE_NO_PAD},
};
use rand::RngExt as _;
use url::{Url, form_urlencoded};

/// The length of the part of letters and digits that is searched for separately. Most encodings
/// leave that part unchanged.
const CORE: usize = 16;

/// A secret that only its owner may see.
#[derive(Debug)]
pub(crate) struct Secret {
    pub(crate) name: String,
    value: Vec<u8>,
    /// True after a use has shown that the secret is the real one.
    was_used: bool,
    /// True if the secret must be used in the run.
    is_for_use: bool,
}

/// All secrets of a run. Artifacts refer to them by their index.
#[derive(Debug, Default)]
pub(crate) struct Secrets(Mutex<Vec<Secret>>);

impl Secrets {
    /// Returns a new password: random letters, then characters that every encoding writes
    /// differently.
    pub(crate) fn password(&self, name: &str) -> String {
        self.keep(name, &format!("{} \"é/+&%'<", random_hex(16)))
    }

    /// Returns a new password that is valid in an address.
    pub(crate) fn server_password(&self, name: &str) -> String {
        self.keep(name, &format!("{}/+&%@", random_hex(16)))
    }

    /// Returns a new key of 32 hexadecimal digits.
    pub(crate) fn key(&self, name: &str) -> String {
        self.keep(name, &random_hex(16))
    }

    /// Registers a secret from elsewhere that must be used.
    pub(crate) fn keep(&self, name: &str, value: &str) -> String {
        self.insert(name, value.as_bytes(), true);
        value.to_owned()
    }

    /// Registers a secret that is wrong, mistyped, never handed out, or whose raw bytes appear
    /// nowhere.
    pub(crate) fn keep_unused(&self, name: &str, value: &[u8]) {
        self.insert(name, value, false);
    }

    fn insert(&self, name: &str, value: &[u8], is_for_use: bool) {
        assert!(value.len() >= CORE, "{name} is too short to be looked for");
        let mut all = self.lock();
        if all.iter().all(|secret| secret.value != value) {
            all.push(Secret { name: name.to_owned(), value: value.to_owned(), was_used: false, is_for_use });
        }
    }

    /// Records that a secret was used with success.
    pub(crate) fn worked(&self, value: &str) {
        let mut all = self.lock();
        let secret = all.iter_mut().find(|secret| secret.value == value.as_bytes());
        secret.expect("it was kept").was_used = true;
    }

    /// Records the same for a secret that is only known by its name.
    pub(crate) fn worked_named(&self, name: &str) {
        let mut all = self.lock();
        all.iter_mut().find(|secret| secret.name == name).expect("it was kept").was_used = true;
    }

    /// Returns the names of the secrets that should have been used and were not.
    pub(crate) fn unused(&self) -> Vec<String> {
        let all = self.lock();
        all.iter().filter(|secret| secret.is_for_use && !secret.was_used).map(|secret| secret.name.clone()).collect()
    }

    /// Returns the index of a secret.
    pub(crate) fn index(&self, value: &str) -> usize {
        self.lock().iter().position(|secret| secret.value == value.as_bytes()).expect("it was kept")
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.lock().iter().map(|secret| secret.name.clone()).collect()
    }

    /// Returns every form of every secret: the secret's index, the form's name, the bytes.
    pub(crate) fn forms(&self) -> Vec<(usize, &'static str, Vec<u8>)> {
        let all = self.lock();
        let each = all.iter().enumerate();
        each.flat_map(|(index, secret)| forms(&secret.value).into_iter().map(move |(form, bytes)| (index, form, bytes)))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Secret>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns random bytes as hexadecimal digits.
pub(crate) fn random_hex(length_bytes: usize) -> String {
    let bytes: Vec<u8> = (0..length_bytes).map(|_| rand::rng().random()).collect();
    hex(&bytes)
}

fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).expect("less than 16");
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Returns the forms of a secret by name, without duplicates.
pub(crate) fn forms(secret: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut forms = vec![("plain", secret.to_vec())];
    let lower = hex(secret);
    forms.push(("upper hex", lower.to_uppercase().into()));
    forms.push(("hex", lower.into()));
    for (name, engine) in [("base64", &STANDARD_NO_PAD), ("base64url", &URL_SAFE_NO_PAD)] {
        forms.extend((0..3).map(|offset| (name, aligned(engine, secret, offset))));
    }
    if let Ok(text) = str::from_utf8(secret) {
        forms.extend(texts(text).into_iter().map(|(name, text)| (name, text.into_bytes())));
    }
    let mut seen = BTreeSet::new();
    forms.retain(|(_, bytes)| seen.insert(bytes.clone()));
    forms
}

/// Returns Base64 of the secret behind `offset` other bytes, without the characters that depend on
/// neighbouring bytes.
fn aligned(engine: &GeneralPurpose, secret: &[u8], offset: usize) -> Vec<u8> {
    let encoded = engine.encode([&vec![0; offset], secret].concat());
    let first = (offset * 8).div_ceil(6);
    let last = (offset + secret.len()) * 8 / 6;
    encoded.as_bytes()[first..last].to_vec()
}

fn texts(text: &str) -> Vec<(&'static str, String)> {
    let percent = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    let address: String = text.bytes().map(percent).collect();
    let lower: String = address.split('%').enumerate().map(lower_first_two).collect();
    let mut url = Url::parse("redis://host").expect("an address");
    url.set_password(Some(text)).expect("an address with a host");
    let html: String = text.chars().map(escaped).collect();
    let core = text.split(|c: char| !c.is_ascii_alphanumeric()).max_by_key(|part| part.len()).unwrap_or_default();
    let mut forms = vec![
        ("json", serde_json::to_string(text).expect("a text").trim_matches('"').to_owned()),
        ("debug", format!("{text:?}").trim_matches('"').to_owned()),
        ("sql", text.replace('\'', "''")),
        ("html", html),
        ("percent", address),
        ("lower percent", lower),
        ("form", form_urlencoded::byte_serialize(text.as_bytes()).collect()),
        ("password in an address", url.password().unwrap_or_default().to_owned()),
    ];
    if core.len() >= CORE {
        forms.push(("core", core.to_owned()));
    }
    forms
}

fn lower_first_two((index, part): (usize, &str)) -> String {
    if index == 0 { part.to_owned() } else { format!("%{}{}", part[..2].to_lowercase(), &part[2..]) }
}

fn escaped(c: char) -> String {
    if "&<>\"'".contains(c) { format!("&#{};", u32::from(c)) } else { c.to_string() }
}
